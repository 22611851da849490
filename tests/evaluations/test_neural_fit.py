"""Every readout and protocol of neural_fit, from pixels to rows, against other libraries."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr
from sklearn import linear_model
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedShuffleSplit
from torch import nn

from tests.numerics.regression import exact_pls
from tests.planted_nets import noise, opened, pixels
from tests.rounding import FLOAT32, SCORE, float32_products, float32_rho
from zoo_eval.errors import BadInput
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.protocols import nested_folds
from zoo_eval.numerics.splits import grouped_folds
from zoo_eval.readouts import procrustes, rsa
from zoo_eval.readouts.design import Design, Reduction
from zoo_eval.readouts.pls import Pls
from zoo_eval.readouts.ridge import ALPHAS, Ridge
from zoo_eval.recordings.ceiling_file import FileCeilings
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.representations.grams import LayerGram
from zoo_eval.representations.representations import Representations

N, P, Q, SEED = 60, 30, 5, 3
GROUPS = tuple(f"photo {i // 2}" for i in range(N))
SHOWN = replace(noise(N), groups=GROUPS, labels=tuple((2, 10, 11)[i % 3] for i in range(N)))
OTHERS = noise(40, seed=1)


def swapped(n_stimuli):
    """How far rho of all pairs of stimuli moves where float32 swaps some dissimilarities."""
    return float32_rho(n_stimuli * (n_stimuli - 1) // 2, float32_products(192))


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
    noise_level = signal.std(0) * 0.7
    responses = signal[:, None] + noise_level * rng.standard_normal((N, 4, Q))
    return ResponseRecording("it", SHOWN.name, responses, tuple(f"t{i}" for i in range(Q)))


@pytest.fixture(scope="module")
def subjects(features):
    """RDMs of three subjects: squared distances of the features, noisily."""
    rng = np.random.default_rng(1)
    level = features.std() / 2
    seen = [features + level * rng.standard_normal(features.shape) for _ in range(3)]
    squared = [((one[:, None] - one[None]) ** 2).sum(2) for one in seen]
    return RdmRecording("fmri", SHOWN.name, np.stack(squared), ("a", "b", "c"))


def inputs(*recordings):
    sets = {SHOWN.name: SHOWN, OTHERS.name: OTHERS}
    return Inputs(sets, {one.name: one for one in recordings})


def rows(net, recorded, evaluation, table="neural_scores"):
    """The rows of one evaluation over the network's logits."""
    model = opened(net)
    candidate = Candidate(model.card, model.blueprint)
    given = inputs(recorded)
    trials = evaluation.trials(candidate, given, SEED)
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    results = list(evaluation.run(trials, bench))
    assert [result.error for result in results] == [None] * len(trials)
    return [row for result in results for row in result.rows[table]]


def fit(recorded, **choices):
    return NeuralFit(**{"recording": recorded.name, "layers": "logits", **choices})


def correlations(predicted, observed):
    return [pearsonr(x, y).statistic for x, y in zip(predicted.T, observed.T)]


def test_pls_equals_scikit_learn_on_the_features(net, features, recording):
    found = rows(
        net, recording, fit(recording, readouts=["pls"], components=4, choose_components=False)
    )
    folds, inner = nested_folds(GROUPS, n_folds=5, n_inner_folds=4, seed=SEED)
    for row, fold, inside in zip(found, folds, inner, strict=True):

        def r(train, test):
            model = exact_pls(features[train], recording.mean[train], 4)
            return correlations(model.predict(features[test]), recording.mean[test])

        np.testing.assert_allclose(row["r"], r(fold.train, fold.test), rtol=0, atol=SCORE)
        selection = np.mean([r(one.train, one.test) for one in inside], axis=0)
        assert row["score"] == pytest.approx(np.median(row["r"]), rel=0, abs=FLOAT32)
        assert row["selection_score"] == pytest.approx(np.median(selection), rel=0, abs=SCORE)
        assert row["choices"] == [4] * Q
        assert row["target_ids"] == list(recording.target_ids)


