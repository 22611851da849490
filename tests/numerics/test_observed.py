"""Targets that did not answer every stimulus are fitted on what they answered: scikit-learn's own fits."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge as SklearnRidge

from tests.numerics.regression import problem
from zoo_eval.numerics.bootstrap import resample_counts, resampled_pearson
from zoo_eval.numerics.observed import observed_sets, within
from zoo_eval.numerics.protocols import TOO_FEW, brainscore, kfold, nested
from zoo_eval.numerics.solvers import Pls, Ridge
from zoo_eval.numerics.splits import grouped_folds

N, FOLDS = 90, {"n_folds": 3, "n_inner_folds": 3, "seed": 0}
ALONE = [str(row) for row in range(N)]
# Of scikit-learn's NIPALS at tol=1e-14, as asked for; ours is exact.
AS_ASKED = 1e-6


@pytest.fixture(scope="module")
def given():
    return problem(n=N, p=60, targets=6)


@pytest.fixture(scope="module")
def gaps(given):
    """Responses of which targets 0 and 3, and 1 and 4, lack the same stimuli; 5 has nearly none."""
    responses = given.responses.copy()
    rng = np.random.default_rng(1)
    for targets in ((0, 3), (1, 4)):
        rows = rng.choice(N, 20, replace=False)
        responses[np.ix_(rows, targets)] = np.nan
    responses[6:, 5] = np.nan
    return responses


def r_of(predicted, observed):
    return [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, observed.T)]


def restricted(fold, there):
    return fold.train[there[fold.train]], fold.test[there[fold.test]]


def test_sets_are_of_targets_with_the_same_stimuli(gaps):
    sets = observed_sets(torch.from_numpy(gaps))
    assert [one.targets.tolist() for one in sets] == [[0, 3], [1, 4], [2], [5]]
    assert sets[2].rows.tolist() == list(range(N))
    assert sets[3].rows.tolist() == list(range(6))


@pytest.mark.parametrize("protocol", ["kfold", "brainscore"])
def test_pls_of_each_set_is_scikit_learns_on_its_stimuli(given, gaps, protocol):
    gram, responses = given.gram(), torch.from_numpy(gaps)
    if protocol == "kfold":
        found = kfold(gram, responses, ALONE, Pls(5), **FOLDS)
    else:
        found = brainscore(gram, responses, [row % 3 for row in range(N)], Pls(5))
    folds = grouped_folds(ALONE, n_folds=3, seed=0)
    for number, score in enumerate(found):
        assert score.n_sets == 4
        test = score.rows.numpy()
        train = folds[number].train if protocol == "kfold" else np.setdiff1d(np.arange(N), test)
        for targets in ([0, 3], [1, 4], [2]):
            there = ~np.isnan(gaps[:, targets[0]])
            own_train, own_test = train[there[train]], test[there[test]]
            model = PLSRegression(5, scale=False, tol=1e-14, max_iter=20000)
            model.fit(given.features[own_train], gaps[np.ix_(own_train, targets)])
            predicted = model.predict(given.features[own_test]).reshape(len(own_test), -1)
            observed = gaps[np.ix_(own_test, targets)]
            assert_allclose(score.r[targets], r_of(predicted, observed), rtol=0, atol=AS_ASKED)
            place = np.isin(test, own_test)
            mine = score.predictions.numpy()[np.ix_(place, targets)]
            assert_allclose(mine, predicted, rtol=0, atol=AS_ASKED * np.ptp(observed))
            assert np.isnan(score.predictions.numpy()[np.ix_(~place, targets)]).all()
            assert score.n_observed[targets].tolist() == [len(own_test)] * len(targets)


def test_ridge_is_a_loop_over_targets(given, gaps):
    alpha = 0.3
    found = kfold(given.gram(), torch.from_numpy(gaps), ALONE, Ridge((alpha,)), **FOLDS)
    for fold, score in zip(grouped_folds(ALONE, n_folds=3, seed=0), found, strict=True):
        for target in range(5):
            train, test = restricted(fold, ~np.isnan(gaps[:, target]))
            features = given.features[train] - given.features[train].mean(0)
            unit = (features**2).sum() / len(train)
            model = SklearnRidge(alpha=alpha * unit).fit(given.features[train], gaps[train, target])
            predicted = model.predict(given.features[test])
            r = np.corrcoef(predicted, gaps[test, target])[0, 1]
            assert_allclose(score.r[target], r, rtol=0, atol=AS_ASKED)


@pytest.mark.parametrize("readout", [Pls(4, choose=True), Ridge((0.01, 0.1, 1.0))])
def test_choices_are_those_of_the_set_alone(given, gaps, readout):
    found = nested(given.gram(), torch.from_numpy(gaps), ALONE, readout, **FOLDS)
    whole = nested(given.gram(), torch.from_numpy(gaps[:, [2]]), ALONE, readout, **FOLDS)
    for score, alone in zip(found, whole, strict=True):
        for part in ("r", "selection_r", "choice"):
            assert_allclose(getattr(score, part)[2], getattr(alone, part)[0], rtol=1e-12)
        defined = score.choice[:5]
        assert defined.isfinite().all()
        assert score.selection_r[:5].isfinite().all()


def test_a_target_with_too_few_stimuli_says_so_and_the_others_are_scored(given, gaps):
    for readout in (Pls(4, choose=True), Ridge((0.1, 1.0))):
        for score in nested(given.gram(), torch.from_numpy(gaps), ALONE, readout, **FOLDS):
            assert score.undefined == ("",) * 5 + (TOO_FEW,)
            assert score.r[:5].isfinite().all()
            assert score.r[5].isnan()
            assert score.median_r == pytest.approx(float(score.r[:5].median()))


def test_more_components_than_a_set_has_stimuli_are_too_few_stimuli(given, gaps):
    some = gaps.copy()
    some[30:, 0] = np.nan
    for score in kfold(given.gram(), torch.from_numpy(some), ALONE, Pls(15), **FOLDS):
        assert score.undefined[0] == TOO_FEW
        assert score.undefined[1] == ""


def test_folds_of_some_rows_are_the_folds_of_all_without_the_others():
    folds = grouped_folds(ALONE, n_folds=3, seed=0)
    rows = torch.arange(0, N, 2)
    outer, inner = within(rows, folds, [])
    assert inner == []
    for fold, own in zip(folds, outer, strict=True):
        assert set(rows[own.test].tolist()) == set(fold.test.tolist()) & set(rows.tolist())
        assert set(rows[own.train].tolist()) == set(fold.train.tolist()) & set(rows.tolist())
    assert within(rows[:4], folds, []) is None


def test_resamples_leave_out_what_a_target_did_not_answer(given, gaps):
    rng = np.random.default_rng(0)
    predicted = np.where(np.isnan(gaps), np.nan, gaps + rng.standard_normal(gaps.shape))
    counts = resample_counts(ALONE, n_resamples=7, seed=0)
    found = resampled_pearson(predicted, gaps, counts)
    for resample, own in zip(found, counts, strict=True):
        for target in range(5):
            drawn = np.repeat(np.arange(N), own.astype(int))
            drawn = drawn[~np.isnan(gaps[drawn, target])]
            expected = np.corrcoef(predicted[drawn, target], gaps[drawn, target])[0, 1]
            assert_allclose(resample[target], expected, rtol=0, atol=1e-9)
