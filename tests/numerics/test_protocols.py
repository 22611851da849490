"""Protocols equal explicit pipelines of scikit-learn, choose inside training rows, and leak nothing."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import pearsonr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import StratifiedShuffleSplit

from tests.numerics.regression import exact_pls, problem
from tests.rounding import SCORE
from zoo_eval.numerics import protocols, solvers
from zoo_eval.numerics.pls import TooManyComponents
from zoo_eval.numerics.principal_components import reduced_gram
from zoo_eval.numerics.protocols import brainscore, kfold, nested
from zoo_eval.numerics.solvers import Pls, Ridge
from zoo_eval.numerics.splits import Fold, grouped_folds, grouped_folds_within

ALPHAS = tuple(10.0**power for power in range(-4, 4))
FOLDS = {"n_folds": 3, "n_inner_folds": 4, "seed": 5}
READOUTS = [Ridge(ALPHAS), Pls(6), Pls(6, choose=True)]


def by_rows(n, size=3):
    """Groups of some neighbouring rows each."""
    return [f"photo {row // size}" for row in range(n)]


def run(protocol, features, responses, labels, readout, **changes):
    gram = torch.from_numpy(features @ features.T)
    return protocol(gram, torch.from_numpy(responses), labels, readout, **changes)


def r_per_target(predicted, observed):
    return np.array([pearsonr(x, y).statistic for x, y in zip(predicted.T, observed.T)])


def pls_predictions(x, y, train, test, n_components):
    return exact_pls(x[train], y[train], n_components).predict(x[test])


def folds_of(groups):
    """Outer folds and each one's inner folds."""
    for number, outer in enumerate(grouped_folds(groups, n_folds=3, seed=5)):
        yield outer, grouped_folds_within(outer, groups, n_folds=4, seed=5 + number + 1)


def test_brainscore_equals_its_pipeline_in_sklearn():
    given = problem(n=240, p=300, targets=6, mean=1)
    strata = [f"object {row % 8}" for row in range(240)]
    found = run(brainscore, given.features, given.responses, strata, None)
    splitter = StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1)
    assert len(found) == 10
    for score, (train, test) in zip(found, splitter.split(given.features, strata), strict=True):
        predicted = pls_predictions(given.features, given.responses, train, test, 25)
        assert_allclose(score.r, r_per_target(predicted, given.responses[test]), rtol=0, atol=SCORE)
        assert set(score.choice.tolist()) == {25}


def test_brainscore_with_components_of_independent_images_equals_its_pipeline_in_sklearn():
    given = problem(n=160, p=300, targets=5, mean=1)
    images = problem(n=60, p=300, targets=1, seed=1).features
    strata = [f"object {row % 8}" for row in range(160)]
    gram = reduced_gram(
        torch.from_numpy(given.features @ images.T), torch.from_numpy(images @ images.T), 40
    )
    found = brainscore(gram, torch.from_numpy(given.responses), strata, Pls(10))
    reduced = PCA(40, svd_solver="full").fit(images).transform(given.features)
    splitter = StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1)
    for score, (train, test) in zip(found, splitter.split(reduced, strata), strict=True):
        predicted = pls_predictions(reduced, given.responses, train, test, 10)
        assert_allclose(score.r, r_per_target(predicted, given.responses[test]), rtol=0, atol=SCORE)


def test_the_selection_r_of_brainscore_is_that_of_folds_inside_the_training_rows():
    given = problem(n=160, p=200, targets=4)
    strata = [f"object {row % 8}" for row in range(160)]
    found = run(brainscore, given.features, given.responses, strata, Pls(5), n_inner_folds=3)
    splitter = StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1)
    alone = [str(row) for row in range(160)]
    for number, (train, test) in enumerate(splitter.split(given.features, strata)):
        r = []
        outer = Fold(np.sort(train), np.sort(test))
        for inner in grouped_folds_within(outer, alone, n_folds=3, seed=number + 2):
            rows = inner.train, inner.test
            assert not {*inner.train, *inner.test} & {*test}
            predicted = pls_predictions(given.features, given.responses, *rows, 5)
            r.append(r_per_target(predicted, given.responses[inner.test]))
        assert_allclose(found[number].selection_r, np.mean(r, axis=0), rtol=0, atol=SCORE)