def test_ridge_equals_scikit_learn_with_the_penalties_that_it_says_it_chose(
    net, features, recording
):
    found = rows(net, recording, fit(recording, readouts=["ridge"]))
    folds = grouped_folds(GROUPS, n_folds=5, seed=SEED)
    for row, fold in zip(found, folds, strict=True):
        train, test = features[fold.train], features[fold.test]
        unit = ((train - train.mean(0)) ** 2).sum() / len(train)
        assert set(row["choices"]) <= set(ALPHAS)
        model = linear_model.Ridge(alpha=np.array(row["choices"]) * unit).fit(
            train, recording.mean[fold.train]
        )
        expected = correlations(model.predict(test), recording.mean[fold.test])
        np.testing.assert_allclose(row["r"], expected, rtol=0, atol=SCORE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("readout", "protocol", "reduction"),
    [
        (Pls(components=4), "nested", None),
        (Ridge(), "nested", None),
        (Pls(components=4), "brainscore", Reduction(20, len(OTHERS), OTHERS.digest)),
    ],
)
def test_fits_on_a_gpu_equal_those_on_the_cpu(
    net, features, recording, readout, protocol, reduction
):
    with torch.no_grad():
        others = net(pixels(OTHERS)).double().numpy()
    shown = torch.from_numpy(np.concatenate([features, others]) if reduction else features)
    layer = LayerGram(shown @ shown.T, shown.sum(1), (P,))
    design = Design(protocol, seed=SEED, reduction=reduction)
    here, there = (
        readout.settled(protocol).scorer(recording, SHOWN, design, torch.device(name))(layer)
        for name in ("cpu", "cuda")
    )
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(other["r"], one["r"], rtol=0, atol=SCORE)
        assert other["choices"] == one["choices"]
        for name in ("score", "selection_score", "score_low", "stimuli_low", "stimuli_high"):
            assert other[name] == pytest.approx(one[name], rel=0, abs=SCORE)


def test_a_fixed_penalty_is_one_for_all_targets(net, recording):
    evaluation = fit(recording, readouts=["ridge"], protocol="kfold", alpha=0.1)
    assert {c for row in rows(net, recording, evaluation) for c in row["choices"]} == {0.1}


def test_components_are_chosen_inside_the_training_folds_unless_said_otherwise(net, recording):
    chosen = rows(net, recording, fit(recording, readouts=["pls"], components=9))
    numbers = {c for row in chosen for c in row["choices"]}
    assert numbers <= set(range(1, 10))
    assert len(numbers) > 1


def test_brainscore_equals_scikit_learns_shuffles_and_components(net, features, recording):
    evaluation = fit(
        recording, readouts=["pls"], protocol="brainscore", components=4,
        pca_stimuli=OTHERS.name, pca_components=20,
    )  # fmt: skip
    found = rows(net, recording, evaluation)
    with torch.no_grad():
        pca = PCA(20, svd_solver="full").fit(net(pixels(OTHERS)).double().numpy())
    reduced = pca.transform(features)
    splitter = StratifiedShuffleSplit(10, train_size=0.9, test_size=None, random_state=1)
    splits = list(splitter.split(reduced, SHOWN.labels))
    assert len(found) == len(splits)
    for row, (train, test) in zip(found, splits):
        model = exact_pls(reduced[train], recording.mean[train], 4)
        test = np.sort(test)
        expected = correlations(model.predict(reduced[test]), recording.mean[test])
        np.testing.assert_allclose(row["r"], expected, rtol=0, atol=SCORE)


