"""Rotated units stand for all features: squared errors over them are those over the features."""

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression, Ridge

from tests.numerics.regression import exact_pls
from zoo_eval.numerics.rotated import rotated, variance_explained

N, TRAIN = 40, 30


@pytest.fixture(scope="module")
def parts():
    """Features of which most are beyond the number of stimuli, and what predicts some of them."""
    rng = np.random.default_rng(0)
    predictors = rng.standard_normal((N, 6))
    features = predictors @ rng.standard_normal((6, 200)) + 2 * rng.standard_normal((N, 200)) + 30
    return predictors, features


def explained(model, predictors, units):
    fitted = model.fit(predictors[:TRAIN], units[:TRAIN])
    given = fitted.predict(predictors[TRAIN:]), units[TRAIN:], units[:TRAIN].mean(0)
    return variance_explained(*map(torch.from_numpy, given))


MODELS = [
    Ridge(alpha=7.0),
    LinearRegression(),
    PLSRegression(3, scale=False, max_iter=20000, tol=1e-14),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_any_linear_fit_explains_as_much_of_rotated_units_as_of_the_features(parts, model, offset):
    predictors, features = parts
    units = rotated(torch.from_numpy((features + offset) @ (features + offset).T)).numpy()
    assert units.shape[1] <= N
    expected = explained(model, predictors, features)
    assert explained(model, predictors, units) == pytest.approx(expected, rel=0, abs=1e-6)
    # By hand, over every feature.
    predicted = model.fit(predictors[:TRAIN], features[:TRAIN]).predict(predictors[TRAIN:])
    errors = sum(((predicted - features[TRAIN:]) ** 2).ravel())
    total = sum(((features[:TRAIN].mean(0) - features[TRAIN:]) ** 2).ravel())
    assert expected == pytest.approx(1 - errors / total, rel=0, abs=1e-12)


def test_the_products_of_rotated_units_are_those_of_the_centred_features(parts):
    _, features = parts
    units = rotated(torch.from_numpy(features @ features.T)).numpy()
    centred = features - features.mean(0)
    np.testing.assert_allclose(units @ units.T, centred @ centred.T, rtol=0, atol=1e-8)


def test_few_features_are_as_few_rotated_units(parts):
    predictors, _ = parts
    assert rotated(torch.from_numpy(predictors @ predictors.T)).shape == (N, 6)


@pytest.mark.parametrize("value", [0.0, 3.7])
def test_constant_features_are_none(value):
    features = torch.full((N, 50), value, dtype=torch.float64)
    assert rotated(features @ features.T) is None


def test_the_training_mean_explains_nothing_and_what_is_worse_less():
    observed = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    mean = torch.tensor([2.0, 3.0])
    assert variance_explained(mean.expand(2, 2), observed, mean) == 0
    assert variance_explained(observed, observed, mean) == 1
    assert variance_explained(observed + 5, observed, mean) < 0
    assert np.isnan(variance_explained(mean[None], mean[None], mean))


def test_pls_of_the_tests_is_the_one_run_to_convergence(parts):
    """Two algorithms of scikit-learn, of which one stands beside ours elsewhere."""
    predictors, features = parts
    expected = explained(MODELS[2], predictors, features)
    model = exact_pls(predictors[:TRAIN], features[:TRAIN], 3)
    predicted = model.predict(predictors[TRAIN:])
    given = predicted, features[TRAIN:], features[:TRAIN].mean(0)
    assert variance_explained(*map(torch.from_numpy, given)) == pytest.approx(expected, abs=1e-6)
