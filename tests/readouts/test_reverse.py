"""Reverse readouts beside scikit-learn on responses and full features, and who explains whom."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge

from tests.numerics.regression import exact_pls
from tests.planted_nets import noise
from zoo_eval.errors import BadInput
from zoo_eval.numerics.protocols import nested_folds
from zoo_eval.numerics.splits import Fold, grouped_folds_within
from zoo_eval.readouts.design import Design
from zoo_eval.readouts.reverse_pls import ReversePls
from zoo_eval.readouts.reverse_ridge import ReverseRidge
from zoo_eval.readouts.ridge import ALPHAS
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.split import Split
from zoo_eval.representations.grams import LayerGram
from zoo_eval.representations.units import Units, drawn

# More features than stimuli, of which some are drawn; two stimuli a group.
N, P, TARGETS, N_UNITS, SEED, MOST = 60, 150, 7, 25, 3, 5
SHOWN = replace(noise(N), groups=tuple(f"photo {i // 2}" for i in range(N)))
DESIGN = Design(n_folds=3, n_inner_folds=3, n_resamples=50, seed=SEED)
READOUTS = {"reverse_ridge": ReverseRidge(n_units=N_UNITS), "reverse_pls": ReversePls(components=MOST, n_units=N_UNITS)}  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    """Features that share some directions with the responses, which have noise."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((N, 4))
    features = shared @ rng.standard_normal((4, P)) + rng.standard_normal((N, P)) + 2
    signal = shared @ rng.standard_normal((4, TARGETS))
    return features, signal[:, None] + 0.5 * rng.standard_normal((N, 3, TARGETS)) + 5


def layer_of(features, name="layer", n_units=N_UNITS):
    numbers = drawn(name, features.shape[1], n_units, SEED)
    own = torch.from_numpy(features)
    units = Units(numbers, own[:, numbers].float())
    return LayerGram(own @ own.T, own.sum(1), (features.shape[1],), units=units)


def recorded(responses):
    return ResponseRecording("it", SHOWN.name, responses, tuple(f"t{i}" for i in range(TARGETS)))


def rows(readout, features, responses, design=DESIGN):
    recording, settled = recorded(responses), readout.settled(design.protocol)
    settled.check(recording, SHOWN, design)
    return settled.scorer(recording, SHOWN, design, torch.device("cpu"))(layer_of(features))


def ridges(x, y, fold, unit):
    """Predictions under every penalty, (penalty, row, unit)."""
    models = [Ridge(alpha=alpha * unit).fit(x[fold.train], y[fold.train]) for alpha in ALPHAS]
    return np.stack([model.predict(x[fold.test]) for model in models])


def paths(x, y, fold, _unit):
    """Predictions with 1, 2, ... components, (component, row, unit)."""
    models = [exact_pls(x[fold.train], y[fold.train], k + 1) for k in range(MOST)]
    return np.stack([model.predict(x[fold.test]) for model in models])


WITNESS = {"reverse_ridge": ridges, "reverse_pls": paths}


def chosen(predict, x, y, fold, inner, *, common):
    """Predictions of the best by squared error inside the training rows, for each unit or all of them."""
    centred = x[fold.train] - x[fold.train].mean(0)
    unit = (centred**2).sum() / len(centred)
    errors = np.mean(
        [((predict(x, y, one, unit) - y[one.test]) ** 2).mean(1) for one in inner], axis=0
    )
    if common:
        errors = errors.sum(1, keepdims=True).repeat(y.shape[1], 1)
    best = errors.argmin(0)
    every = predict(x, y, fold, unit)
    return every[best, :, np.arange(y.shape[1])].T, best


def share(predicted, y, fold):
    errors = ((predicted - y[fold.test]) ** 2).sum()
    return 1 - errors / ((y[fold.test] - y[fold.train].mean(0)) ** 2).sum()