def test_the_number_of_components_is_chosen_per_target_inside_the_training_rows():
    given = problem(n=90, p=120, targets=8, noise=2)
    groups = by_rows(90)
    found = run(nested, given.features, given.responses, groups, Pls(8, choose=True), **FOLDS)
    chosen = set()
    for score, (outer, inside) in zip(found, folds_of(groups), strict=True):
        x, y = given.features, given.responses
        fits = [[pls_predictions(x, y, f.train, f.test, k) for k in range(1, 9)] for f in inside]
        errors = [[((p - y[f.test]) ** 2).mean(0) for p in ps] for f, ps in zip(inside, fits)]
        r = [[r_per_target(p, y[f.test]) for p in ps] for f, ps in zip(inside, fits)]
        best = np.mean(errors, axis=0).argmin(0)
        assert list(score.choice) == list(best + 1)
        chosen |= set(best)
        targets = np.arange(8)
        assert_allclose(score.selection_r, np.mean(r, axis=0)[best, targets], rtol=0, atol=SCORE)
        outside = [
            r_per_target(pls_predictions(x, y, outer.train, outer.test, k + 1), y[outer.test])
            for k in range(8)
        ]
        assert_allclose(score.r, np.array(outside)[best, targets], rtol=0, atol=SCORE)
    assert len(chosen) > 1


def test_kfold_scores_a_fixed_penalty_as_sklearn_does():
    given = problem(n=90, p=120, targets=5)
    groups = by_rows(90)
    found = run(kfold, given.features, given.responses, groups, Ridge((0.3,)), **FOLDS)
    for score, (outer, inside) in zip(found, folds_of(groups), strict=True):
        training = given.features[outer.train] - given.features[outer.train].mean(0)
        alpha = 0.3 * np.linalg.norm(training) ** 2 / len(training)

        def r(fold, alpha=alpha):
            model = SklearnRidge(alpha, solver="svd")
            model.fit(given.features[fold.train], given.responses[fold.train])
            predicted = model.predict(given.features[fold.test])
            return r_per_target(predicted, given.responses[fold.test])

        assert_allclose(score.r, r(outer), rtol=0, atol=SCORE)
        assert_allclose(
            score.selection_r, np.mean([r(fold) for fold in inside], axis=0), rtol=0, atol=SCORE
        )
        assert_allclose(score.choice, 0.3)


def test_kfold_of_pls_has_the_scores_of_nested():
    given = problem(n=90, p=120, targets=5)
    arguments = given.features, given.responses, by_rows(90), Pls(6)
    for one, other in zip(run(kfold, *arguments, **FOLDS), run(nested, *arguments, **FOLDS)):
        assert torch.equal(one.r, other.r)


@pytest.mark.parametrize("readout", READOUTS)
def test_rows_and_predictions_are_those_that_r_comes_from(readout):
    given = problem(n=90, p=120, targets=5)
    groups = by_rows(90)
    found = run(nested, given.features, given.responses, groups, readout, **FOLDS)
    for score, (outer, _) in zip(found, folds_of(groups), strict=True):
        assert score.rows.tolist() == list(outer.test)
        expected = r_per_target(score.predictions.numpy(), given.responses[outer.test])
        assert_allclose(score.r, expected, rtol=0, atol=SCORE)


def test_folds_can_be_had_without_a_fit():
    groups, strata = by_rows(90), ["a", "b"] * 45
    outer, inner = protocols.nested_folds(groups, **FOLDS)
    for fold, some, (expected, inside) in zip(outer, inner, folds_of(groups), strict=True):
        assert list(fold.test) == list(expected.test)
        assert [list(f.test) for f in some] == [list(f.test) for f in inside]
    outer, inner = protocols.brainscore_folds(strata, n_inner_folds=3)
    assert len(outer) == 10
    for fold, some in zip(outer, inner, strict=True):
        assert sorted(np.concatenate([f.test for f in some])) == list(fold.train)


