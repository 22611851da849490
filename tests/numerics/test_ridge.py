"""Ridge from a Gram matrix equals scikit-learn's Ridge and himalaya's KernelRidgeCV."""

import himalaya.backend
import numpy as np
import pytest
import torch
from himalaya.kernel_ridge import KernelRidgeCV
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold

from tests.numerics.regression import problem
from tests.rounding import SCORE, float64_products
from zoo_eval.numerics import ridge

ALPHAS = [1e-4, 1e-2, 1.0, 30.0, 1e3]


@pytest.mark.parametrize("mean", [0, 30])
@pytest.mark.parametrize(
    ("n", "p", "targets"), [(60, 200, 7), (120, 40, 7), (60, 200, 1), (120, 40, 1)]
)
def test_every_penalty_equals_sklearn(n, p, targets, mean):
    given = problem(n=n, p=p, targets=targets, mean=mean)
    responses = torch.from_numpy(given.responses[given.train])
    predicted = ridge.predict_alphas(
        *given.blocks(), responses, torch.tensor(ALPHAS, dtype=torch.float64)
    )
    assert predicted.shape == (len(ALPHAS), len(given.test), targets)
    for alpha, found in zip(ALPHAS, predicted.numpy(), strict=True):
        model = Ridge(alpha, solver="svd").fit(*given.training())
        expected = model.predict(given.features[given.test]).reshape(found.shape)
        assert_allclose(found, expected, rtol=0, atol=given.predictions_rounding(alpha))
        assert_allclose(given.r(found), given.r(expected), rtol=0, atol=SCORE)


def test_the_mean_eigenvalue_is_the_mean_of_the_eigenvalues():
    inner, _ = problem(n=40, p=20, targets=1).blocks()
    expected = np.linalg.eigvalsh(inner.numpy()).mean()
    assert ridge.mean_eigenvalue(inner) == pytest.approx(expected, rel=float64_products(40 * 40))


def tuned_problem(n=120, p=200, targets=12, **changes):
    """Centred blocks, training responses, alphas, and held-out rows of four inner folds."""
    given = problem(n=n, p=p, targets=targets, **changes)
    inner, cross = given.blocks()
    alphas = torch.logspace(-4, 4, 20, dtype=torch.float64) * ridge.mean_eigenvalue(inner)
    held_out = [torch.from_numpy(rows) for _, rows in KFold(4).split(given.train)]
    return given, (inner, cross, torch.from_numpy(given.responses[given.train]), alphas, held_out)


@pytest.mark.parametrize(
    ("n", "p", "targets"), [(120, 200, 12), (200, 30, 12), (80, 300, 1), (80, 90, 250)]
)
def test_the_choice_and_the_predictions_equal_himalaya(n, p, targets):
    given, arguments = tuned_problem(n=n, p=p, targets=targets, mean=2, noise=2)
    tuned = ridge.tune(*arguments)
    gram, alphas = given.gram().numpy(), arguments[3].numpy()
    himalaya.backend.set_backend("numpy")
    model = KernelRidgeCV(alphas, kernel="precomputed", fit_intercept=True, cv=KFold(4), warn=False)
    model.fit(gram[np.ix_(given.train, given.train)], given.responses[given.train])
    assert_allclose(alphas[tuned.choice], model.best_alphas_, rtol=float64_products(16))
    assert targets == 1 or len(set(tuned.choice.tolist())) > 1
    expected = model.predict(gram[np.ix_(given.test, given.train)])
    rounding = given.rounding(alphas[0])
    assert_allclose(given.r(tuned.predictions), given.r(expected), rtol=0, atol=rounding)


@pytest.mark.parametrize(("n", "p"), [(120, 200), (200, 30)])
def test_the_choice_and_the_selection_r_equal_a_loop_over_sklearn(n, p):
    given, arguments = tuned_problem(n=n, p=p, mean=2, noise=2)
    tuned = ridge.tune(*arguments)
    features, responses = given.training()
    errors, r = [], []
    for train, test in KFold(4).split(features):
        fits = [
            Ridge(alpha, solver="svd")
            .fit(features[train], responses[train])
            .predict(features[test])
            for alpha in arguments[3].tolist()
        ]
        errors.append([((fit - responses[test]) ** 2).mean(0) for fit in fits])
        inside = given._replace(test=given.train[test])
        r.append([inside.r(fit) for fit in fits])
    choice = np.mean(errors, axis=0).argmin(0)
    assert list(tuned.choice) == list(choice)
    expected = np.mean(r, axis=0)[choice, np.arange(len(choice))]
    # Leaving a fold out divides by what a small penalty hardly leaves: the condition is squared.
    assert_allclose(tuned.selection_r, expected, rtol=0, atol=SCORE)


