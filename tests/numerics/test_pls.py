"""PLS from a Gram matrix equals scikit-learn's PLSRegression on the features themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.cross_decomposition import PLSRegression

from tests.numerics.regression import Problem, problem
from zoo_eval.numerics import pls


def predicted_path(given: Problem, n_components: int) -> np.ndarray:
    responses = torch.from_numpy(given.responses[given.train])
    return pls.predict_path(*given.blocks(), responses, n_components).numpy()


def predicted_by_sklearn(given: Problem, n_components: int) -> np.ndarray:
    # Its default tolerance stops the power iteration long before six digits are right, and even
    # 1e-14 leaves it up to 1e-6 away from the exact singular vectors.
    model = PLSRegression(n_components, scale=False, tol=1e-20, max_iter=10**5)
    return model.fit(*given.training()).predict(given.features[given.test])


def predicted_by_least_squares(given: Problem) -> np.ndarray:
    features, responses = given.training()
    mean = features.mean(0)
    weights = np.linalg.lstsq(features - mean, responses - responses.mean(0), rcond=None)[0]
    return (given.features[given.test] - mean) @ weights + responses.mean(0)


@pytest.mark.parametrize("mean", [0, 100])
@pytest.mark.parametrize(
    ("n", "p", "targets"),
    [(60, 200, 7), (120, 40, 7), (60, 200, 1), (120, 40, 1), (40, 500, 60)],
)
def test_the_whole_path_equals_sklearn(n, p, targets, mean):
    given = problem(n=n, p=p, targets=targets, mean=mean)
    path = predicted_path(given, 20)
    assert path.shape == (20, len(given.test), targets)
    for n_components in (1, 2, 3, 5, 8, 12, 20):
        expected = given.r(predicted_by_sklearn(given, n_components))
        assert_allclose(given.r(path[n_components - 1]), expected, atol=1e-7)


def test_a_steep_spectrum_is_followed_to_the_end():
    given = problem(n=80, p=300, targets=6, decay=1.5)
    path = predicted_path(given, 30)
    expected = given.r(predicted_by_sklearn(given, 30))
    assert_allclose(given.r(path[-1]), expected, atol=1e-6)


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("mean", [0, 1000])
def test_past_the_last_feature_the_path_stays_at_least_squares(noise, mean):
    # Ten features: from the tenth component on there is nothing left but rounding.
    given = problem(n=80, p=10, targets=3, noise=noise, mean=mean)
    path = predicted_path(given, 25)
    expected = predicted_by_least_squares(given)
    assert np.abs(path[0] - expected).max() > 0.1
    for n_components in (10, 11, 15, 25):
        assert_allclose(path[n_components - 1], expected, atol=1e-5)


def test_responses_explained_exactly_are_predicted_exactly():
    given = problem(n=60, p=8, targets=4, noise=0)
    path = predicted_path(given, 20)
    for n_components in (8, 9, 20):
        assert_allclose(path[n_components - 1], given.responses[given.test], atol=1e-8)


def test_constant_responses_are_predicted_by_their_constant():
    given = problem(n=30, p=8, targets=2)._replace(responses=np.full((30, 2), 3.5))
    assert_allclose(predicted_path(given, 3), 3.5, atol=1e-12)


def test_constant_features_predict_the_mean():
    given = problem(n=30, p=8, targets=2)._replace(features=np.full((30, 8), 3.5))
    mean = given.responses[given.train].mean(0)
    assert_allclose(predicted_path(given, 3), np.broadcast_to(mean, (3, len(given.test), 2)))


def test_as_many_components_as_training_rows_are_an_error():
    given = problem(n=40, p=100, targets=2)
    n_train = len(given.train)
    assert len(predicted_path(given, n_train - 1)) == n_train - 1
    with pytest.raises(pls.TooManyComponents, match=f"{n_train} PLS components need more"):
        predicted_path(given, n_train)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    targets=st.integers(1, 6),
    shift=st.floats(-10, 10),
    n=st.integers(16, 40),
)
def test_rotating_and_shifting_the_features_changes_nothing(seed, targets, shift, n):
    given = problem(n=n, p=12, targets=targets, seed=seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))
    moved = given._replace(features=given.features @ rotation + shift)
    assert_allclose(predicted_path(moved, 4), predicted_path(given, 4), rtol=1e-5, atol=1e-5)
