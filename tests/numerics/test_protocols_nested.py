"""The nested protocol equals an explicit loop over scikit-learn's models, and leaks nothing."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge as SklearnRidge

from tests.numerics.regression import exact_pls, problem
from tests.rounding import SCORE
from zoo_eval.numerics.gram import centred_blocks
from zoo_eval.numerics.pls import TooManyComponents
from zoo_eval.numerics.protocols import nested
from zoo_eval.numerics.solvers import Pls, Ridge
from zoo_eval.numerics.splits import grouped_folds

RELATIVE_ALPHAS = tuple(10.0**power for power in range(-4, 4))
N_FOLDS, N_INNER, SEED = 3, 4, 5


def scores(features, responses, groups, readout, **changes):
    choices = {"n_folds": N_FOLDS, "n_inner_folds": N_INNER, "seed": SEED, **changes}
    gram = torch.from_numpy(features @ features.T)
    return nested(gram, torch.from_numpy(responses), groups, readout, **choices)


def r_per_target(predicted, observed):
    return np.array([pearsonr(x, y).statistic for x, y in zip(predicted.T, observed.T)])


def folds_of(groups):
    """Outer training and test rows, and each training set's inner ones, as row numbers."""
    for number, outer in enumerate(grouped_folds(groups, n_folds=N_FOLDS, seed=SEED)):
        inside = grouped_folds(
            [groups[row] for row in outer.train], n_folds=N_INNER, seed=SEED + number + 1
        )
        yield outer, [(outer.train[f.train], outer.train[f.test]) for f in inside]


@pytest.fixture
def grouped():
    """Features, responses and groups of three rows each."""
    given = problem(n=72, p=120, targets=5, mean=3)
    return given.features, given.responses, [f"photo {row // 3}" for row in range(72)]


def test_ridge_equals_a_loop_over_sklearn(grouped):
    features, responses, groups = grouped
    found = scores(features, responses, groups, Ridge(RELATIVE_ALPHAS))
    chosen = set()
    for score, (outer, inside) in zip(found, folds_of(groups), strict=True):
        training = features[outer.train] - features[outer.train].mean(0)
        unit = np.linalg.norm(training) ** 2 / len(training)

        def predict(alpha, train, test, unit=unit):
            model = SklearnRidge(alpha * unit, solver="svd").fit(features[train], responses[train])
            return model.predict(features[test])

        errors = np.array(
            [
                [((predict(a, tr, te) - responses[te]) ** 2).mean(0) for tr, te in inside]
                for a in RELATIVE_ALPHAS
            ]
        ).mean(1)
        for target, best in enumerate(errors.argmin(0)):
            alpha = RELATIVE_ALPHAS[best]
            chosen.add(alpha)
            outside = r_per_target(predict(alpha, outer.train, outer.test), responses[outer.test])
            within = [r_per_target(predict(alpha, tr, te), responses[te]) for tr, te in inside]
            assert score.r[target] == pytest.approx(outside[target], rel=0, abs=SCORE)
            assert score.selection_r[target] == pytest.approx(
                np.mean(within, axis=0)[target], rel=0, abs=SCORE
            )
    assert len(chosen) > 1  # else the choice was not put to the test


def test_pls_equals_a_loop_over_sklearn(grouped):
    features, responses, groups = grouped
    found = scores(features, responses, groups, Pls(6))

    def r(train, test):
        predicted = exact_pls(features[train], responses[train], 6).predict(features[test])
        return r_per_target(predicted, responses[test])

    for score, (outer, inside) in zip(found, folds_of(groups), strict=True):
        assert not {groups[row] for row in outer.train} & {groups[row] for row in outer.test}
        assert_allclose(score.r, r(outer.train, outer.test), rtol=0, atol=SCORE)
        within = np.mean([r(tr, te) for tr, te in inside], axis=0)
        assert_allclose(score.selection_r, within, rtol=0, atol=SCORE)