@pytest.mark.parametrize("readout", [Ridge(ALPHAS), Pls(6, choose=True)])
def test_kfold_and_brainscore_take_nothing_that_leaves_a_choice(readout):
    given = problem(n=60, p=80, targets=2)
    with pytest.raises(ValueError, match="leaves"):
        run(kfold, given.features, given.responses, by_rows(60), readout, **FOLDS)
    with pytest.raises(ValueError, match="leaves"):
        run(brainscore, given.features, given.responses, ["a", "b"] * 30, readout)


@pytest.mark.parametrize("readout", READOUTS)
def test_shuffled_responses_score_zero(readout):
    rng = np.random.default_rng(1)
    given = problem(n=120, p=300, targets=60)
    found = run(nested, given.features, rng.permutation(given.responses), by_rows(120), readout, **FOLDS)  # fmt: skip
    intact = run(nested, given.features, given.responses, by_rows(120), readout, **FOLDS)
    for name in ("r", "selection_r"):
        # Targets share their rows, and so their luck: the error is that of a fold's rows.
        mean = np.nanmean([getattr(score, name).numpy() for score in found])
        assert abs(mean) < 0.1
    assert np.mean([score.r.numpy() for score in intact]) > 0.3


@pytest.mark.parametrize("readout", READOUTS)
def test_changing_the_test_rows_changes_no_choice_and_no_selection_r(readout):
    given = problem(n=90, p=120, targets=8, noise=2)
    groups = by_rows(90)
    outer = next(folds_of(groups))[0]
    rng = np.random.default_rng(0)
    features, responses = given.features.copy(), given.responses.copy()
    features[outer.test] = 3 * rng.standard_normal((len(outer.test), 120))
    responses[outer.test] = 3 * rng.standard_normal((len(outer.test), 8))
    before = run(nested, given.features, given.responses, groups, readout, **FOLDS)[0]
    after = run(nested, features, responses, groups, readout, **FOLDS)[0]
    assert torch.equal(after.choice, before.choice)
    assert_allclose(after.selection_r, before.selection_r, rtol=0, atol=SCORE)
    assert not torch.allclose(after.r, before.r, atol=1e-3)


@pytest.mark.parametrize("readout", READOUTS)
def test_rotated_scaled_and_shifted_features_score_the_same(readout):
    given = problem(n=90, p=60, targets=5)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 60)))
    moved = 100 * (given.features @ rotation) + 7
    arguments = given.responses, by_rows(90), readout
    for one, other in zip(
        run(nested, given.features, *arguments, **FOLDS), run(nested, moved, *arguments, **FOLDS)
    ):
        assert torch.equal(one.choice, other.choice)
        assert_allclose(one.r, other.r, rtol=0, atol=SCORE)


@pytest.mark.parametrize("readout", READOUTS)
def test_constant_targets_have_no_r_are_counted_and_leave_the_median_alone(readout):
    given = problem(n=90, p=120, targets=5)
    groups = by_rows(90)
    outer = next(folds_of(groups))[0]
    of_training = np.random.default_rng(0).standard_normal(90)
    of_training[outer.train] = 0.1
    extended = np.c_[given.responses, np.full(90, 2.0), of_training]
    with_them = run(nested, given.features, extended, groups, readout, **FOLDS)
    without = run(nested, given.features, given.responses, groups, readout, **FOLDS)
    first = with_them[0]
    assert first.undefined == ("",) * 5 + ("constant responses", "constant predictions")
    assert first.n_undefined == {"constant responses": 1, "constant predictions": 1}
    assert_allclose(first.r[:5], without[0].r, rtol=0, atol=SCORE)
    for score in with_them[1:]:
        assert score.n_undefined == {"constant responses": 2}
    assert first.median_r == pytest.approx(without[0].median_r, rel=0, abs=SCORE)
    assert first.median_r == pytest.approx(float(np.median(first.r[:5])), rel=0, abs=SCORE)


def test_only_constant_targets_have_no_median():
    given = problem(n=30, p=20, targets=2)
    found = run(nested, given.features, np.ones((30, 2)), by_rows(30), Pls(3), **FOLDS)
    assert [score.median_r for score in found] == [None] * 3


