"""PLS with images left out, from features: beside scikit-learn on each fold's own rows."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression

from tests.numerics.regression import exact_pls
from tests.rounding import SCORE
from zoo_eval.numerics import image_pls
from zoo_eval.numerics.image_pls import ImageRows, predict
from zoo_eval.numerics.pls import TooManyComponents, fit_paths

N_IMAGES, GRID, N_CHANNELS = 5, (4, 5), 6


def problem(n_features, *, mean=3.0, seed=0):
    """Maps (image, row, column, feature) of decaying variances, and channels that follow them noisily."""
    rng = np.random.default_rng(seed)
    shape = (N_IMAGES, *GRID, n_features)
    features = rng.standard_normal(shape) * np.arange(1.0, n_features + 1) ** -0.7 + mean
    signal = (features - mean) @ rng.standard_normal((n_features, N_CHANNELS))
    responses = signal / signal.std() + rng.standard_normal(signal.shape) + 7
    return torch.from_numpy(features), torch.from_numpy(responses)


def without(*left_out):
    training = torch.ones(len(left_out), N_IMAGES, dtype=torch.bool)
    for fold, images in enumerate(left_out):
        training[fold, list(images)] = False
    return training


def rows_of(maps, images):
    return maps[list(images)].flatten(0, 2).numpy()


FOLDS = [(0,), (3,), (1, 4), (0, 1, 2)]


# Fewer features than rows, as many as they leave, and more.
@pytest.mark.parametrize("n_features", [8, 70, 100, 150])
@pytest.mark.parametrize("n_components", [1, 7])
def test_every_fold_is_scikit_learns(n_features, n_components):
    features, responses = problem(n_features)
    found = predict(ImageRows.of(features, responses), without(*FOLDS), n_components)
    for fold, left_out in enumerate(FOLDS):
        trained = [image for image in range(N_IMAGES) if image not in left_out]
        model = exact_pls(rows_of(features, trained), rows_of(responses, trained), n_components)
        assert set(found.of_image[fold]) == set(left_out)
        for image in left_out:
            expected = model.predict(rows_of(features, [image]))
            assert_allclose(found.of_image[fold][image], expected, rtol=0, atol=SCORE)
        zero = model.predict(np.zeros((1, n_features)))[0]
        assert_allclose(found.at_origin[fold], zero, rtol=0, atol=SCORE)


def test_the_power_iteration_of_scikit_learn_ends_there_too():
    features, responses = problem(12)
    found = predict(ImageRows.of(features, responses), without((2,)), 5)
    model = PLSRegression(5, scale=False, tol=1e-14, max_iter=20_000)
    model.fit(rows_of(features, [0, 1, 3, 4]), rows_of(responses, [0, 1, 3, 4]))
    expected = model.predict(rows_of(features, [2]))
    assert_allclose(found.of_image[0][2], expected, rtol=0, atol=SCORE)


def test_it_is_the_fit_from_the_gram_matrix():
    features, responses = problem(30)
    x, y = features.flatten(0, 2), responses.flatten(0, 2)
    training = without((1,), (2, 3))
    of_rows = training.repeat_interleave(GRID[0] * GRID[1], 1)
    path = fit_paths(x @ x.T, y, of_rows, 6)
    found = predict(ImageRows.of(features, responses), training, 6)
    for fold, images in enumerate([(1,), (2, 3)]):
        for image in images:
            place = torch.arange(len(x)).view(N_IMAGES, -1)[image]
            expected = path.predictions(fold, place, 6)
            assert_allclose(found.of_image[fold][image], expected, rtol=0, atol=SCORE)


def test_folds_in_parts_are_folds_at_once(monkeypatch):
    features, responses = problem(20)
    rows, training = ImageRows.of(features, responses), without(*FOLDS)
    whole = predict(rows, training, 4)
    monkeypatch.setattr(image_pls, "FOLDS_BYTES", 1)
    parts = predict(rows, training, 4)
    for one, other in zip(whole.of_image, parts.of_image, strict=True):
        for image in one:
            assert_allclose(one[image], other[image], rtol=0, atol=1e-12)
    assert_allclose(whole.at_origin, parts.at_origin, rtol=0, atol=1e-12)


def test_once_the_features_are_used_up_it_is_least_squares():
    features, responses = problem(4)
    features = torch.cat([features, 2 * features[..., :2], torch.ones_like(features)], 3)
    found = predict(ImageRows.of(features, responses), without((0,)), 10)
    model = LinearRegression().fit(rows_of(features, range(1, 5)), rows_of(responses, range(1, 5)))
    expected = model.predict(rows_of(features, [0]))
    assert_allclose(found.of_image[0][0], expected, rtol=0, atol=SCORE)


def test_constant_features_and_channels_are_predicted_by_the_mean():
    features, responses = problem(4)
    responses[1:, :, :, 2] = 0.1
    found = predict(ImageRows.of(features, responses), without((0,)), 3).of_image[0][0]
    assert_allclose(found[:, 2], 0.1, rtol=0, atol=1e-12)
    assert float(found[:, 1].std()) > 0.01
    flat = predict(ImageRows.of(torch.full_like(features, 0.3), responses), without((0,)), 3)
    expected = responses[1:].flatten(0, 2).mean(0).expand(20, -1)
    assert_allclose(flat.of_image[0][0], expected, rtol=0, atol=1e-12)


def test_large_offsets_cost_no_digits_that_show():
    features, responses = problem(12)
    plain = predict(ImageRows.of(features, responses), without((0,)), 5).of_image[0][0]
    moved = predict(ImageRows.of(features + 1e4, responses + 1e4), without((0,)), 5)
    assert_allclose(moved.of_image[0][0] - 1e4, plain, rtol=0, atol=SCORE)


def test_as_many_components_as_rows_are_refused():
    features, responses = problem(4)
    with pytest.raises(
        TooManyComponents, match="20 PLS components need more than 20 training rows"
    ):
        predict(ImageRows.of(features, responses), without((0, 1, 2, 3)), 20)


@pytest.mark.parametrize("n_features", [60, 400])
def test_what_it_takes_is_stated_beforehand(n_features, one_thread):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((6, 7, 7, n_features)))
    responses = torch.from_numpy(rng.standard_normal((6, 7, 7, 8)))
    training = ~torch.eye(6, dtype=torch.bool)
    with torch.profiler.profile(profile_memory=True) as profile:
        predict(ImageRows.of(features, responses), training, 5)
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    stated = image_pls.fit_bytes(training, 49, n_features, 8, 5)
    assert 0 < most <= stated
