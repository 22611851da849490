"""What real recordings bring: published splits, what is known of targets, fits by region, gaps."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge
from torch import nn

from tests.numerics.regression import exact_pls
from tests.planted_nets import noise, opened, pixels
from tests.rounding import FLOAT32, SCORE, float32_products, float32_rho
from zoo_eval.errors import BadInput
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.evaluations.targets import Targets
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.ceilings import splithalf_spearman_brown
from zoo_eval.numerics.splits import grouped_folds
from zoo_eval.readouts.ridge import BRAINSCORE_ALPHAS
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.representations.representations import Representations

N, P, Q, SEED = 60, 30, 6, 3
SHOWN = noise(N)
SIDES = (*("train" if i % 4 else "test" for i in range(N - 2)), "", "")
TRAIN, TEST = (np.flatnonzero(np.array(SIDES) == one) for one in ("train", "test"))
TARGETS = pa.table(
    {
        "target_id": [f"t{i}" for i in range(Q)],
        "region": ["IT", "V4", "IT", "V4", "IT", "V4"],
        "subject": ["F", "F", "N", "N", "F", "N"],
        "reliability": [0.9, 0.8, None, 0.7, 0.6, float("nan")],
        "depth_um": [100, 200, 300, 400, 500, 600],
    }
)
APART = {("IT", "F"): [0, 4], ("V4", "F"): [1], ("IT", "N"): [2], ("V4", "N"): [3, 5]}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, P))


@pytest.fixture(scope="module")
def features(net):
    with torch.no_grad():
        return net(pixels(SHOWN)).double().numpy()


@pytest.fixture(scope="module")
def recording(features):
    rng = np.random.default_rng(0)
    signal = features @ rng.standard_normal((P, Q))
    responses = signal[:, None] + signal.std(0) * 0.7 * rng.standard_normal((N, 4, Q))
    ids = tuple(TARGETS["target_id"].to_pylist())
    return ResponseRecording(
        "it", SHOWN.name, responses, ids, targets=TARGETS, splits={"tau": SIDES}
    )


def trials_and_rows(net, recording, evaluation):
    model = opened(net)
    candidate = Candidate(model.card, model.blueprint)
    given = Inputs({SHOWN.name: SHOWN}, {recording.name: recording})
    trials = evaluation.trials(candidate, given, SEED)
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    results = list(evaluation.run(trials, bench))
    assert [result.error for result in results] == [None] * len(trials)
    return trials, results


def rows(net, recording, table="neural_scores", **choices):
    evaluation = NeuralFit(recording=recording.name, layers="logits", **choices)
    _, results = trials_and_rows(net, recording, evaluation)
    return [row for result in results for row in result.rows[table]]


def correlations(predicted, observed):
    return [pearsonr(x, y).statistic for x, y in zip(predicted.T, observed.T)]


PLS = {"readouts": ["pls"], "components": 4, "choose_components": False}


def test_a_published_split_is_trained_and_tested_on_as_it_is(net, features, recording):
    (row,) = rows(net, recording, protocol="published", split="tau", **PLS)
    model = exact_pls(features[TRAIN], recording.mean[TRAIN], 4)
    expected = correlations(model.predict(features[TEST]), recording.mean[TEST])
    assert_allclose(row["r"], expected, rtol=0, atol=SCORE)
    assert (row["fold"], row["n_stimuli"], row["n_observed"], row["n_sets"]) == (
        0,
        len(TEST),
        None,
        1,
    )
    assert row["selection_score"] is not None
    # The only one there is may be left unnamed.
    assert rows(net, recording, protocol="published", **PLS) == [row]


def test_a_similarity_under_a_published_split_is_over_its_tested_stimuli(net, features, recording):
    whole, tested = rows(net, recording, protocol="published", readouts=["rsa"])
    for row, some in ((whole, np.arange(N)), (tested, TEST)):
        sides = (pdist(part[some], "correlation") for part in (features, recording.mean))
        # Where float32 swaps some dissimilarities.
        moved = float32_rho(len(some) * (len(some) - 1) // 2, float32_products(192))
        assert row["score"] == pytest.approx(spearmanr(*sides).statistic, rel=0, abs=moved)
        assert row["n_stimuli"] == len(some)


def test_ceilings_of_a_published_split_are_of_its_tested_stimuli(net, recording):
    evaluation = NeuralFit(
        recording="it", layers="logits", protocol="published", readouts=["ridge"]
    )
    inputs = Inputs({SHOWN.name: SHOWN}, {"it": recording})
    ceilings = next(one for one in evaluation.companions(inputs) if isinstance(one, Ceilings))
    assert ceilings.split == "tau"
    trials, results = trials_and_rows(net, recording, ceilings)
    found = {trial.protocol: result for trial, result in zip(trials, results, strict=True)}
    of_halves = found["splithalf_spearman_brown"].rows["ceilings"]
    seed = next(one for one in trials if one.protocol == "splithalf_spearman_brown").random_seed
    expected = splithalf_spearman_brown(recording.repeated().padded()[TEST], n_splits=10, seed=seed)
    assert_allclose([row["ceiling"] for row in of_halves], expected, rtol=1e-12)
    assert {row["split"] for row in of_halves} == {"tau"}
    plain, _ = trials_and_rows(net, recording, Ceilings(recording="it"))
    assert not {one.id for one in plain} & {one.id for one in trials}


@pytest.mark.parametrize(
    ("split", "splits", "reason"),
    [
        ("ood", {"tau": SIDES}, "no split 'ood'; its splits are tau"),
        (None, {"tau": SIDES, "ood": SIDES}, "which split; its splits are tau, ood"),
        (None, {}, "which split; it has no splits"),
        ("tau", {"tau": ("train",) * N}, "has 60 stimuli to train on and 0 to test on, of 60"),
    ],
)
def test_a_split_that_is_not_there_says_which_are(net, recording, split, splits, reason):
    with pytest.raises(BadInput, match=f"^recording 'it': .*{reason}"):
        rows(net, replace(recording, splits=splits), protocol="published", split=split)


def test_a_split_moves_a_trials_id_and_so_does_another_of_that_name(net, recording):
    evaluation = NeuralFit(
        recording="it", layers="logits", protocol="published", readouts=["ridge"]
    )
    other = tuple(reversed(SIDES))
    ids = {
        trials_and_rows(net, replace(recording, splits=splits), evaluation)[0][0].id
        for splits in ({"tau": SIDES}, {"ood": SIDES}, {"tau": other})
    }
    assert len(ids) == 3


def test_pls_by_region_and_subject_is_scikit_learns_on_each(net, features, recording):
    found = rows(net, recording, fit_by=["region", "subject"], **PLS)
    folds = grouped_folds(SHOWN.groups, n_folds=5, seed=SEED)
    for row, fold in zip(found, folds, strict=True):
        for targets in APART.values():
            own = recording.mean[:, targets]
            model = exact_pls(features[fold.train], own[fold.train], 4)
            predicted = model.predict(features[fold.test]).reshape(len(fold.test), -1)
            expected = correlations(predicted, own[fold.test])
            assert_allclose(np.array(row["r"])[targets], expected, rtol=0, atol=SCORE)
    together = rows(net, recording, **PLS)
    assert np.abs(np.subtract(found[0]["r"], together[0]["r"])).max() > 100 * SCORE


def test_who_is_fitted_with_whom_is_part_of_a_trials_identity(net, recording):
    evaluation = NeuralFit(recording="it", layers="logits", fit_by=["region"], **PLS)
    moved = TARGETS.set_column(1, "region", pa.array(["IT"] * 5 + ["V4"]))
    ids = [
        trials_and_rows(net, one, evaluation)[0][0].id
        for one in (recording, replace(recording, targets=moved))
    ]
    assert ids[0] != ids[1]


@pytest.mark.parametrize("targets", [TARGETS, None])
def test_fits_by_what_nobody_knows_are_refused(net, recording, targets):
    with pytest.raises(BadInput, match="nothing is known of its targets' 'regoin'"):
        rows(net, replace(recording, targets=targets), fit_by=["regoin"], **PLS)


def test_brain_scores_penalties_are_those_of_scikit_learn(net, features, recording):
    found = rows(net, recording, readouts=["ridge"], alphas="brainscore")
    folds = grouped_folds(SHOWN.groups, n_folds=5, seed=SEED)
    for row, fold in zip(found, folds, strict=True):
        train = features[fold.train]
        unit = ((train - train.mean(0)) ** 2).sum() / len(train)
        chosen = np.array(row["choices"]) * unit
        nearest = [min(BRAINSCORE_ALPHAS, key=lambda one: abs(np.log(one / c))) for c in chosen]
        assert_allclose(chosen, nearest, rtol=float32_products(192))
        model = SklearnRidge(np.array(nearest), solver="svd").fit(train, recording.mean[fold.train])
        expected = correlations(model.predict(features[fold.test]), recording.mean[fold.test])
        assert_allclose(row["r"], expected, rtol=0, atol=SCORE)


@pytest.fixture(scope="module")
def gaps(recording):
    """The recording without some targets' responses to some stimuli; the last answered four."""
    responses = recording.repeated().padded().copy()
    responses[np.ix_(range(12), range(4), [0, 3])] = np.nan
    responses[4:, :, 5] = np.nan
    responses[30, 1:] = np.nan
    return replace(recording, responses=responses, digest="")


