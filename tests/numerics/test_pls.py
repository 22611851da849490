"""PLS from a Gram matrix equals scikit-learn's and ikpls' on the features themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ikpls import numpy as ikpls
from numpy.testing import assert_allclose

from tests.numerics.regression import Problem, exact_pls, problem, ten_folds
from tests.rounding import SCORE, float64_products
from zoo_eval.numerics import pls
from zoo_eval.numerics.path_scores import path_scores


def fitted(given: Problem, n_components: int, gram=None) -> pls.PlsPath:
    training = torch.zeros(1, len(given.features), dtype=torch.bool)
    training[0, given.train] = True
    gram = given.gram() if gram is None else gram
    return pls.fit_paths(gram, torch.from_numpy(given.responses), training, n_components)


def predicted_path(given: Problem, n_components: int, gram=None) -> np.ndarray:
    path, test = fitted(given, n_components, gram), torch.from_numpy(given.test)
    return np.stack([path.predictions(0, test, k + 1) for k in range(n_components)])


def predicted_by_sklearn(given: Problem, n_components: int) -> np.ndarray:
    return exact_pls(*given.training(), n_components).predict(given.features[given.test])


def predicted_by_least_squares(given: Problem) -> np.ndarray:
    features, responses = given.training()
    mean = features.mean(0)
    weights = np.linalg.lstsq(features - mean, responses - responses.mean(0), rcond=None)[0]
    return (given.features[given.test] - mean) @ weights + responses.mean(0)


@pytest.mark.parametrize("mean", [0, 100])
@pytest.mark.parametrize(
    ("n", "p", "targets"), [(60, 200, 7), (120, 40, 7), (60, 200, 1), (120, 40, 1), (90, 300, 40)]
)
def test_the_whole_path_equals_sklearn(n, p, targets, mean):
    given = problem(n=n, p=p, targets=targets, mean=mean)
    path = predicted_path(given, 20)
    assert path.shape == (20, len(given.test), targets)
    for n_components in (1, 2, 3, 5, 8, 12, 20):
        expected = given.r(predicted_by_sklearn(given, n_components))
        assert_allclose(given.r(path[n_components - 1]), expected, rtol=0, atol=given.rounding())


@pytest.mark.parametrize("targets", [60, 250])
def test_more_targets_than_stimuli_equal_sklearn(targets):
    given = problem(n=40, p=500, targets=targets)
    path = predicted_path(given, 20)
    for n_components in (1, 5, 20):
        expected = given.r(predicted_by_sklearn(given, n_components))
        assert_allclose(given.r(path[n_components - 1]), expected, rtol=0, atol=given.rounding())


@pytest.mark.parametrize(("n", "p", "targets"), [(80, 300, 30), (90, 20, 5), (60, 200, 1)])
def test_predictions_equal_ikpls(n, p, targets):
    given = problem(n=n, p=p, targets=targets, mean=2)
    model = ikpls.PLS(algorithm=1, scale_X=False, scale_Y=False)
    model.fit(*given.training(), 15)
    path = predicted_path(given, 15)
    for n_components in (1, 4, 15):
        expected = model.predict(given.features[given.test], n_components)
        rounding = given.predictions_rounding()
        assert_allclose(path[n_components - 1].ravel(), expected.ravel(), rtol=0, atol=rounding)


def test_every_fold_of_a_batch_equals_sklearn_in_that_fold():
    given = problem(n=150, p=400, targets=30, mean=3)
    training, test = ten_folds(150)
    path = pls.fit_paths(given.gram(), torch.from_numpy(given.responses), training, 10)
    for number in range(10):
        train, held = (np.flatnonzero(rows[number]) for rows in (training, test))
        fold = given._replace(train=train, test=held)
        found = path.predictions(number, torch.from_numpy(held), 10).numpy()
        expected = fold.r(predicted_by_sklearn(fold, 10))
        assert_allclose(fold.r(found), expected, rtol=0, atol=fold.rounding())


def test_folds_in_parts_equal_folds_at_once(monkeypatch):
    given = problem(n=100, p=200, targets=30)
    training, _ = ten_folds(100)
    arguments = given.gram(), torch.from_numpy(given.responses), training, 8
    at_once = pls.fit_paths(*arguments)
    monkeypatch.setattr(pls, "FOLDS_BYTES", 1)
    in_parts = pls.fit_paths(*arguments)
    for fold in range(10):
        rows = torch.arange(100)
        one, other = (path.predictions(fold, rows, 8) for path in (at_once, in_parts))
        assert_allclose(one, other, rtol=0, atol=given.predictions_rounding())


def test_a_steep_spectrum_is_followed_to_the_end():
    given = problem(n=80, p=300, targets=40, decay=1.5)
    path = predicted_path(given, 30)
    expected = given.r(predicted_by_sklearn(given, 30))
    assert_allclose(given.r(path[-1]), expected, rtol=0, atol=given.rounding())


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("mean", [0, 1000])
def test_past_the_last_feature_the_path_stays_at_least_squares(noise, mean):
    # Ten features: from the tenth component on there is nothing left but rounding.
    given = problem(n=80, p=10, targets=3, noise=noise, mean=mean)
    path = predicted_path(given, 25)
    expected = predicted_by_least_squares(given)
    assert np.abs(path[0] - expected).max() > 0.1
    for n_components in (10, 11, 15, 25):
        assert_allclose(path[n_components - 1], expected, rtol=0, atol=given.predictions_rounding())
    assert not fitted(given, 25).scores[0, 10 if noise else 24 :].any()


def test_responses_explained_exactly_are_predicted_exactly():
    given = problem(n=60, p=8, targets=40, noise=0)
    path = predicted_path(given, 20)
    for n_components in (8, 9, 20):
        found, rounding = path[n_components - 1], given.predictions_rounding()
        assert_allclose(found, given.responses[given.test], rtol=0, atol=rounding)


def test_past_responses_explained_exactly_the_path_stays_though_features_are_left():
    # Orthonormal features of mean zero over the training rows, one of which is the target.
    given = problem(n=60, p=10, targets=1)
    features = given.features.copy()
    rows = features[given.train]
    features[given.train] = np.linalg.qr(rows - rows.mean(0))[0]
    given = given._replace(features=features, responses=features[:, :1] + 3)
    path = fitted(given, 5)
    assert path.scores[0, 0].any()
    assert not path.scores[0, 1:].any()
    found = predicted_path(given, 5)[-1]
    rounding = given.predictions_rounding()
    assert_allclose(found, given.responses[given.test], rtol=0, atol=rounding)


def test_a_large_target_that_is_soon_explained_costs_the_others_no_digits():
    # The others' share of E^T K E begins at 10^-12, where rounding is all but as large.
    given = problem(n=80, p=300, targets=30)
    responses = given.responses.copy()
    responses[:, 0] = 1e6 * given.features[:, 0]
    features = given.features.copy()
    features[:, 0] *= 100
    given = given._replace(features=features, responses=responses)
    path = predicted_path(given, 20)
    for n_components in (2, 5, 10, 20):
        expected = given.r(predicted_by_sklearn(given, n_components))
        assert_allclose(given.r(path[n_components - 1]), expected, rtol=0, atol=SCORE)


def test_duplicate_stimuli_make_a_singular_gram_matrix_and_no_trouble():
    given = problem(n=60, p=200, targets=5)
    given = given._replace(features=np.repeat(given.features[:30], 2, axis=0))
    found = given.r(predicted_path(given, 10)[-1])
    expected = given.r(predicted_by_sklearn(given, 10))
    assert_allclose(found, expected, rtol=0, atol=given.rounding())


def test_test_rows_that_outweigh_the_training_rows_leave_no_rounding_behind():
    given = problem(n=90, p=300, targets=40)
    features, responses = given.features.copy(), given.responses.copy()
    features[given.test] *= 1e4
    responses[given.test] *= 1e4
    heavy = given._replace(features=features, responses=responses)
    found = predicted_path(heavy, 10)[-1]
    mean = given.responses[given.train].mean(0)
    expected = predicted_by_sklearn(heavy, 10)
    assert_allclose(found - mean, expected - mean, rtol=0, atol=SCORE * np.abs(expected).max())
    assert_allclose(heavy.r(found), heavy.r(expected), rtol=0, atol=SCORE)


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.5])
def test_constant_responses_are_predicted_by_their_constant(constant):
    given = problem(n=30, p=8, targets=2)._replace(responses=np.full((30, 2), constant))
    assert_allclose(predicted_path(given, 3), constant, rtol=0, atol=float64_products(30, constant))


def test_constant_features_predict_the_mean():
    given = problem(n=30, p=8, targets=2)._replace(features=np.full((30, 8), 3.5))
    mean = given.responses[given.train].mean(0)
    expected = np.broadcast_to(mean, (3, len(given.test), 2))
    rounding = float64_products(30, np.abs(given.responses).max())
    assert_allclose(predicted_path(given, 3), expected, rtol=0, atol=rounding)


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
    scale=st.floats(0.01, 100),
    n=st.integers(16, 40),
)
def test_rotating_shifting_and_scaling_the_features_changes_nothing(seed, targets, shift, scale, n):
    given = problem(n=n, p=12, targets=targets, seed=seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((12, 12)))
    moved = given._replace(features=(given.features @ rotation + shift) * scale)
    rounding = given.predictions_rounding() + moved.predictions_rounding()
    assert_allclose(predicted_path(moved, 4), predicted_path(given, 4), rtol=0, atol=rounding)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_stimuli_changes_nothing(seed):
    given = problem(n=50, p=80, targets=30)
    order = np.random.default_rng(seed).permutation(50)
    place = np.argsort(order)
    shuffled = Problem(
        given.features[order], given.responses[order], place[given.train], place[given.test]
    )
    rounding = given.predictions_rounding()
    assert_allclose(predicted_path(shuffled, 6), predicted_path(given, 6), rtol=0, atol=rounding)


def test_test_responses_never_change_predictions():
    given = problem(n=90, p=200, targets=30)
    changed = given.responses.copy()
    changed[given.test] = 5 * np.random.default_rng(1).standard_normal(changed[given.test].shape)
    before, after = (predicted_path(g, 10) for g in (given, given._replace(responses=changed)))
    assert_allclose(after, before, rtol=0, atol=given.predictions_rounding())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_scores():
    given = problem(n=120, p=300, targets=40)
    training, test = ten_folds(120)
    responses = torch.from_numpy(given.responses)

    def r(device):
        y, inside, held = (values.to(device) for values in (responses, training, test))
        return path_scores(pls.fit_paths(given.gram().to(device), y, inside, 12), y, held).r.cpu()

    assert_allclose(r("cuda"), r("cpu"), rtol=0, atol=given.rounding())


@pytest.mark.parametrize("targets", [40, 90], ids=["fewer than rows", "more than rows"])
@pytest.mark.parametrize("rank", [6, 3], ids=["full rank", "twice the same"])
def test_features_that_are_fewer_than_the_targets_are_told_apart_faster_and_alike(targets, rank):
    given = problem(n=60, p=rank, targets=targets, mean=3)
    features = np.tile(given.features, 6 // rank)
    known, responses = torch.from_numpy(features), torch.from_numpy(given.responses)
    training, test = ten_folds(len(features))
    arguments = known @ known.T, responses, training, 3
    alike = pls.fit_paths(*arguments)
    found = pls.fit_paths(*arguments, features=known)
    for fold in range(10):
        rows = test[fold].nonzero()[:, 0]
        expected = exact_pls(features[training[fold]], given.responses[training[fold]], 3)
        for path in (alike, found):
            predicted = path.predictions(fold, rows, 3)
            assert_allclose(predicted, expected.predict(features[rows]), rtol=0, atol=1e-6)