def test_rsa_equals_scipy_over_all_stimuli_and_fold_by_fold(net, features, recording):
    whole, *folded = rows(net, recording, fit(recording, readouts=["rsa"]))

    def rho(some):
        x, y = (pdist(side[some], "correlation") for side in (features, recording.mean))
        return spearmanr(x, y).statistic

    assert whole["fold"] is None
    assert whole["selection_score"] is None
    assert whole["statistic"] == "spearman_rho"
    assert whole["score"] == pytest.approx(rho(np.arange(N)), rel=0, abs=swapped(N))
    assert whole["stimuli_low"] < whole["score"] < whole["stimuli_high"]
    for row, fold in zip(folded, grouped_folds(GROUPS, n_folds=5, seed=SEED), strict=True):
        assert row["score"] == pytest.approx(rho(fold.test), rel=0, abs=swapped(len(fold.test)))
        assert row["selection_score"] == pytest.approx(
            rho(fold.train), rel=0, abs=swapped(len(fold.train))
        )


def test_each_subject_of_an_rdm_recording_is_compared_with(net, features, subjects):
    evaluation = fit(
        subjects, readouts=["rsa"], dissimilarity="squared_euclidean", comparison="pearson"
    )
    whole = rows(net, subjects, evaluation)[0]
    own, pairs = pdist(features, "sqeuclidean"), np.triu_indices(N, 1)
    expected = [pearsonr(own, one[pairs]).statistic for one in subjects.rdms]
    np.testing.assert_allclose(whole["r"], expected, rtol=0, atol=SCORE)
    assert whole["target_ids"] == ("a", "b", "c")
    mean = subjects.rdms.mean(0)[pairs]
    assert whole["score"] == pytest.approx(pearsonr(own, mean).statistic, rel=0, abs=SCORE)


def test_cka_and_procrustes_equal_their_definitions_on_features(net, features, recording):
    found = rows(net, recording, fit(recording, readouts=["cka", "procrustes"], cka="plain"))
    cka, procrustes = (row for row in found if row["fold"] is None)
    x, y = (side - side.mean(0) for side in (features, recording.mean))
    hsic = np.linalg.norm(y.T @ x) ** 2
    norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    assert cka["score"] == pytest.approx(hsic / norms, rel=0, abs=SCORE)
    wider = np.pad(y, ((0, 0), (0, P - Q)))
    _, nuclear = orthogonal_procrustes(wider, x)
    assert procrustes["score"] == pytest.approx(
        nuclear / np.linalg.norm(x) / np.linalg.norm(y), rel=0, abs=SCORE
    )


def test_squared_distances_serve_cka_as_features_would(net, features):
    squared = ((features[:, None] - features[None]) ** 2).sum(2)
    known = RdmRecording("d", SHOWN.name, squared[None], ("a",), "squared_euclidean")
    found = rows(net, known, fit(known, readouts=["cka", "procrustes"]))
    for row in found:
        assert row["score"] == pytest.approx(1, rel=0, abs=SCORE)


def test_intervals_over_targets_and_stimuli_hold_the_score(net, recording):
    for row in rows(net, recording, fit(recording, readouts=["ridge"])):
        assert row["score_low"] <= row["score"] <= row["score_high"]
        assert row["stimuli_low"] < row["score"] < row["stimuli_high"]
        assert row["undefined"] is None


def test_of_too_few_targets_or_groups_of_stimuli_there_is_no_interval(net, recording):
    few = ResponseRecording(
        "few", SHOWN.name, recording.repeated().padded()[..., :4], tuple("abcd")
    )
    for row in rows(net, few, fit(few, readouts=["ridge"])):
        assert row["score"] is not None
        assert (row["score_low"], row["score_high"]) == (None, None)
        assert row["stimuli_low"] < row["stimuli_high"]
    # 30 photos: ten folds have three each, and all of them together are enough.
    for row in rows(net, recording, fit(recording, readouts=["ridge"], n_folds=10)):
        assert row["score_low"] < row["score_high"]
        assert (row["stimuli_low"], row["stimuli_high"]) == (None, None)
    whole = rows(net, recording, fit(recording, readouts=["rsa"], n_folds=10))[0]
    assert whole["stimuli_low"] < whole["stimuli_high"]


