"""Planted layer, ranking and ceilings recovered through every reader, uneven and with a tenth missing."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from tests.planted_nets import opened, pixels
from tests.recordings import planted_truth as truth
from tests.recordings.planted_truth import MOST, N_TARGETS, NOISE_VARIANCE, PX, UNEVEN, P
from tests.rounding import FLOAT32, SCORE, float32_products, float32_rho
from tests.sweeps import loaded
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.models import blueprint
from zoo_eval.networks.tracing import trace
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.folder import read_folder

SEED = 3
LAYER, LAYERS = "4", ("2", "4", "6")
NETS = ("planted", "turned", "other")
RESPONSES = (*truth.UNEVEN, *truth.TWO_PARTS, *truth.MEANS, *truth.WHOLE)
# Which plain array each kind holds the responses of.
SAME = {
    name: next(iter(kinds))
    for kinds in (truth.UNEVEN, truth.TWO_PARTS, truth.MEANS, truth.WHOLE)
    for name in kinds
}
# Half a unit of NSD's int16 is half of a three hundredth; others hold float32 at least, in which the
# planted responses are exact. A mean has the error of its terms.
ROUNDING = {"nsd": 0.5 / 300, "nsd_synthetic": 0.5 / 300}
READOUTS = ("ridge", "pls", "rsa")
# What is ranked is so far apart in truth. A fold's r of 21 stimuli has a standard error of 0.2 at most; the
# median of 40 targets, which share 12 directions of signal, in three folds one of 0.2 / sqrt(12 x 3).
APART = 3 * 0.2 / 36**0.5

HEAD = """
[store]
uri = "store"
[models]
include = ["local/*"]
[[models.local]]
name = "vit"
architecture = "timm/test_vit"
weights = "untrained"
[stimuli.photos]
kind = "folder"
path = "photos"
[stimuli.synthetic]
kind = "folder"
path = "synthetic"
"""
RDMS = """
[recordings.rdm]
kind = "rdm"
stimuli = "photos"
path = "rdm.npy"
stimulus_ids = "npy/ids.txt"
[recordings.layer]
kind = "arrays"
stimuli = "photos"
path = "layer.npy"
stimulus_ids = "npy/ids.txt"
"""
EVALUATION = """
[[evaluations]]
kind = "neural_fit"
recording = "{name}"
layers = ["2", "4", "6"]
readouts = {readouts}
components = 6
n_folds = 3
n_inner_folds = 2
n_resamples = 10
"""


@pytest.fixture(scope="module")
def models():
    """An open model of each network; they have no outline that could be traced, so one stands for all."""
    nets = {"planted": truth.bent(0), "turned": truth.bent(0, turned=0.6), "other": truth.bent(1)}
    patch = pytest.MonkeyPatch()
    shapes = trace(nets["planted"], (PX, PX)).captured
    patch.setattr(blueprint.Blueprint, "captured", property(lambda _: shapes))
    patch.setattr(blueprint.Blueprint, "outline", property(lambda _: nets["planted"]))
    yield {name: opened(one, input_px=PX) for name, one in nets.items()}
    patch.undo()


@dataclass(frozen=True, eq=False)
class Lab:
    """A sweep with a recording of every kind; features by network and layer, and what was planted."""

    sweep: object
    inputs: object
    features: dict
    signal: np.ndarray
    planted: dict
    rdm: np.ndarray


@pytest.fixture(scope="module")
def lab(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    truth.images(folder / "photos", list(truth.IDS))
    truth.images(folder / "synthetic", [f"nsdsynthetic-{one:03d}" for one in truth.SYNTHETIC])
    shown = read_folder("photos", folder / "photos")
    features = {}
    for name, model in models.items():
        x = pixels(shown)
        for place, module in model.net.named_children():
            x = module(x)
            if place in LAYERS:
                features[name, place] = x.detach().double().numpy()
    of_layer = features["planted", LAYER]
    of_layer = (of_layer - of_layer.mean(0)) / of_layer.std(0)
    signal = of_layer @ np.random.default_rng(0).standard_normal((P, N_TARGETS))
    signal = (signal - signal.mean(0)) / signal.std(0)
    np.save(folder / "layer.npy", features["planted", LAYER])
    rdm = squareform(pdist(features["planted", LAYER], "correlation"))
    np.save(folder / "rdm.npy", rdm)
    sections, planted = [HEAD, RDMS], truth.plantings(signal)
    for name, (write, one) in planted.items():
        (folder / name).mkdir()
        sections.append(truth.section(name, write(folder / name, one), name))
    for name in RESPONSES:
        readouts = READOUTS if name in SAME.values() else READOUTS[:2]
        sections.append(EVALUATION.format(name=name, readouts=list(readouts)))
    sections += [EVALUATION.format(name=name, readouts=["rsa"]) for name in ("rdm", "layer")]
    (folder / "sweep.toml").write_text("\n".join(sections))
    sweep, _, inputs = loaded(folder / "sweep.toml")
    assert not inputs.unreadable
    return Lab(sweep, inputs, features, signal, {name: one for name, (_, one) in planted.items()}, rdm)  # fmt: skip


@pytest.fixture(scope="module")
def rows(lab, models):
    """Rows of `neural_scores` by recording, network, readout and layer; each network runs once per set.

    PLS, which takes longest, is of the planted network alone.
    """
    kept = {name: Representations(model, 2**28) for name, model in models.items()}
    found = {}
    for whole in lab.sweep.evaluations:
        for name, model in models.items():
            some = [one for one in whole.readouts if one != "pls" or name == "planted"]
            evaluation = whole.model_copy(update={"readouts": tuple(some)})
            candidate = Candidate(model.card, model.blueprint)
            trials = evaluation.trials(candidate, lab.inputs, SEED)
            bench = Workbench(lab.inputs, candidate, model, kept[name])
            for result in evaluation.run(trials, bench):
                assert result.error is None
                key = (evaluation.recording, name, result.trial.readout, result.trial.layer)
                found[key] = result.rows["neural_scores"]
    return found


def score(rows, name, net, readout, layer, column="score"):
    """The median over folds, as `best_layer` has it."""
    folds = [row for row in rows[name, net, readout, layer] if row["fold"] is not None]
    return float(np.median([row[column] for row in folds]))


def best(rows, name, net, readout):
    """The layer that the training rows choose."""
    return max(LAYERS, key=lambda one: score(rows, name, net, readout, one, "selection_score"))


@pytest.fixture(scope="module")
def true_scores(lab):
    """How well each layer tells the signal itself, by scikit-learn: median r of held-out stimuli."""
    folds = KFold(4, shuffle=True, random_state=0)
    found = {}
    for key, features in lab.features.items():
        told = cross_val_predict(RidgeCV(np.logspace(-4, 3, 15)), features, lab.signal, cv=folds)
        found[key] = float(np.median([np.corrcoef(x, y)[0, 1] for x, y in zip(told.T, lab.signal.T)]))  # fmt: skip
    return found


def ranked(scores):
    return sorted(scores, key=scores.__getitem__, reverse=True)


def test_what_is_ranked_is_apart_in_truth(true_scores):
    for ordered in (
        sorted(true_scores["planted", layer] for layer in LAYERS),
        sorted(max(true_scores[net, layer] for layer in LAYERS) for net in NETS),
    ):
        assert min(np.diff(ordered)) > APART
    assert true_scores["planted", LAYER] > 0.99


@pytest.mark.parametrize("name", RESPONSES)
def test_a_tenth_of_the_means_is_missing_and_repetitions_are_uneven(lab, name):
    recording = lab.inputs.recording(name)
    missing = np.isnan(recording.mean).mean()
    assert missing == (0 if name in truth.WHOLE else 0.1)
    counts = recording.repeated().counts
    often = {1, 2, 3, MOST}
    if name in truth.TWO_PARTS:
        often = {1, MOST}
    elif name in truth.MEANS:
        often = {1}
    there = (~np.isnan(recording.repeated().padded())).any(2).sum(1)
    assert set(there) == often
    # What only fills up an axis of repetitions is none.
    assert_array_equal(counts, there)


@pytest.mark.parametrize("name", RESPONSES)
def test_every_reader_gives_what_was_planted(lab, name):
    found, plain = (lab.inputs.recording(one).mean for one in (name, SAME[name]))
    with np.errstate(invalid="ignore"):
        values = lab.planted[name].responses
        n = (~np.isnan(values)).sum(1)
        expected = np.where(n > 0, np.nansum(values, 1) / np.maximum(n, 1), np.nan)
    # Sums of four in float32, of responses that are at most so large.
    bound = ROUNDING.get(name, 0.0) + float32_products(MOST, np.nanmax(np.abs(values)))
    assert_allclose(found, expected, rtol=0, atol=bound)
    assert_allclose(found, plain, rtol=0, atol=bound)


@pytest.mark.parametrize("readout", READOUTS[:2])
@pytest.mark.parametrize("name", RESPONSES)
def test_the_planted_layer_and_the_ranking_are_those_of_the_truth(rows, true_scores, name, readout):
    assert best(rows, name, "planted", readout) == LAYER
    of_layers = {one: score(rows, name, "planted", readout, one) for one in LAYERS}
    assert ranked(of_layers) == ranked({one: true_scores["planted", one] for one in LAYERS})


@pytest.mark.parametrize("name", RESPONSES)
def test_networks_rank_as_in_truth_by_the_layer_that_each_is_given(rows, true_scores, name):
    found = {net: score(rows, name, net, "ridge", best(rows, name, net, "ridge")) for net in NETS}
    in_truth = {net: max(true_scores[net, one] for one in LAYERS) for net in NETS}
    assert ranked(found) == ranked(in_truth) == list(NETS)


@pytest.mark.parametrize("readout", READOUTS[:2])
@pytest.mark.parametrize("name", [one for one in RESPONSES if SAME[one] != one])
def test_every_reader_scores_as_plain_arrays_do(rows, name, readout):
    for net in NETS if readout == "ridge" else NETS[:1]:
        for layer in LAYERS:
            pairs = zip(rows[name, net, readout, layer], rows[SAME[name], net, readout, layer], strict=True)  # fmt: skip
            for one, other in pairs:
                assert (one["n_stimuli"], one["n_observed"], one["n_sets"]) == (
                    other["n_stimuli"], other["n_observed"], other["n_sets"],
                )  # fmt: skip
                # Where a rounded response moves an inner fold's error, another penalty may be chosen.
                same = np.array(one["choices"]) == np.array(other["choices"])
                assert same.mean() > 0.9
                r, expected = np.array(one["r"])[same], np.array(other["r"])[same]
                # Responses are no farther from their mean than 1 on average, so that r moves by
                # their rounding and by that of what is predicted from them.
                bound = 2 * ROUNDING.get(name, 0.0) + SCORE
                assert_allclose(r, expected, rtol=0, atol=bound)


def test_the_sets_that_are_fitted_together_are_those_that_were_planted(rows):
    for name in RESPONSES:
        for readout in READOUTS[:2]:
            for row in rows[name, "planted", readout, LAYER]:
                assert row["n_sets"] == (1 if name in truth.WHOLE else 5)


@pytest.mark.parametrize("name", sorted(set(SAME.values())))
def test_rsa_over_what_everyone_answered_finds_the_planted_layer(lab, rows, name):
    assert best(rows, name, "planted", "rsa") == LAYER
    (whole,) = [row for row in rows[name, "planted", "rsa", LAYER] if row["fold"] is None]
    assert whole["n_stimuli"] == len(lab.signal) / (1 if name in truth.WHOLE else 2)


def test_rdms_of_the_planted_layer_find_it_and_rank_as_scipy_does(lab, rows):
    pairs = len(lab.signal) * (len(lab.signal) - 1) // 2
    # Features are of at most 192 products, twelve of which make a dissimilarity.
    moved = float32_rho(pairs, 10 * float32_products(192))
    found = {}
    for (net, layer), features in lab.features.items():
        (row,) = [one for one in rows["rdm", net, "rsa", layer] if one["fold"] is None]
        expected = spearmanr(pdist(features, "correlation"), squareform(lab.rdm, checks=False))
        assert row["score"] == pytest.approx(expected.statistic, rel=0, abs=moved)
        (plain,) = [one for one in rows["layer", net, "rsa", layer] if one["fold"] is None]
        assert row["score"] == pytest.approx(plain["score"], rel=0, abs=moved)
        found[net, layer] = row["score"]
    assert ranked(found)[0] == ("planted", LAYER)
    assert found["planted", LAYER] == pytest.approx(1, rel=0, abs=moved)
    for net in NETS:
        assert best(rows, "rdm", net, "rsa") == best(rows, "layer", net, "rsa")


def ceilings(lab, name):
    """A recording's ceilings by estimator, (target,)."""
    evaluation = Ceilings(recording=name)
    trials = evaluation.trials(Candidate(), lab.inputs, SEED)
    results = list(evaluation.run(trials, Workbench(lab.inputs, Candidate())))
    return {
        one.trial.protocol: np.array([row["ceiling"] for row in one.rows["ceilings"]], float)
        for one in results
        if one.error is None
    }


