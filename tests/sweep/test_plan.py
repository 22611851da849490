"""Planning says what Gram matrices take, in memory and passes, as the run itself does."""

from functools import partial
from pathlib import Path

import pytest
import torch

from tests.sweeps import loaded
from zoo_eval.errors import Refusal
from zoo_eval.evaluations.layers import Layers
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.models.open_model import open_model
from zoo_eval.representations.representations import Representations
from zoo_eval.store import Store
from zoo_eval.sweep.plan import Plan, Settled, plan

SKETCHED = """
[[evaluations]]
kind = "neural_fit"
recording = "planted"
readouts = ["ridge"]
sketch = 300
"""


OVERLAPPING = """
[[evaluations]]
kind = "neural_fit"
recording = "planted"
readouts = ["ridge", "cka"]
n_folds = 3
n_inner_folds = 2
comparison = "pearson"
"""


def planned(tiny_sweep: Path, budget: str, more: str = SKETCHED):
    """The sweep's plan with this budget and an evaluation more, and its stimuli."""
    file = tiny_sweep.with_name(f"{budget}.toml")
    file.write_text(tiny_sweep.read_text() + more + f'[run]\nmemory_budget = "{budget}"\n')
    sweep, models, inputs = loaded(file)
    store = Store(sweep.store.uri.address, create=True)
    found = plan(sweep, models.cards, inputs, Settled(store.ledger()))
    return found, inputs.stimulus_set("crops")


def captures(found: Plan, stimuli, budget_bytes: int):
    """Each group with Gram matrices, its planned passes, and the capture that it comes to."""
    for work in found.work:
        for group in work.groups:
            if isinstance(group.evaluation, Layers | NeuralFit):
                model = open_model(work.candidate.card, torch.device("cpu"))
                layers = list(dict.fromkeys(str(trial.layer) for trial in group.trials))
                sketch = getattr(group.evaluation, "sketch", None)
                representations = Representations(model, budget_bytes)
                yield (
                    group.n_passes,
                    representations,
                    partial(representations.grams, stimuli, layers, sketch=sketch),
                )


@pytest.mark.parametrize(("budget", "n_bytes"), [("4GiB", 2**32), ("8MiB", 2**23)])
def test_planned_passes_are_those_that_are_run(tiny_sweep, budget, n_bytes):
    found, stimuli = planned(tiny_sweep, budget)
    assert not found.refused
    n_planned = []
    for n_passes, representations, capture in captures(found, stimuli, n_bytes):
        capture()
        # One image for the shapes, and four for the mean of each group of features.
        rest = representations.model.n_passes - 1 - n_passes
        assert rest % 4 == 0
        assert rest <= 4 * n_passes / len(stimuli)
        n_planned.append(n_passes)
    assert len(n_planned) == 2 * 4  # two models: two fits, each with its `layers`
    if budget == "4GiB":
        assert set(n_planned) == {len(stimuli)}
    else:
        assert max(n_planned) > len(stimuli) == min(n_planned)


def test_a_refusal_at_planning_is_that_of_the_run(tiny_sweep):
    found, stimuli = planned(tiny_sweep, "2MiB")
    reasons = {one.reason for one in found.refused}
    assert {one.trial.model for one in found.refused} == {"local/efficientnet"}
    allowed, _ = planned(tiny_sweep, "1GiB")
    said = set()
    for _, representations, capture in captures(allowed, stimuli, 2**21):
        if representations.model.card.name == "local/efficientnet":
            with pytest.raises(Refusal) as refusal:
                capture()
            said.add(str(refusal.value))
    assert reasons == said


def test_a_trial_that_two_evaluations_want_is_planned_once(tiny_sweep):
    plans = [planned(tiny_sweep, "4GiB", more)[0] for more in ("", OVERLAPPING)]
    alone, both = (
        [trial for work in one.work for group in work.groups for trial in group.trials]
        for one in plans
    )
    ids = [trial.id for trial in both]
    assert len(set(ids)) == len(ids) == plans[1].wanted
    assert {trial.id for trial in alone} < set(ids)
    ridge = [trial for trial in both if trial.readout == "ridge"]
    assert len(ridge) == sum(trial.readout == "ridge" for trial in alone)
    assert any(trial.readout == "cka" for trial in both)


MANY_RESAMPLES = """
[[evaluations]]
kind = "neural_fit"
recording = "planted"
readouts = ["rsa", "cka", "ridge"]
n_folds = 3
n_inner_folds = 2
n_resamples = 100000
"""


def test_a_fit_beyond_the_memory_is_refused_with_the_figure_and_the_rest_is_planned(tiny_sweep):
    found, _ = planned(tiny_sweep, "64MiB", MANY_RESAMPLES)
    # 48 bytes per stimulus and resample; Gram matrices of 40 stimuli: the layer's, 11 to work with,
    # and 8/3 each for the recording's RDMs and for its own ones, whole and by fold. And a twentieth.
    least = (48 * 40 * 100_000 + (1 + 11 + 2 * 8 / 3) * 8 * 40 * 40) * 1.05
    assert {one.reason for one in found.refused} == {
        f"what is made of a Gram matrix of 40 stimuli takes {least / 2**20:.1f} MiB at once, more than "
        "memory_budget of 64.0 MiB; raise it, or name fewer stimuli, targets or readouts"
    }
    assert {one.trial.readout for one in found.refused} == {"rsa", "cka", "ridge"}
    others = {type(group.evaluation) for work in found.work for group in work.groups}
    assert {Layers, NeuralFit} < others
    allowed, _ = planned(tiny_sweep, "4GiB", MANY_RESAMPLES)
    assert {round(work.peak_bytes / least, 3) for work in allowed.work if work.peak_bytes} == {1}
