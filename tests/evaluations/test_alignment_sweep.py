"""From a sweep file to the report: planted maps, a real (untrained) network, real photos."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.rounding import float64_correlation
from tests.sweeps import loaded
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.numerics.alignment import REDUCTIONS
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page
from zoo_eval.sources.registry import source_of
from zoo_eval.store import Store

SWEEP = """
[store]
uri = "{store}"
[models]
include = ["local/*"]
[[models.local]]
name = "efficientnet"
architecture = "timm/test_efficientnet"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[0-3]*.jpg"]
labels = "{labels}"
[importance.contrast]
kind = "planted"
stimuli = "photos"
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
[[evaluations]]
kind = "human_alignment"
stimuli = "photos"
importance = "contrast"
methods = ["input_gradient", "smooth_grad", "integrated_gradients"]
options = {{ smooth_grad = {{ n_samples = 3 }}, integrated_gradients = {{ n_steps = 4 }} }}
[[evaluations]]
kind = "minimal_attack"
stimuli = "photos"
attacks = ["ddn"]
options = {{ ddn = {{ steps = 10 }} }}
importance = "contrast"
save_perturbations = true
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, own_labels):
    """The sweep file after it was run, and its store."""
    folder = tmp_path_factory.mktemp("alignment")
    file = folder / "sweep.toml"
    file.write_text(SWEEP.format(store=folder / "store", labels=own_labels))
    assert sweep.run(SweepOptions(file, folder, runner="local"), lambda line: None) == 0
    return file, Store(str(folder / "store"))


def test_every_method_has_its_rows_and_trials_name_their_maps(done):
    _, store = done
    found = connect(store).rows(
        "SELECT method, count(*) AS n, count(spearman) AS known FROM alignment GROUP BY method"
    )
    assert {row["method"]: row["n"] for row in found} == {
        "input_gradient": 12, "smooth_grad": 12, "integrated_gradients": 12, "ddn": 12,
    }  # fmt: skip
    assert all(row["known"] == row["n"] for row in found)
    trials = connect(store).rows(
        "SELECT DISTINCT evaluation, importance FROM trials WHERE importance IS NOT NULL"
    )
    assert {row["evaluation"] for row in trials} == {"human_alignment", "minimal_attack"}
    assert {row["importance"] for row in trials} == {"contrast"}


def test_rows_equal_scipy_on_the_stored_perturbation_and_the_map_as_the_model_sees_it(done):
    file, store = done
    inputs = loaded(file)[2]
    photos = inputs.stimulus_set("photos")
    transform = source_of("timm/test_efficientnet").transform("timm/test_efficientnet", None)
    seen = inputs.maps("contrast", photos).seen_through(transform, photos)
    rows = connect(store).rows(
        "SELECT * FROM alignment JOIN perturbations USING (trial_id, stimulus_id)"
    )
    assert len(rows) == 12
    for row in rows:
        values = torch.tensor(row["perturbation"]).reshape(row["shape"])
        reduced = REDUCTIONS[row["channel_reduction"]](values[None])[0].numpy()
        human = seen.maps[photos.ids.index(row["stimulus_id"])]
        rounding = float64_correlation(human.size)
        assert row["spearman"] == pytest.approx(
            spearmanr(reduced.ravel(), human.ravel()).statistic, rel=0, abs=rounding
        )
        others = [m for i, m in zip(photos.ids, seen.maps) if i != row["stimulus_id"]]
        null = np.mean([spearmanr(reduced.ravel(), m.ravel()).statistic for m in others])
        assert row["null_spearman"] == pytest.approx(null, rel=0, abs=rounding)


def test_the_same_sweep_again_runs_nothing_and_another_preparation_only_what_uses_it(done):
    file, _ = done
    said: list[str] = []
    assert sweep.run(SweepOptions(file, file.parent, runner="local"), said.append) == 0
    assert said[0].startswith("6 trials wanted: 6 done, 0 pending")
    other = file.with_name("other.toml")
    planted = 'kind = "planted"\n'
    other.write_text(file.read_text().replace(planted, f"{planted}blur = false\n"))
    assert sweep.show_plan(SweepOptions(other, file.parent)) == 0
    said.clear()
    assert sweep.run(SweepOptions(other, file.parent, runner="local"), said.append) == 0
    assert said[0].startswith("6 trials wanted: 2 done, 4 pending")


def test_the_report_shows_alignment_and_pictures_and_says_that_maps_are_planted(done):
    _, store = done
    html = page(connect(store), "x")
    assert "they are not human data" in html
    assert "contrast, photos, input_gradient, abs_max" in html
    assert html.count("data:image/png;base64,") == 8