def reliability(lab, name, share):
    """The closed form, mean over targets: signal / (signal + noise x `share` of n), each observed cell's."""
    there = ~np.isnan(lab.planted[name].responses)
    n = there.sum(1)
    found = []
    for target in range(N_TARGETS):
        own = n[:, target] > 0
        variance = lab.signal[own, target].var()
        found.append(variance / (variance + NOISE_VARIANCE * share(n[own, target])))
    return float(np.mean(found))


def halves_error(lab, name):
    """The standard error of the mean over targets of the stepped-up r of halves."""
    n = (~np.isnan(lab.planted[name].responses)).sum(1)[:, 0]
    counts = n[n > 1]
    m, of_halves = len(counts), np.mean(1 / (counts // 2))
    r = 1 / (1 + NOISE_VARIANCE * of_halves)
    k = of_halves / np.mean(1 / n[n > 0])
    slope = k / (1 + (k - 1) * r) ** 2
    # Noise is each target's own, so that the error of r over m stimuli falls with their number.
    of_noise = (1 - r**2) / m**0.5 / N_TARGETS**0.5
    # The signal's variance on these stimuli is not that on all; targets share the layer's P directions.
    spread = (2 / m * (1 - m / (n > 0).sum()) * (1 / N_TARGETS + 1 / P)) ** 0.5
    return slope * (of_noise**2 + (r * (1 - r) * spread) ** 2) ** 0.5


def ncsnr_error(lab, name):
    """The same of the share of variance that ncsnr says, from variances within and over stimuli."""
    n = (~np.isnan(lab.planted[name].responses)).sum(1)[:, 0]
    n = n[n > 0]
    share = NOISE_VARIANCE * np.mean(1 / n)
    within = 2 / (n - 1).sum()
    # All responses: noise of each, and twice the product of signal and noise.
    over = 2 * NOISE_VARIANCE**2 / n.sum() + 4 * NOISE_VARIANCE / n.sum()
    of_noise = (within * (1 + 1) ** 2 + over) / N_TARGETS
    # Stimuli that were shown more often weigh more.
    weights = n / n.sum() - 1 / len(n)
    of_signal = 2 * (weights**2).sum() * (1 / N_TARGETS + 1 / P)
    rho = 1 / (1 + share)
    return rho * (1 - rho) * (of_noise + of_signal) ** 0.5


@pytest.mark.parametrize("name", [one for one in RESPONSES if one not in truth.MEANS])
def test_ceilings_are_the_closed_form_of_what_was_planted(lab, name):
    found, plain = ceilings(lab, name), ceilings(lab, SAME[name])
    expected = reliability(lab, name, lambda n: np.mean(1 / n))
    for estimator, error in (
        ("splithalf_spearman_brown", halves_error(lab, name)),
        ("ncsnr", ncsnr_error(lab, name)),
    ):
        assert found[estimator].mean() == pytest.approx(expected, rel=0, abs=3 * error)
    # ncsnr looks at all responses, halves at those that a seed draws in the order of the file.
    assert_allclose(found["ncsnr"], plain["ncsnr"], rtol=0, atol=10 * ROUNDING.get(name, FLOAT32))


def test_counting_repetitions_by_their_mean_would_be_seen(lab):
    """The bounds above are narrower than what a wrong count of uneven repetitions makes."""
    right = reliability(lab, "npy", lambda n: np.mean(1 / n))
    wrong = reliability(lab, "npy", lambda n: 1 / np.mean(n))
    assert abs(wrong - right) > 3 * max(halves_error(lab, "npy"), ncsnr_error(lab, "npy"))


@pytest.mark.parametrize("name", truth.MEANS)
def test_means_alone_have_no_ceiling_of_repetitions(lab, name):
    assert set(ceilings(lab, name)) == {"max_pairwise_target"}


def test_every_kind_of_recording_is_here(lab):
    from zoo_eval.recordings.recording import RECORDINGS

    # Planted ones have no file, together is made of others, and maps are in test_arcaro_truth. An RDM has
    # a number for each pair of stimuli or is none: it holds neither gaps nor repetitions.
    elsewhere = {"planted", "planted_spatial", "spatial_arrays", "arcaro", "together"}
    here = {one.kind for one in lab.sweep.recordings.values()}
    assert here | elsewhere >= set(RECORDINGS.things())
    assert all(isinstance(one, Recording) for one in lab.inputs.recordings.values())
    assert set(UNEVEN) <= set(lab.inputs.recordings)
