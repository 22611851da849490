"""Fits of a model that is killed half-way are not done again, and its rows are those of one that was not."""

import pytest

from tests.runners.comparison import assert_each_trial_once, assert_same_results
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.evaluations.evaluation import Workbench
from zoo_eval.storage import parts
from zoo_eval.store import Store

SWEEP = """
[store]
uri = "unused"
[models]
include = ["local/*"]
[[models.local]]
name = "efficientnet"
architecture = "timm/test_efficientnet"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-4]*.jpg"]
[stimuli.crops]
kind = "crops"
of = ["photos"]
n = 24
size_px = 96
"""
FITS = {
    "neural_scores": """
[recordings.planted]
kind = "planted"
stimuli = "crops"
model = "local/efficientnet"
layer = "blocks.1"
n_components = 4
n_targets = 3
n_repetitions = 2
[[evaluations]]
kind = "neural_fit"
recording = "planted"
readouts = ["ridge", "reverse_ridge"]
n_folds = 3
n_inner_folds = 2
""",
    "spatial_scores": """
[recordings.planted]
kind = "planted_spatial"
stimuli = "photos"
model = "local/efficientnet"
layer = "blocks.2.0"
grid = [9, 9]
n_components = 3
n_channels = 3
[[evaluations]]
kind = "spatial_fit"
recording = "planted"
n_components = 3
keep_maps = true
""",
}
ALSO = {"neural_scores": (), "spatial_scores": ("spatial_maps",)}
N_BEFORE = 2


@pytest.mark.parametrize("table", FITS)
def test_fits_that_a_killed_process_had_made_are_taken_over(
    table, tmp_path, monkeypatch, one_thread
):
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP + FITS[table])
    made: list[str] = []
    real = Workbench.made

    def noting(bench, trial, make):
        if len(made) == most:
            raise KeyboardInterrupt
        made.append(trial.id)
        return real(bench, trial, make)

    def run(name: str) -> int:
        request = SweepOptions(file, tmp_path, store=str(tmp_path / name), runner="local")
        return sweep.run(request, lambda line: None)

    monkeypatch.setattr(Workbench, "made", noting)
    # All of them are written, however soon they are made.
    monkeypatch.setattr(parts, "KEPT_EVERY_S", 0.0)
    most = -1
    assert run("whole") == 0
    everything = list(made)
    made.clear()
    most = N_BEFORE
    with pytest.raises(KeyboardInterrupt):
        run("killed")
    store = Store(str(tmp_path / "killed"))
    assert {one.trial_id for one in parts.present(store.objects)} == set(everything[:N_BEFORE])
    made.clear()
    most = -1
    assert run("killed") == 0
    assert made == everything[N_BEFORE:]
    assert parts.present(store.objects) == []
    assert_each_trial_once(tmp_path / "killed")
    assert_same_results(tmp_path / "killed", tmp_path / "whole", (table, *ALSO[table]))
