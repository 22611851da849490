"""[importance.NAME] in a sweep file: every kind is loaded, tied to its images, and wrong ones are said."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import generic_filter

from tests import sweeps
from tests.importance.shards import heatmap, jpeg_record, photo, write
from tests.rounding import float32_products, float64_products, printed
from zoo_eval.errors import BadInput
from zoo_eval.importance import clickme
from zoo_eval.importance.planted import contrast
from zoo_eval.importance.preparation import BLURRED_BEFORE, PUBLISHED, Blur, Preparation
from zoo_eval.sweep import file as sweep_file

HEAD = """
[store]
uri = "store"
[models]
include = ["timm/resnet18.a1_in1k"]
[[evaluations]]
kind = "accuracy"
stimuli = "shown"
"""
CLICKME = '[importance.people]\nkind = "clickme_tfrecord"\npath = "shards"\n'
ITS_IMAGES = '[stimuli.shown]\nkind = "importance"\nimportance = "people"\n'
PHOTOS = '[stimuli.shown]\nkind = "folder"\npath = "images"\nlabel_pattern = "_([0-9])"\n'
FOLDER = '[importance.people]\nkind = "folder"\nstimuli = "shown"\npath = "maps"\n'


@pytest.fixture
def home(tmp_path) -> Path:
    """Shards, .pth files, and a folder of images beside one of maps."""
    (tmp_path / "shards").mkdir()
    write(tmp_path / "shards" / "val-0.tfrecords", [jpeg_record(i, i % 2) for i in range(3)])
    for folder in ("images", "maps", "lab"):
        (tmp_path / folder).mkdir()
    for i in range(2):
        Image.fromarray(photo(i, 64)).save(tmp_path / "images" / f"p_{i}.png")
        Image.fromarray(heatmap(i, 64)).save(tmp_path / "maps" / f"p_{i}.png")
        content = {
            "image": torch.tensor(photo(i, 64)).permute(2, 0, 1),
            "heatmap": torch.tensor(heatmap(i, 64))[None],
            "label": i,
        }
        torch.save(content, tmp_path / "lab" / f"{i}.pth")
    return tmp_path


def loaded(home: Path, *sections: str):
    (home / "sweep.toml").write_text("".join([HEAD, *sections]))
    return sweeps.loaded(home / "sweep.toml")[2]


def test_clickme_brings_its_own_images_labels_and_ceiling(home):
    inputs = loaded(home, CLICKME, ITS_IMAGES)
    shown = inputs.stimulus_set("shown")
    assert (shown.name, shown.labels) == ("shown", (0, 1, 0))
    maps = inputs.maps("people", shown)
    expected = clickme.read("people", home / "shards")[1]
    assert maps.digest == expected.digest
    assert maps.human_ceiling == pytest.approx(0.65753, rel=0, abs=printed(5))
    assert (maps.preparation, maps.planted) == (PUBLISHED, False)


def test_preparation_selection_and_ceiling_are_chosen_in_the_file(home):
    chosen = 'per_class = 1\nhuman_ceiling = 0.5\ncanvas_px = 96\nblur_at_px = 32\nblur_kernel_px = 5\nblur_sigma_px = 2.0\n'  # fmt: skip
    inputs = loaded(home, CLICKME, chosen, ITS_IMAGES)
    maps = inputs.maps("people", inputs.stimulus_set("shown"))
    assert maps.preparation == Preparation(96, Blur(32, 5, 2.0))
    assert (maps.human_ceiling, inputs.stimulus_set("shown").labels) == (0.5, (0, 1))
    assert maps.key == {
        "digest": maps.digest, "canvas_px": 96, "blur": {"at_px": 32, "kernel_px": 5, "sigma_px": 2.0},
        "human_ceiling": 0.5, "planted": False,
    }  # fmt: skip


def test_lab_files_are_not_blurred_again(home):
    lab = '[importance.people]\nkind = "lab_pth"\npath = "lab"\n'
    inputs = loaded(home, lab, ITS_IMAGES)
    maps = inputs.maps("people", inputs.stimulus_set("shown"))
    assert (maps.preparation, maps.human_ceiling) == (BLURRED_BEFORE, None)
    assert inputs.stimulus_set("shown").labels == (0, 1)


def test_a_folder_of_maps_belongs_to_a_folder_of_images(home):
    inputs = loaded(home, PHOTOS, FOLDER, "blur = false\nhuman_ceiling = 0.7\n")
    maps = inputs.maps("people", inputs.stimulus_set("shown"))
    assert maps.stimulus_ids == ("p_0.png", "p_1.png")
    assert (maps.preparation, maps.human_ceiling) == (BLURRED_BEFORE, 0.7)


def test_a_narrowed_folder_of_images_may_leave_maps_over(home):
    (home / "images" / "p_1.png").unlink()
    reason = str(loaded(home, PHOTOS, FOLDER).unreadable["importance", "people"])
    assert "p_1.png has no image" in reason
    assert len(loaded(home, PHOTOS, "limit = 1\n", FOLDER).importance["people"]) == 1


def test_planted_maps_are_local_contrast_and_say_that_they_are_planted(home):
    planted = '[importance.people]\nkind = "planted"\nstimuli = "shown"\n'
    inputs = loaded(home, PHOTOS, planted)
    maps = inputs.maps("people", inputs.stimulus_set("shown"))
    assert (maps.planted, maps.human_ceiling, maps.key["planted"]) == (True, None, True)
    assert not maps.undefined
    grey = photo(0, 64) @ np.array([0.299, 0.587, 0.114])
    # A 64-pixel image has windows of 3 pixels; SciPy's own, one window at a time.
    expected = generic_filter(grey, np.std, size=3)
    # A variance is a difference of sums of 9 squares of up to 255, and next to 0 its root is off by
    # the root of the rounding.
    rounding = (2 * float64_products(9, 255.0**2)) ** 0.5 + float32_products(1, 255)
    assert np.abs(contrast(photo(0, 64)) - expected).max() < rounding


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ((CLICKME, 'blurr = true\n', ITS_IMAGES), r"line 12: importance.people.blurr: unknown key; nearest: blur"),
        ((CLICKME.replace("clickme_tfrecord", "clickme"), ITS_IMAGES), r"people.kind: unknown human-map format 'clickme'; nearest: clickme_tfrecord"),
        ((CLICKME, "human_ceiling = 1.5\n", ITS_IMAGES), "importance.people.human_ceiling: .*less than or equal to 1"),
        ((CLICKME, ITS_IMAGES.replace('"people"', '"peple"')), "no importance 'peple' that comes with images; nearest: people"),
        ((PHOTOS, FOLDER, ITS_IMAGES.replace("shown", "more")), "no importance 'people' that comes with images; none are known"),
        ((PHOTOS, FOLDER.replace('"shown"', '"shwn"')), "unknown stimuli 'shwn'; nearest: shown"),
        ((CLICKME.replace('"shards"', '"shard"'), ITS_IMAGES), "shard: no such file or folder"),
    ],
)  # fmt: skip
def test_wrong_sections_are_one_line_with_the_next_step(home, sections, said):
    with pytest.raises(BadInput, match=said) as refusal:
        loaded(home, *sections)
    assert "\n" not in str(refusal.value)


def test_a_damaged_record_is_named_while_planning(home):
    path = home / "shards" / "val-0.tfrecords"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"val-0.tfrecords: record 2: its data does not match"):
        loaded(home, CLICKME, ITS_IMAGES)


def test_a_pth_that_needs_code_is_never_run(home):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (home / "ran",))

    torch.save({"image": Trap()}, home / "lab" / "0.pth")
    lab = '[importance.people]\nkind = "lab_pth"\npath = "lab"\n'
    with pytest.raises(BadInput, match=r"0.pth: is damaged or needs code to load"):
        loaded(home, lab, ITS_IMAGES)
    assert not (home / "ran").exists()


def test_relative_paths_of_maps_are_known(home):
    (home / "sweep.toml").write_text(
        "".join([HEAD, PHOTOS, FOLDER, CLICKME.replace("people", "b")])
    )
    found = sweep_file.read(home / "sweep.toml", home)
    relative = {path.text for path in found.paths() if path.is_relative}
    assert {"maps", "shards", "images"} <= relative