RESAMPLED = [
    {"readouts": ["rsa"], "comparison": "pearson"},
    {"readouts": ["rsa"], "comparison": "cosine"},
    {"readouts": ["rsa"], "comparison": "kendall_tau_a"},
    {"readouts": ["cka"]},
]


@pytest.mark.parametrize("choices", RESAMPLED)
def test_similarities_over_all_stimuli_have_an_interval_over_stimuli(net, recording, choices):
    whole, *folded = rows(net, recording, fit(recording, **choices))
    assert whole["stimuli_low"] < whole["score"] < whole["stimuli_high"]
    assert whole["undefined"] is None
    assert all(row["stimuli_low"] is None for row in folded)
    assert all(row["score_low"] is None for row in (whole, *folded) if "score_low" in row)


@pytest.mark.parametrize("readout", ["cka", "procrustes"])
def test_where_copies_add_to_the_bias_the_interval_lies_high(net, recording, readout):
    whole = rows(net, recording, fit(recording, readouts=[readout], cka="plain"))[0]
    assert whole["score"] < whole["stimuli_high"] <= 1
    assert whole["stimuli_low"] < whole["stimuli_high"]


@pytest.mark.parametrize(
    ("file", "limit", "choices"),
    [
        (rsa, "MOST_KENDALL_STIMULI", {"readouts": ["rsa"], "comparison": "kendall_tau_a"}),
        (procrustes, "MOST_RANK", {"readouts": ["procrustes"]}),
    ],
)
def test_an_interval_that_would_take_too_long_is_null(
    net, recording, monkeypatch, file, limit, choices
):
    monkeypatch.setattr(file, limit, Q - 1)
    whole = rows(net, recording, fit(recording, **choices))[0]
    assert whole["score"] is not None
    assert (whole["stimuli_low"], whole["stimuli_high"]) == (None, None)


def test_an_undefined_similarity_says_why(net, features, recording, subjects):
    flat = ResponseRecording("flat", SHOWN.name, np.full((N, 1, Q), 2.0), recording.target_ids)
    for readout, choices, reason in [
        ("cka", {}, "constant responses"),
        ("procrustes", {}, "constant responses"),
        ("rsa", {}, "a dissimilarity of the recording is undefined"),
        (
            "rsa",
            {"dissimilarity": "squared_euclidean"},
            "constant dissimilarities of the recording",
        ),
    ]:
        for row in rows(net, flat, fit(flat, readouts=[readout], **choices)):
            assert row["score"] is None
            assert row["undefined"] == [reason]
            assert row["stimuli_low"] is None
    rdms = subjects.rdms.copy()
    rdms[1] = 1 - np.eye(N)
    one_flat = replace(subjects, rdms=rdms)
    for row in rows(net, one_flat, fit(one_flat, readouts=["rsa"])):
        assert row["score"] is not None
        assert row["undefined"] == ["", "constant dissimilarities of the recording", ""]
        assert np.isnan(row["r"]).tolist() == [False, True, False]


@pytest.mark.parametrize("readout", ["rsa", "cka", "procrustes"])
def test_a_constant_layer_says_so(recording, readout):
    constant = nn.Sequential(nn.Flatten(), nn.Linear(192, P))
    nn.init.zeros_(constant[1].weight)
    of_layer = "constant dissimilarities of the layer" if readout == "rsa" else "constant features"
    for row in rows(constant, recording, fit(recording, readouts=[readout])):
        assert row["score"] is None
        assert row["undefined"] == [of_layer]


