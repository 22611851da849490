"""The gate's verdicts: few images never pass, improbably few correct ones fail."""

import pytest
from scipy.stats import binomtest

from zoo_eval.evaluations.gate import compare_top1_with


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
