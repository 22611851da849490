"""The gate's verdicts: few images never pass, improbably few correct ones fail."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from tests.planted_nets import noise, opened, pixels
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.gate import Gate, compare_logits, compare_top1_with
from zoo_eval.inputs import Inputs
from zoo_eval.representations.representations import Representations


def test_few_images_are_undecided_however_good():
    assert compare_top1_with(0.75, 18, 20).gate == "undecided"
    assert compare_top1_with(0.75, 15, 20).gate == "undecided"


def test_many_images_near_the_published_value_pass():
    assert compare_top1_with(0.75, 7500, 10_000).gate == "pass"
    assert compare_top1_with(0.75, 750, 1000).gate == "undecided"


@pytest.mark.parametrize(("n_correct", "n_images"), [(9, 20), (8, 20), (700, 1000), (718, 1000)])
def test_it_fails_exactly_where_the_binomial_test_does(n_correct, n_images):
    p_value = binomtest(n_correct, n_images, 0.75, alternative="less").pvalue
    verdict = compare_top1_with(0.75, n_correct, n_images)
    assert (verdict.gate == "fail") == (p_value < 0.01)


def test_more_correct_than_published_is_no_failure():
    assert compare_top1_with(0.75, 1000, 1000).gate == "undecided"


def test_an_accuracy_published_at_another_size_is_not_compared():
    model = opened(nn.Flatten())
    labelled = replace(noise(4), labels=(0, 1, 2, 3))
    inputs = Inputs({"photos": labelled})
    card = replace(model.card, weights="pretrained", published_top1=0.9)
    anatomy = replace(model.blueprint.anatomy, n_classes=1000)
    candidate = Candidate(card, replace(model.blueprint, anatomy=anatomy))
    (compared,) = Gate(stimuli="photos").trials(candidate, inputs, 0)
    assert compared.stimuli == labelled.name
    elsewhere = replace(card, published_view="288 px of 288")
    (kept,) = Gate(stimuli="photos").trials(replace(candidate, card=elsewhere), inputs, 0)
    assert kept.stimuli is None
    model.card = elsewhere
    verdict = Gate(stimuli="photos")._verdict(model, inputs, compare_top1=False)
    assert (verdict.gate, verdict.reason) == ("undecided", "top-1 was published at 288 px of 288")


def test_gate_and_accuracy_of_the_same_photos_predict_once():
    torch.manual_seed(0)
    model = opened(nn.Sequential(nn.Flatten(), nn.Linear(192, 1000)))
    inputs = Inputs(
        {
            name: replace(noise(7, seed=seed), name=name, labels=tuple(range(7)))
            for seed, name in enumerate(("photos", "others"))
        }
    )
    # Its weights are its own, so that no hub is asked for a revision.
    model.card = replace(
        model.card, weights="pretrained", checkpoint=Path("own.pt"), published_top1=0.9
    )
    anatomy = replace(model.blueprint.anatomy, n_classes=1000)
    candidate = Candidate(model.card, replace(model.blueprint, anatomy=anatomy))
    bench = Workbench(inputs, candidate, model, Representations(model, 2**20))
    made, planned = [], []
    for evaluation in (
        Gate(stimuli="photos"),
        Accuracy(stimuli="photos"),
        Accuracy(stimuli="others"),
    ):
        trials = evaluation.trials(candidate, inputs, 0)
        before = model.n_passes
        (result,) = evaluation.run(trials, bench)
        assert result.error is None
        made.append(model.n_passes - before)
        planned.append(evaluation.n_passes(trials, inputs))
    assert made == [7, 0, 7]
    assert planned == [7, 7, 7]


class NotFinite(nn.Module):
    def forward(self, images):
        logits = images.flatten(1)
        return torch.where(logits[:, :1] > 0.5, torch.nan, logits)


def test_logits_that_are_not_finite_fail_whatever_they_are_compared_with():
    shown = noise(8)
    labelled = replace(shown, labels=tuple(range(8)))
    model = opened(NotFinite())
    model.card = replace(model.card, weights="pretrained", published_top1=0.1)
    inputs = Inputs({labelled.name: labelled})
    of_top1 = Gate(stimuli=labelled.name)._verdict(model, inputs, compare_top1=True)
    of_logits = compare_logits(model, pixels(shown), torch.zeros(8, 192))
    for verdict in (of_top1, of_logits):
        assert verdict.gate == "fail"
        assert "non-finite logits" in verdict.reason
        assert verdict.max_abs_logit_diff is None