def test_a_constant_target_is_left_out_and_counted(net, recording):
    responses = recording.repeated().padded().copy()
    responses[:, :, 1] = 2.5
    constant = ResponseRecording("it", SHOWN.name, responses, recording.target_ids)
    for row in rows(net, constant, fit(constant, readouts=["pls", "ridge"], components=3)):
        assert row["n_constant_targets"] == 1
        assert np.isnan(row["r"]).tolist() == [False, True, False, False, False]
        assert row["score"] == pytest.approx(np.nanmedian(row["r"]), rel=0, abs=FLOAT32)
        assert row["undefined"] == ["", "constant responses", "", "", ""]


def test_shuffled_responses_score_nothing(net, recording):
    order = np.random.default_rng(5).permutation(N)
    shuffled = ResponseRecording(
        "it", SHOWN.name, recording.repeated().padded()[order], recording.target_ids
    )
    found = rows(net, shuffled, fit(shuffled, readouts=["pls", "ridge"], components=3))
    # 60 correlations of 12 stimuli each, of standard error 0.3.
    assert abs(np.mean([r for row in found for r in row["r"]])) < 0.2


@pytest.mark.parametrize("readout", ["pls", "ridge"])
def test_a_sketch_says_so_and_is_near(recording, readout):
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(192, 4000))
    exact, sketched = (
        rows(wide, recording, fit(recording, readouts=[readout], components=5, sketch=sketch))
        for sketch in (None, 2048)
    )
    assert {row["sketch"] for row in exact} == {None}
    assert {row["sketch"] for row in sketched} == {2048}
    apart = np.subtract(*([row["r"] for row in found] for found in (exact, sketched)))
    assert np.abs(apart).max() > 0
    assert np.median(np.abs(apart)) < 0.05


@pytest.mark.parametrize("sketch", [None, 29])
def test_the_geometry_beside_a_fit_is_of_the_same_sketch(net, features, recording, sketch):
    *_, geometry = fit(recording, sketch=sketch).companions(inputs(recording))
    (row,) = rows(net, recording, geometry, table="layers")
    assert (row["sketch"], row["n_features"]) == (sketch, P)
    spectrum = np.linalg.eigvalsh(np.cov(features.T))
    exact = spectrum.sum() ** 2 / (spectrum**2).sum()
    # A sketch of as many dimensions as features is unbiased, not exact.
    assert row["effective_dim"] == pytest.approx(exact, rel=10 * SCORE if sketch is None else 0.2)
    assert (row["effective_dim"] < exact * (1 - 10 * SCORE)) == (sketch is not None)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"protocol": "brainscore"}, "is PLS"),
        ({"pca_stimuli": "noise 1"}, "goes with protocol"),
        ({"choose_components": True, "protocol": "kfold", "readouts": ["pls"]}, "nested"),
        ({"protocol": "kfold"}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"readouts": ["svm"]}, "unknown readout 'svm'; known: cka, pls"),
        ({"readouts": ["rsa"], "components": 0}, "components\n.*greater than or equal to 1"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(choices, said):
    with pytest.raises(ValidationError, match=said):
        NeuralFit(recording="it", **choices)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"n_folds": 40}, "too few for the nested protocol .*lower n_folds"),
        ({"components": 40}, "40 PLS components, but an inner training set has only .*lower"),
        ({"readouts": ["rsa"], "n_folds": 20}, "a test fold has 2 of the 60 stimuli"),
    ],
)
def test_too_few_stimuli_are_refused_at_planning(net, recording, choices, said):
    with pytest.raises(BadInput, match=said):
        rows(net, recording, fit(recording, **choices))


@pytest.mark.parametrize(
    ("readout", "said"),
    [("pls", "no targets to predict; use rsa"), ("cka", 'set dissimilarity = "squared_euclidean"')],
)
def test_dissimilarities_alone_cannot_be_predicted(net, subjects, readout, said):
    with pytest.raises(BadInput, match=said):
        rows(net, subjects, fit(subjects, readouts=[readout]))


