"""The lesson: what is planted is what it is said to be, and the whole of it runs."""

import csv

import numpy as np
from PIL import Image

from jobs import harmonize_demo, planted_task
from zoo_eval.store import Store


def read(folder):
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    open_ = [np.asarray(Image.open(folder / "images" / row["image"]), float) for row in rows]
    maps = [np.asarray(Image.open(folder / "maps" / row["image"]), float) for row in rows]
    return open_, maps, [int(row["label"]) for row in rows]


def spots(images):
    """The class that each image's spot says: the brightest of the places in the upper strip."""
    side = planted_task.SPOT_PX
    left = [k * planted_task.SIDE_PX // planted_task.N_CLASSES for k in range(4)]
    return [int(np.argmax([one[:side, x : x + side].mean() for x in left])) for one in images]


def test_spots_agree_with_the_label_but_in_the_stated_share(tmp_path):
    for misled in (0.0, 0.25, 1.0):
        folder = tmp_path / str(misled)
        planted_task.write(folder, 200, 1, misled=misled)
        images, _, labels = read(folder)
        wrong = np.mean(np.not_equal(spots(images), labels))
        assert abs(wrong - misled) < 0.08
        assert misled in (0.25, wrong)


def test_maps_mark_the_bar_and_never_the_spot(tmp_path):
    planted_task.write(tmp_path, 40, 2)
    images, maps, _ = read(tmp_path)
    for image, human in zip(images, maps, strict=True):
        assert not human[: planted_task.SPOT_PX].any()
        below = image[planted_task.SPOT_PX :].mean(2)
        marked = human[planted_task.SPOT_PX :] > 128
        assert below[marked].mean() > below[~marked].mean() + 30


def test_it_trains_sweeps_and_prints_each_network_beside_its_control(tmp_path, monkeypatch, capsys):
    small = {"train": (64, 0.05), "held_out": (12, 0.0), "misleading": (12, 1.0)}
    monkeypatch.setattr(harmonize_demo, "SETS", small)
    monkeypatch.setattr(harmonize_demo, "FOLDER", tmp_path / "lesson")
    monkeypatch.setattr(harmonize_demo, "N_ATTACKED", 4)
    for name, (before, after) in {
        "RUN": ("epochs = 24", "epochs = 1"),
        "SWEEP": ("steps = 100", "steps = 5"),
    }.items():
        text = getattr(harmonize_demo, name)
        assert before in text
        monkeypatch.setattr(harmonize_demo, name, text.replace(before, after))
    assert harmonize_demo.main(1) == 0
    said = capsys.readouterr().out
    for meaning in harmonize_demo.MEASURES.values():
        assert f"{meaning}:\n  harmonized/seed_0: " in said
    rows = Store(str(tmp_path / "lesson" / "store")).read("training_runs").to_pylist()
    assert {row["model"] for row in rows} == {"harmonized/seed_0", "harmonized/seed_0_control"}
    # Both begin with the same weights, and end with others.
    assert len({row["weights_digest"] for row in rows}) == 2