def test_the_choice_for_one_target_is_that_of_ridgecv():
    given, (*blocks, responses, alphas, held_out) = tuned_problem(targets=9, mean=2, noise=2)
    features, expected = given.training()
    chosen = []
    for target in range(9):
        own = responses[:, target : target + 1]
        tuned = ridge.tune(*blocks, own, alphas, held_out)
        model = RidgeCV(alphas.tolist(), cv=KFold(4), scoring="neg_mean_squared_error")
        model.fit(features, expected[:, target])
        assert float(alphas[tuned.choice]) == pytest.approx(model.alpha_, rel=float64_products(16))
        chosen.append(model.alpha_)
    assert len(set(chosen)) > 1


def test_the_order_of_the_stimuli_changes_nothing():
    given, (inner, cross, responses, alphas, held_out) = tuned_problem()
    order = torch.randperm(len(inner), generator=torch.Generator().manual_seed(1))
    moved = [order.argsort()[rows] for rows in held_out]
    one = ridge.tune(inner, cross, responses, alphas, held_out)
    other = ridge.tune(inner[order][:, order], cross[:, order], responses[order], alphas, moved)
    assert torch.equal(other.choice, one.choice)
    rounding = given.predictions_rounding(float(alphas[0]))
    assert_allclose(other.predictions, one.predictions, rtol=0, atol=rounding)
    assert_allclose(other.selection_r, one.selection_r, rtol=0, atol=SCORE)


def test_penalties_in_parts_equal_penalties_at_once(monkeypatch):
    _, arguments = tuned_problem()
    at_once = ridge.tune(*arguments)
    monkeypatch.setattr(ridge, "BLOCK_BYTES", 1)
    in_parts = ridge.tune(*arguments)
    assert torch.equal(in_parts.choice, at_once.choice)
    assert_allclose(in_parts.selection_r, at_once.selection_r, rtol=0, atol=SCORE)


def test_targets_in_parts_equal_targets_at_once(monkeypatch):
    _, arguments = tuned_problem()
    at_once = ridge.tune(*arguments)
    monkeypatch.setattr(ridge, "TARGETS_AT_ONCE", 3)
    in_parts = ridge.tune(*arguments)
    assert torch.equal(in_parts.choice, at_once.choice)
    assert_allclose(in_parts.selection_r, at_once.selection_r, rtol=0, atol=SCORE)
    assert_allclose(in_parts.predictions, at_once.predictions, rtol=0, atol=SCORE)


def test_equal_penalties_go_to_the_largest():
    # Features that are constant predict the mean whatever the penalty.
    inner, cross = torch.zeros(40, 40).double(), torch.zeros(10, 40).double()
    responses = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).double()
    held_out = list(torch.arange(40).split(10))
    tuned = ridge.tune(inner, cross, responses, torch.tensor([0.1, 1, 10]).double(), held_out)
    assert tuned.choice.tolist() == [2, 2, 2]
    rounding = float64_products(40, float(responses.abs().max()))
    assert_allclose(tuned.predictions, responses.mean(0).expand(10, 3), rtol=0, atol=rounding)


def test_a_penalty_below_rounding_is_not_chosen_and_harms_no_other():
    given, (inner, cross, responses, alphas, held_out) = tuned_problem(n=100, p=20)
    tiny = torch.cat([alphas[:1] * 1e-18, alphas])
    one, other = (ridge.tune(inner, cross, responses, a, held_out) for a in (alphas, tiny))
    assert torch.equal(other.choice, one.choice + 1)
    rounding = given.predictions_rounding(float(alphas[0]))
    assert_allclose(other.predictions, one.predictions, rtol=0, atol=rounding)


@pytest.mark.parametrize("alphas", [[], [0.0, 1.0], [-1.0]])
def test_penalties_that_are_not_positive_are_an_error(alphas):
    _, (inner, cross, responses, _, held_out) = tuned_problem(n=40, p=20, targets=2)
    with pytest.raises(ValueError, match="ridge penalties must be positive"):
        ridge.tune(inner, cross, responses, torch.tensor(alphas).double(), held_out)