def test_distances_that_are_of_no_points_have_no_shape(net, subjects):
    rdms = subjects.rdms.copy()
    rdms[:, 0, 1:] *= 9
    rdms[:, 1:, 0] *= 9
    bent = replace(subjects, rdms=rdms, dissimilarity="squared_euclidean")
    with pytest.raises(BadInput, match=r"not \(no Gram matrix.*use rsa or cka"):
        rows(net, bent, fit(bent, readouts=["procrustes"]))
    assert rows(net, bent, fit(bent, readouts=["cka"]))


def test_a_readout_that_fails_takes_no_other_with_it(net, recording, monkeypatch):
    def fails(*_):
        raise ArithmeticError("planted")

    monkeypatch.setattr(procrustes.procrustes, "factor", fails)
    model = opened(net)
    candidate, given = Candidate(model.card, model.blueprint), inputs(recording)
    evaluation = fit(recording, readouts=["procrustes", "cka", "ridge"])
    trials = evaluation.trials(candidate, given, SEED)
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    results = {result.trial.readout: result for result in evaluation.run(trials, bench)}
    assert str(results["procrustes"].error) == "planted"
    assert not results["procrustes"].rows
    for readout in ("cka", "ridge"):
        assert results[readout].error is None
        assert results[readout].rows["neural_scores"]


def test_brainscore_without_labels_is_refused(net, recording):
    model = opened(net)
    unlabelled = Inputs({SHOWN.name: replace(SHOWN, labels=None)}, {"it": recording})
    evaluation = fit(recording, readouts=["pls"], protocol="brainscore")
    with pytest.raises(BadInput, match="stratifies by label"):
        evaluation.trials(Candidate(model.card, model.blueprint), unlabelled, SEED)


def ceiling_rows(recorded, **choices):
    evaluation, given = Ceilings(recording=recorded.name, **choices), inputs(recorded)
    results = evaluation.run(
        evaluation.trials(Candidate(), given, SEED), Workbench(given, Candidate())
    )
    return [row for result in results for row in result.rows["ceilings"]]


def test_every_ceiling_says_its_scale_and_whom_it_is_of(recording, subjects):
    published = replace(recording, file_ceilings=FileCeilings(np.full(Q, 0.5), "variance", "x"))
    found = {row["estimator"]: row for row in ceiling_rows(published)}
    assert {name: row["scale"] for name, row in found.items()} == {
        "splithalf_spearman_brown": "reliability",
        "internal_consistency": "reliability",
        "leave_one_out": "correlation",
        "ncsnr": "variance",
        "max_pairwise_target": "correlation",
        "from_file": "variance",
    }
    assert found["from_file"]["ceiling"] == 0.5
    assert found["max_pairwise_target"]["target"] == "all"
    of_subjects = ceiling_rows(subjects, comparison="pearson")
    assert {row["statistic"] for row in of_subjects} == {"pearson_r"}
    lower, upper = (row["ceiling"] for row in of_subjects)
    assert 0 < lower < upper <= 1


def test_a_ceiling_without_a_number_says_why(recording, subjects):
    assert {row["undefined"] for row in ceiling_rows(recording)} == {None}
    responses = recording.repeated().padded().copy()
    responses[:, 1:, 0] = 0.1
    dead = recording.target_ids[0]
    found = ceiling_rows(replace(recording, responses=responses, digest=""))
    assert {row["undefined"] for row in found if row["target"] != dead} == {None}
    missing = {row["estimator"]: row["undefined"] for row in found if row["ceiling"] is None}
    n_constant = ", ".join(str(i) for i in range(1, responses.shape[1]))
    assert missing["splithalf_spearman_brown"] == f"constant responses in repetition {n_constant}"
    rdms = subjects.rdms.copy()
    rdms[1] = 1 - np.eye(len(rdms[1]))
    for row in ceiling_rows(replace(subjects, rdms=rdms)):
        assert (row["ceiling"], row["undefined"]) == (
            None, f"constant dissimilarities of {subjects.subject_ids[1]}",
        )  # fmt: skip
