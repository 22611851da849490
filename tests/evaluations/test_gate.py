"""The gate's verdicts: few images never pass, improbably few correct ones fail."""

from dataclasses import replace

import pytest
from scipy.stats import binomtest
from torch import nn

from tests.planted_nets import noise, opened
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.evaluations.gate import Gate, compare_top1_with
from zoo_eval.inputs import Inputs


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
