"""Sets whose images are never held: what a plan says of them, and what becomes of one that changes."""

import numpy as np
import pytest
from PIL import Image

from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import RunOptions, SweepOptions, run_sweep
from zoo_eval.queries.connection import connect
from zoo_eval.runners.progress import Progress
from zoo_eval.store import Store

SWEEP = """
[store]
uri = "store"
[models]
include = ["local/*"]
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "photos"
label_pattern = '_(\\d+)'
{exif}
[stimuli.others]
kind = "folder"
path = "others"
label_pattern = '_(\\d+)'
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
[[evaluations]]
kind = "accuracy"
stimuli = "others"
[[evaluations]]
kind = "features"
stimuli = "photos"
"""


def photo(path, seed, **options):
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def options(tmp_path, decoded, monkeypatch):
    monkeypatch.setenv("ZOO_EVAL_VIEWS", str(tmp_path / "views"))
    for number in range(3):
        photo(tmp_path / "photos" / f"{number}_{number}.png", number)
        photo(tmp_path / "others" / f"{number}_{number}.png", 10 + number)
    (tmp_path / "sweep.toml").write_text(SWEEP.format(exif=""))
    return SweepOptions(tmp_path / "sweep.toml", tmp_path, runner="local")


def run(options, between=lambda: None):
    """Runs the sweep; something happens between plan and run."""

    def progress(plan, say):
        between()
        return Progress.of(plan, say)

    lines = []
    read = options.read()
    run_sweep(read, RunOptions(runner="local"), lines.append, progress=progress)
    rows = connect(Store(read.store.uri.address)).rows(
        "SELECT evaluation, stimuli, status, error_message FROM trials WHERE evaluation <> 'gate' "
        "ORDER BY started_at"
    )
    return lines, {(row["evaluation"], row["stimuli"]): row for row in rows}


def test_an_image_that_changes_between_plan_and_run_refuses_what_needs_it(options, tmp_path):
    changed = tmp_path / "photos" / "1_1.png"
    _, rows = run(options, lambda: photo(changed, 99))
    for evaluation in ("accuracy", "features"):
        row = rows[evaluation, "photos"]
        assert row["status"] == "refused"
        assert (
            "image '1_1.png' of stimuli 'photos' changed since it was planned"
            in (row["error_message"])
        )
    assert rows["accuracy", "others"]["status"] == "ok"
    # The same command goes on with the set as it is now.
    _, rows = run(options)
    assert {row["status"] for row in rows.values()} == {"ok"}


def test_an_image_that_goes_between_plan_and_run_fails_what_needs_it(options, tmp_path):
    _, rows = run(options, (tmp_path / "photos" / "2_2.png").unlink)
    assert rows["accuracy", "photos"]["status"] != "ok"
    assert "2_2.png" in rows["accuracy", "photos"]["error_message"]
    assert rows["accuracy", "others"]["status"] == "ok"


def test_all_evaluations_of_a_set_decode_it_once_and_a_second_run_not_at_all(options, decoded):
    run(options)
    # For the digest, and for what the model sees.
    assert sorted(decoded) == sorted(2 * [f"{n}_{n}.png" for n in range(3)] * 2)
    decoded.clear()
    run(options)
    assert decoded == []


def test_a_plan_says_what_is_to_be_known_of_the_images(options, tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "photos" / "3_3.jpg", 3, exif=exif)
    (tmp_path / "photos" / ".hidden.png").write_bytes(b"")
    (tmp_path / "photos" / "notes.txt").write_text("")
    for _ in range(2):
        sweep.show_plan(options)
        out = capsys.readouterr().out
        assert "stimuli 'photos': 1 of 4 images have an EXIF orientation that is ignored" in out
        assert "stimuli 'photos': 1 hidden files are left out" in out
        assert "stimuli 'photos': 1 files are no images by their suffix (1 .txt)" in out
        assert "stimuli 'others'" not in out
    (tmp_path / "sweep.toml").write_text(SWEEP.format(exif='exif = "apply"'))
    sweep.show_plan(options)
    assert "1 of 4 images are turned as their EXIF orientation says" in capsys.readouterr().out
