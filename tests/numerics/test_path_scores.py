"""Scores from moments equal SciPy's of the predictions themselves."""

import pytest
import torch
from numpy.testing import assert_allclose

from tests.numerics.regression import problem, ten_folds
from tests.rounding import float64_correlation
from zoo_eval.numerics import pls
from zoo_eval.numerics.path_scores import path_scores


@pytest.mark.parametrize("mean", [0, 1000])
def test_scores_from_moments_equal_scores_of_the_predictions(mean):
    given = problem(n=120, p=300, targets=9, mean=mean)
    training, test = ten_folds(120)
    responses = torch.from_numpy(given.responses)
    path = pls.fit_paths(given.gram(), responses, training, 12)
    scores = path_scores(path, responses, test)
    # Moments of responses whose mean may be thousands of spreads from zero, centred first.
    rounding = float64_correlation(120 + 12, shift=mean)
    for fold in range(10):
        rows = test[fold].nonzero()[:, 0]
        for k in (1, 7, 12):
            predicted = path.predictions(fold, rows, k).numpy()
            one = given._replace(test=rows.numpy())
            assert_allclose(scores.r[fold, k - 1], one.r(predicted), rtol=0, atol=rounding)
            expected = ((predicted - given.responses[rows]) ** 2).mean(0)
            assert_allclose(scores.squared_error[fold, k - 1], expected, rtol=2 * rounding)


def test_a_target_constant_in_training_alone_has_no_r():
    given = problem(n=60, p=100, targets=3)
    responses = given.responses.copy()
    responses[given.train, 1] = 0.1
    given = given._replace(responses=responses)
    training = torch.zeros(1, 60, dtype=torch.bool)
    training[0, given.train] = True
    y = torch.from_numpy(responses)
    path = pls.fit_paths(given.gram(), y, training, 4)
    r = path_scores(path, y, ~training).r[0]
    assert r.isnan().tolist() == [[False, True, False]] * 4