@pytest.mark.parametrize("name", READOUTS)
def test_scores_and_variance_equal_scikit_learn_on_all_features(parts, name):
    features, responses = parts
    found = rows(READOUTS[name], features, responses)
    x, predict = responses.mean(1), WITNESS[name]
    numbers = drawn("layer", P, N_UNITS, SEED)
    units = features[:, numbers].astype(np.float32).astype(np.float64)
    folds, inner = nested_folds(SHOWN.groups, n_folds=3, n_inner_folds=3, seed=SEED)
    for row, fold, inside in zip(found, folds, inner, strict=True):
        predicted, best = chosen(predict, x, units, fold, inside, common=False)
        r = [pearsonr(a, b).statistic for a, b in zip(predicted.T, units[fold.test].T)]
        np.testing.assert_allclose(row["r"], r, rtol=0, atol=1e-6)
        assert row["score"] == pytest.approx(np.median(r), rel=0, abs=1e-6)
        options = ALPHAS if name == "reverse_ridge" else range(1, MOST + 1)
        assert row["choices"] == pytest.approx([options[one] for one in best])
        assert row["target_ids"] == [str(number) for number in numbers]
        assert (row["n_predictors"], row["n_stimuli"]) == (TARGETS, len(fold.test))
        assert row["score_low"] < row["score"] < row["score_high"]
        predicted, _ = chosen(predict, x, features, fold, inside, common=True)
        expected = share(predicted, features, fold)
        assert 0.1 < expected < 0.95
        assert row["variance_explained"] == pytest.approx(expected, rel=0, abs=1e-6)


def test_one_choice_for_all_units_is_not_the_best_of_each(parts):
    """So that the test above can tell them apart."""
    features, responses = parts
    folds, inner = nested_folds(SHOWN.groups, n_folds=3, n_inner_folds=3, seed=SEED)
    given = responses.mean(1), features, folds[0], inner[0]
    for predict in WITNESS.values():
        shares = [
            share(chosen(predict, *given, common=common)[0], features, folds[0])
            for common in (True, False)
        ]
        assert abs(shares[0] - shares[1]) > 1e-4


def test_the_selection_score_is_of_the_folds_inside_the_training_rows(parts):
    features, responses = parts
    readout = ReversePls(components=2, n_units=N_UNITS, choose_components=False)
    (row, *_) = rows(readout, features, responses)
    _, inner = nested_folds(SHOWN.groups, n_folds=3, n_inner_folds=3, seed=SEED)
    units = features[:, drawn("layer", P, N_UNITS, SEED)]
    x, r = responses.mean(1), []
    for one in inner[0]:
        predicted = exact_pls(x[one.train], units[one.train], 2).predict(x[one.test])
        r.append([pearsonr(a, b).statistic for a, b in zip(predicted.T, units[one.test].T)])
    expected = np.median(np.mean(r, axis=0))
    assert row["selection_score"] == pytest.approx(expected, rel=0, abs=1e-6)


@pytest.mark.parametrize("name", READOUTS)
def test_a_published_split_is_trained_and_tested_on_its_two_sides_alone(parts, name):
    features, responses = parts
    responses = responses.copy()
    sides = ["train"] * 40 + ["test"] * 14 + [None] * 6
    # What no side holds may be missing.
    responses[54:, :, 0] = np.nan
    split = Split("tau", tuple(sides))
    (row,) = rows(READOUTS[name], features, responses, replace(DESIGN, protocol="published", split=split))  # fmt: skip
    fold = Fold(np.arange(40), np.arange(40, 54))
    inner = grouped_folds_within(fold, SHOWN.groups, n_folds=3, seed=SEED + 1)
    given = np.nan_to_num(responses.mean(1)), features, fold, inner
    expected = share(chosen(WITNESS[name], *given, common=True)[0], features, fold)
    assert row["variance_explained"] == pytest.approx(expected, rel=0, abs=1e-6)
    assert row["n_predictors"] == TARGETS


