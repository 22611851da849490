"""What a plan and a run say of rows that met their images without ids."""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import pdist, squareform

from zoo_eval import cli
from zoo_eval.commands import sweep

N = 11
SWEEP = """
[store]
uri = "store"
[models]
include = ["local/vit"]
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "images"
[recordings.fmri]
kind = "rdm"
stimuli = "photos"
path = "rdm.npz"
[[evaluations]]
kind = "neural_fit"
recording = "fmri"
readouts = ["rsa"]
layers = "logits"
n_folds = 2
n_resamples = 10
"""
FIRST_AND_LAST = "recording 'fmri': rows have no ids and meet the images by their order: row 1 is "


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images 1.png to 11.png, their RDM without ids, and a sweep of one small model."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(1, N + 1):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    np.savez(tmp_path / "rdm.npz", rdm=squareform(pdist(rng.random((N, 3)))))
    (tmp_path / "sweep.toml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def decided(folder, key):
    text = SWEEP.replace('path = "rdm.npz"', f'path = "rdm.npz"\n{key}')
    (folder / "sweep.toml").write_text(text)


def test_a_plan_refuses_rows_that_may_be_of_other_images(folder, capsys):
    assert cli.main(["plan", "sweep.toml"]) == 1
    said = capsys.readouterr()
    (line,) = (line for line in said.out.splitlines() if line.startswith("refused: "))
    assert "'10.png' before '2.png' as text" in line
    assert not said.err


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        ("natural", "'1.png', row 2 is '2.png', row 11 is '11.png'"),
        ("images", "'1.png', row 2 is '10.png', row 11 is '9.png'"),
    ],
)
def test_a_plan_says_which_row_meets_which_image(folder, capsys, order, rows):
    decided(folder, f'order = "{order}"')
    assert cli.main(["plan", "sweep.toml"]) == 0
    assert FIRST_AND_LAST + rows in capsys.readouterr().out.splitlines()


def test_a_run_says_it_too_and_nothing_of_rows_with_ids(folder):
    decided(folder, 'order = "natural"')
    said = []
    options = sweep.SweepOptions(folder / "sweep.toml", folder, runner="local")
    assert sweep.run(options, said.append) == 0
    assert [line for line in said if line.startswith(FIRST_AND_LAST)]
    decided(folder, f"stimulus_ids = {[str(number) for number in range(1, N + 1)]}")
    again = []
    assert sweep.run(options, again.append) == 0
    # The same recording: nothing is left to do.
    assert "0 pending" in again[0]
    assert not [line for line in again if "rows" in line]