@pytest.mark.parametrize("readout", [Ridge(RELATIVE_ALPHAS), Pls(5)])
def test_unrelated_responses_score_zero(readout):
    # Planted: responses independent of the features. Any leak of a test row would show.
    rng = np.random.default_rng(1)
    features, responses = rng.standard_normal((120, 300)), rng.standard_normal((120, 60))
    groups = [str(row // 2) for row in range(120)]
    r = torch.cat([s.r for s in scores(features, responses, groups, readout)]).numpy()
    selection = torch.cat(
        [s.selection_r for s in scores(features, responses, groups, readout)]
    ).numpy()
    for values in (r, selection):
        standard_error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(np.nanmean(values)) < 4 * standard_error


def test_responses_shared_within_a_group_do_not_leak():
    # Planted: a group's rows share features and responses, groups are unrelated to each other.
    # Were one group on both sides, its twin would predict it perfectly.
    rng = np.random.default_rng(2)
    features = np.repeat(rng.standard_normal((60, 200)), 3, axis=0)
    responses = np.repeat(rng.standard_normal((60, 40)), 3, axis=0)
    groups = [str(row // 3) for row in range(180)]
    small_alpha = Ridge((1e-3,))

    def mean_r(groups):
        return float(
            torch.cat([s.r for s in scores(features, responses, groups, small_alpha)]).mean()
        )

    assert abs(mean_r(groups)) < 0.1
    assert mean_r([str(row) for row in range(180)]) > 0.9  # the witness: rows dealt one by one


@pytest.mark.parametrize("readout", [Ridge(RELATIVE_ALPHAS), Pls(8)])
def test_a_planted_subspace_is_recovered_up_to_its_exact_ceiling(readout):
    # Planted: responses = readout of 6 leading dimensions + noise of variance 1/3, so that the
    # correlation of the best possible prediction with the responses is sqrt(1 / (1 + 1/3)).
    rng = np.random.default_rng(3)
    features = rng.standard_normal((300, 80)) * np.r_[np.full(6, 10.0), np.full(74, 0.3)]
    signal = features[:, :6] @ rng.standard_normal((6, 20))
    signal /= signal.std(0)
    responses = signal + rng.standard_normal((300, 20)) * np.sqrt(1 / 3)
    groups = [str(row // 3) for row in range(300)]
    r = torch.cat([s.r for s in scores(features, responses, groups, readout)]).numpy()
    ceiling = np.sqrt(1 / (1 + 1 / 3))
    assert ceiling - 0.03 < r.mean() < ceiling + 0.01


def test_test_responses_do_not_influence_what_is_chosen(grouped):
    features, responses, groups = grouped
    outer = grouped_folds(groups, n_folds=N_FOLDS, seed=SEED)[0]
    changed = responses.copy()
    changed[outer.test] = np.random.default_rng(0).standard_normal(changed[outer.test].shape)
    readout = Ridge(RELATIVE_ALPHAS)
    before, after = (scores(features, y, groups, readout)[0] for y in (responses, changed))
    assert torch.equal(before.selection_r, after.selection_r)
    assert not torch.allclose(before.r, after.r)


def test_a_constant_target_is_undefined_and_leaves_the_others_alone(grouped):
    features, responses, groups = grouped
    constant = np.c_[responses, np.full(len(responses), 2.0)]
    with_it = scores(features, constant, groups, Ridge(RELATIVE_ALPHAS))
    without = scores(features, responses, groups, Ridge(RELATIVE_ALPHAS))
    for one, other in zip(with_it, without, strict=True):
        assert one.r[-1].isnan()
        assert_allclose(one.r[:-1], other.r, rtol=0, atol=SCORE)


def test_the_ridge_grid_scales_with_the_features(grouped):
    features, responses, groups = grouped
    one = scores(features, responses, groups, Ridge(RELATIVE_ALPHAS))
    other = scores(features * 1000, responses, groups, Ridge(RELATIVE_ALPHAS))
    for a, b in zip(one, other, strict=True):
        assert_allclose(a.r, b.r, rtol=0, atol=SCORE)


def test_too_many_components_for_an_inner_training_set_are_an_error(grouped):
    features, responses, groups = grouped
    with pytest.raises(TooManyComponents):
        scores(features, responses, groups, Pls(40))


def test_fewer_groups_than_folds_are_an_error(grouped):
    features, responses, _ = grouped
    with pytest.raises(ValueError, match="3 folds need at least 3 groups, got 2"):
        scores(features, responses, ["a", "b"] * 36, Pls(2))


def test_folds_share_nothing_but_the_gram_matrix(grouped):
    # The training mean, not the global one, centres each fold: shifting the test rows' features
    # by a constant must not move that fold's training block.
    features, _, groups = grouped
    outer = grouped_folds(groups, n_folds=N_FOLDS, seed=SEED)[0]
    moved = features.copy()
    moved[outer.test] += 50
    train, test = torch.from_numpy(outer.train), torch.from_numpy(outer.test)
    before, after = (
        centred_blocks(torch.from_numpy(f @ f.T), train, test)[0] for f in (features, moved)
    )
    assert_allclose(after, before, rtol=0, atol=SCORE)