@pytest.mark.parametrize("readout", READOUTS)
def test_a_gram_matrix_of_low_rank_is_no_trouble(readout):
    given = problem(n=90, p=4, targets=5, noise=0.1)
    found = run(nested, given.features, given.responses, by_rows(90), readout, **FOLDS)
    assert min(score.r.min() for score in found) > 0.97


def test_folds_in_parts_score_as_folds_at_once(monkeypatch):
    given = problem(n=60, p=80, targets=5)
    arguments = given.features, given.responses, by_rows(60), Pls(5, choose=True)
    at_once = run(nested, *arguments, **FOLDS)
    monkeypatch.setattr(solvers, "SCORES_BYTES", 1)
    for one, other in zip(at_once, run(nested, *arguments, **FOLDS), strict=True):
        assert_allclose(one.r, other.r, rtol=0, atol=SCORE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Gram matrix", torch.nan), ("Gram matrix", torch.inf), ("responses", -torch.inf)],
)
def test_values_that_are_not_finite_are_an_error_that_says_where(name, value):
    given = problem(n=30, p=20, targets=3)
    gram, responses = given.gram(), torch.from_numpy(given.responses)
    (gram if name == "Gram matrix" else responses)[7, 2] = value
    with pytest.raises(ValueError, match=f"1 values of the {name} .* row 7, column 2"):
        nested(gram, responses, by_rows(30), Pls(3), **FOLDS)


def test_responses_of_other_stimuli_are_an_error():
    given = problem(n=30, p=20, targets=3)
    with pytest.raises(ValueError, match=r"\(30, 30\) and responses of shape \(27, 3\)"):
        nested(given.gram(), torch.from_numpy(given.responses[:27]), by_rows(27), Pls(3), **FOLDS)
    with pytest.raises(ValueError, match="not of the same stimuli"):
        nested(given.gram(), torch.from_numpy(given.responses), by_rows(33), Pls(3), **FOLDS)


def test_too_few_groups_and_too_many_components_are_errors():
    given = problem(n=30, p=20, targets=3)
    gram, responses = given.gram(), torch.from_numpy(given.responses)
    with pytest.raises(ValueError, match="3 folds need at least 3 groups, got 2"):
        nested(gram, responses, ["a", "b"] * 15, Pls(3), **FOLDS)
    with pytest.raises(TooManyComponents, match="lower the number of components"):
        nested(gram, responses, by_rows(30), Pls(15), **FOLDS)


def test_absolute_penalties_are_those_of_scikit_learn_and_told_in_units_of_the_mean_eigenvalue():
    given = problem(n=90, p=30, targets=4)
    groups = by_rows(90)
    (alpha,) = alphas = (2.5,)
    found = run(
        kfold, given.features, given.responses, groups, Ridge(alphas, absolute=True), **FOLDS
    )
    for (fold, _), score in zip(folds_of(groups), found, strict=True):
        centred = given.features[fold.train] - given.features[fold.train].mean(0)
        model = SklearnRidge(alpha, solver="svd")
        model.fit(given.features[fold.train], given.responses[fold.train])
        r = r_per_target(model.predict(given.features[fold.test]), given.responses[fold.test])
        assert_allclose(score.r, r, rtol=0, atol=SCORE)
        unit = (centred**2).sum() / len(fold.train)
        assert_allclose(score.choice, alpha / unit, rtol=1e-9)


@pytest.mark.parametrize(
    "readout", [Ridge((0.01, 0.1, 1.0)), Ridge((1e-3, 1.0, 1e3), absolute=True)]
)
def test_targets_that_are_fitted_some_at_a_time_are_fitted_alike(monkeypatch, readout):
    given = problem(n=60, p=30, targets=7)
    arguments = given.features, given.responses, by_rows(60), readout
    whole = run(nested, *arguments, **FOLDS)
    monkeypatch.setattr("zoo_eval.numerics.ridge.TARGETS_AT_ONCE", 3)
    for one, again in zip(whole, run(nested, *arguments, **FOLDS), strict=True):
        assert_allclose(again.r, one.r, rtol=0, atol=SCORE)
        assert_allclose(again.choice, one.choice, rtol=0)
        assert_allclose(again.selection_r, one.selection_r, rtol=0, atol=SCORE)