def test_targets_are_scored_on_what_they_answered_and_the_number_is_a_column(net, features, gaps):
    found = rows(net, gaps, **PLS)
    folds = grouped_folds(SHOWN.groups, n_folds=5, seed=SEED)
    for row, fold in zip(found, folds, strict=True):
        assert row["n_sets"] == 3
        assert row["undefined"] == [""] * 5 + ["too few observed stimuli"]
        assert row["n_constant_targets"] == 1
        assert row["score"] == pytest.approx(np.median(row["r"][:5]), rel=0, abs=FLOAT32)
        for targets in ([0, 3], [1, 2, 4]):
            there = ~np.isnan(gaps.mean[:, targets[0]])
            train, test = (part[there[part]] for part in (fold.train, fold.test))
            model = exact_pls(features[train], gaps.mean[np.ix_(train, targets)], 4)
            expected = correlations(model.predict(features[test]), gaps.mean[np.ix_(test, targets)])
            assert_allclose(np.array(row["r"])[targets], expected, rtol=0, atol=SCORE)
            assert [row["n_observed"][target] for target in targets] == [len(test)] * len(targets)


def test_a_similarity_is_over_the_stimuli_that_every_target_answered(net, features, gaps):
    some = replace(
        gaps, responses=gaps.repeated().padded()[..., :5], target_ids=gaps.target_ids[:5],
        targets=TARGETS.slice(0, 5), digest="",
    )  # fmt: skip
    whole, *of_folds = rows(net, some, readouts=["rsa"])
    answered = np.arange(12, N)
    sides = (pdist(part[answered], "correlation") for part in (features, some.mean))
    moved = float32_rho(len(answered) * (len(answered) - 1) // 2, float32_products(192))
    assert whole["score"] == pytest.approx(spearmanr(*sides).statistic, rel=0, abs=moved)
    assert whole["n_stimuli"] == 48
    assert sum(row["n_stimuli"] for row in of_folds) == 48


def test_a_similarity_without_stimuli_that_every_target_answered_is_refused(net, gaps):
    with pytest.raises(BadInput, match=r"a test fold has \d of the 60 stimuli, every target answered 0, .* leave targets out"):  # fmt: skip
        rows(net, gaps, readouts=["rsa"])


def test_what_is_known_of_targets_is_a_table(net, recording):
    trials, results = trials_and_rows(net, recording, Targets(recording="it"))
    assert [one.protocol for one in trials] == ["as_published"]
    found = results[0].rows["targets"]
    assert [row["region"] for row in found] == TARGETS["region"].to_pylist()
    assert [row["reliability"] for row in found] == [0.9, 0.8, None, 0.7, 0.6, None]
    assert found[1]["known"] == '{"target_id": "t1", "region": "V4", "subject": "F", "reliability": 0.8, "depth_um": 200}'  # fmt: skip
    for known in (None, TARGETS.select(["target_id"])):
        given = Inputs({SHOWN.name: SHOWN}, {"it": replace(recording, targets=known)})
        assert Targets(recording="it").trials(Candidate(), given, SEED) == []


def test_predictions_are_compared_along_the_recordings_own_components(net, features, recording):
    found = rows(net, recording, **PLS)
    folds = grouped_folds(SHOWN.groups, n_folds=5, seed=SEED)
    for row, fold in zip(found, folds, strict=True):
        training, test = recording.mean[fold.train], recording.mean[fold.test]
        axes = PCA().fit(training).components_.T
        predicted = exact_pls(features[fold.train], training, 4).predict(features[fold.test])
        expected = correlations(predicted @ axes, test @ axes)
        assert_allclose(row["pc_r"], expected, rtol=0, atol=10 * SCORE)


def test_components_are_of_the_targets_that_answered_everything(net, gaps):
    assert {len(row["pc_r"]) for row in rows(net, gaps, **PLS)} == {3}