@pytest.mark.parametrize("name", READOUTS)
def test_targets_with_gaps_predict_nothing_and_are_counted(parts, name):
    features, responses = parts
    gaps = responses.copy()
    gaps[7, :, :2] = np.nan
    found = rows(READOUTS[name], features, gaps)
    alone = ResponseRecording("it", SHOWN.name, responses[..., 2:], tuple("abcde"))
    scorer = READOUTS[name].settled("nested").scorer(alone, SHOWN, DESIGN, torch.device("cpu"))
    for row, expected in zip(found, scorer(layer_of(features)), strict=True):
        assert row["n_predictors"] == TARGETS - 2
        np.testing.assert_allclose(row["r"], expected["r"], rtol=0, atol=1e-9)
        assert row["variance_explained"] == pytest.approx(expected["variance_explained"], abs=1e-9)


def test_who_explains_whom_is_seen_in_the_variance(parts):
    """A recording of two of the layer's four directions explains about half of a layer without others."""
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.standard_normal((P, 4)))[0]
    hidden = rng.standard_normal((N, 4))
    features = hidden @ axes.T
    half = np.repeat(hidden[:, None, :2] @ rng.standard_normal((2, TARGETS)), 3, 1)
    whole = np.repeat(hidden[:, None] @ rng.standard_normal((4, TARGETS)), 3, 1)
    for readout in READOUTS.values():
        of_whole = np.mean([row["variance_explained"] for row in rows(readout, features, whole)])
        of_half = np.mean([row["variance_explained"] for row in rows(readout, features, half)])
        assert of_whole == pytest.approx(1, abs=1e-3)
        assert 0.25 < of_half < 0.6


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize("value", [0.0, 3.7])
def test_a_dead_layer_has_no_score_and_says_why(parts, name, value):
    for row in rows(READOUTS[name], np.full((N, P), value), parts[1]):
        assert row["score"] is None
        assert row["variance_explained"] is None
        assert set(row["undefined"]) == {"constant activations"}
        assert row["n_constant_targets"] == N_UNITS


@pytest.mark.parametrize("name", READOUTS)
def test_dead_units_are_left_out_and_counted(parts, name):
    features, responses = parts
    numbers = drawn("layer", P, N_UNITS, SEED)
    dead = features.copy()
    dead[:, numbers[:5]] = 0
    for row, before in zip(rows(READOUTS[name], dead, responses), rows(READOUTS[name], features, responses), strict=True):  # fmt: skip
        assert row["n_constant_targets"] == 5
        assert row["undefined"][:6] == ["constant activations"] * 5 + [""]
        if name == "reverse_ridge":
            np.testing.assert_allclose(row["r"][5:], before["r"][5:], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", READOUTS)
def test_responses_that_are_constant_predict_nothing(parts, name):
    for row in rows(READOUTS[name], parts[0], np.full_like(parts[1], 4.1)):
        assert row["score"] is None
        assert set(row["undefined"]) == {"constant predictions"}
        assert row["variance_explained"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", READOUTS)
def test_an_rdm_has_nothing_to_predict_units_from(name):
    rdm = np.ones((1, N, N)) - np.eye(N)
    with pytest.raises(BadInput, match=rf"{name}.*'fmri'") as refused:
        READOUTS[name].check(RdmRecording("fmri", SHOWN.name, rdm, ("a",)), SHOWN, DESIGN)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", READOUTS)
def test_a_recording_of_which_every_target_has_gaps_is_refused(parts, name):
    gaps = parts[1].copy()
    gaps[np.arange(TARGETS), :, np.arange(TARGETS)] = np.nan
    with pytest.raises(BadInput, match=r"no target answered all of the 60 stimuli") as refused:
        READOUTS[name].check(recorded(gaps), SHOWN, DESIGN)
    assert "\n" not in str(refused.value)


def test_too_few_stimuli_are_refused(parts):
    few = replace(DESIGN, n_folds=40)
    with pytest.raises(BadInput, match=r"reverse_ridge.*too few for the nested protocol"):
        READOUTS["reverse_ridge"].check(recorded(parts[1]), SHOWN, few)
    with pytest.raises(BadInput, match=r"reverse_pls.*40 PLS components.*lower `components`"):
        ReversePls(components=40).check(recorded(parts[1]), SHOWN, DESIGN)
