"""Units predicted from targets, from pixels to rows: in a plan and in a sweep."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.planted_nets import noise, opened, pixels
from tests.runners.reverse_sweep import swept
from zoo_eval.errors import BadInput
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.splits import grouped_folds
from zoo_eval.queries.connection import connect
from zoo_eval.readouts.design import Design
from zoo_eval.readouts.reverse_pls import ReversePls
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.representations.footprint import gram_bytes
from zoo_eval.representations.grams import LayerGram
from zoo_eval.representations.representations import Representations
from zoo_eval.representations.units import Units, drawn
from zoo_eval.section import WrongSection, read
from zoo_eval.store import Store
from zoo_eval.tables import TABLES

N, P, Q, SEED = 48, 20, 6, 3
SHOWN = replace(noise(N), groups=tuple(f"photo {i // 2}" for i in range(N)))
BOTH = ("reverse_pls", "reverse_ridge")
SMALL = {"components": 3, "n_folds": 3, "n_inner_folds": 2, "n_resamples": 20, "n_units": 10}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return opened(nn.Sequential(nn.Flatten(), nn.Linear(192, P), nn.Tanh()))


@pytest.fixture(scope="module")
def features(model):
    with torch.no_grad():
        return model.net(pixels(SHOWN)).double()


@pytest.fixture(scope="module")
def recording(features):
    rng = np.random.default_rng(0)
    signal = features.numpy() @ rng.standard_normal((P, Q))
    responses = signal[:, None] + signal.std() / 2 * rng.standard_normal((N, 2, Q))
    return ResponseRecording("it", SHOWN.name, responses, tuple(f"t{i}" for i in range(Q)))


def section(**choices):
    return NeuralFit(recording="it", **{"layers": "logits", **SMALL, **choices})


def trials(model, recording, evaluation):
    candidate, inputs = Candidate(model.card, model.blueprint), Inputs({SHOWN.name: SHOWN}, {"it": recording})  # fmt: skip
    return evaluation.trials(candidate, inputs, SEED), candidate, inputs


def rows(model, recording, **choices):
    evaluation = section(**choices)
    found, candidate, inputs = trials(model, recording, evaluation)
    bench = Workbench(inputs, candidate, model, Representations(model, 2**28))
    results = list(evaluation.run(found, bench))
    assert [result.error for result in results] == [None] * len(found)
    return [row for result in results for row in result.rows["neural_scores"]]


def test_rows_are_the_readouts_own_on_the_features_that_the_network_computes(
    model, features, recording
):
    found = rows(model, recording, readouts=["reverse_pls"])
    numbers = drawn("logits", P, 10, SEED)
    units = Units(numbers, features[:, numbers].float())
    layer = LayerGram(features @ features.T, features.sum(1), (P,), units=units)
    design = Design(n_folds=3, n_inner_folds=2, n_resamples=20, seed=SEED)
    readout = ReversePls(components=3, n_units=10).settled("nested")
    expected = readout.scorer(recording, SHOWN, design, torch.device("cpu"))(layer)
    assert len(found) == len(expected) == 3
    for row, one in zip(found, expected, strict=True):
        assert (row["mode"], row["statistic"]) == ("reverse", "pearson_r")
        assert row["target_ids"] == [str(number) for number in numbers]
        np.testing.assert_allclose(row["r"], one["r"], rtol=0, atol=1e-5)
        for name in ("score", "selection_score", "variance_explained"):
            assert row[name] == pytest.approx(one[name], rel=0, abs=1e-5)
    TABLES["neural_scores"].arrow([{**row, "commit_id": "c"} for row in found])


def test_rows_are_alike_whatever_the_batch_and_whatever_else_is_asked(model, recording):
    alone = rows(model, recording, readouts=["reverse_ridge"])
    small = opened(model.net)
    small.batch_size = 5
    many = rows(small, recording, readouts=["rsa", "ridge", *BOTH])
    again = [row for row in many if row["readout"] == "reverse_ridge"]
    assert len(alone) == len(again) == 3
    for row, other in zip(alone, again, strict=True):
        assert (
            row["target_ids"]
            == other["target_ids"]
            == [str(i) for i in drawn("logits", P, 10, SEED)]
        )
        np.testing.assert_allclose(row["r"], other["r"], rtol=0, atol=1e-5)
        assert row["variance_explained"] == pytest.approx(other["variance_explained"], abs=1e-5)
    assert {row["mode"] for row in many} == {"fit", "similarity", "reverse"}
    for row in many:
        assert (row.get("variance_explained") is not None) == (row["mode"] == "reverse")


def test_a_layer_that_the_responses_are_made_of_is_explained_and_noise_is_not(model, features):
    """Without noise and with as many targets as features, ridge explains all of the layer."""
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.standard_normal((P, P)))[0]
    exact = ResponseRecording("it", SHOWN.name, (features.numpy() @ axes)[:, None], tuple(map(str, range(P))))  # fmt: skip
    other = ResponseRecording("it", SHOWN.name, rng.standard_normal((N, 1, P)), tuple(map(str, range(P))))  # fmt: skip
    for recorded, low, high in ((exact, 0.99, 1.0), (other, -0.5, 0.1)):
        found = rows(model, recorded, readouts=["reverse_ridge"])
        assert low < np.mean([row["variance_explained"] for row in found]) < high


def test_the_draw_is_part_of_the_trial_and_no_other_trial_moves(model, recording):
    def ids(**choices):
        found = trials(model, recording, section(**choices))[0]
        return {trial.readout: trial.id for trial in found}

    every = ids(readouts=["pls", "ridge", *BOTH])
    fewer = ids(readouts=["pls", "ridge", *BOTH], n_units=9)
    assert {name for name in every if every[name] != fewer[name]} == set(BOTH)
    assert len(set(every.values())) == 4
    assert ids(readouts=["pls", "ridge"]).items() <= every.items()
    (trial, *_) = trials(model, recording, section(readouts=["reverse_ridge"]))[0]
    assert (trial.parameters["n_units"], trial.seed) == (10, SEED)


def test_a_plan_counts_the_stimuli_once_more_and_the_memory_of_both_fits(model, recording):
    for names, more in ((["ridge"], 0), (["reverse_ridge"], N), (["ridge", *BOTH], N)):
        evaluation = section(readouts=names)
        found, _, inputs = trials(model, recording, evaluation)
        assert evaluation.n_passes(found, inputs) == more
    one, every = (ReversePls(n_units=n).peak_bytes(recording, Design()) for n in (1, 1000))
    # However few are drawn, all units are predicted.
    assert every > one > 15 * gram_bytes(N)


def test_folds_are_those_of_the_fit_the_other_way(model, recording):
    found = rows(model, recording, readouts=["ridge", "reverse_ridge"])
    for number, fold in enumerate(grouped_folds(SHOWN.groups, n_folds=3, seed=SEED)):
        sizes = [row["n_stimuli"] for row in found if row["fold"] == number]
        assert sizes == [len(fold.test)] * 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"n_units": 0}, "greater than or equal to 1"),
        ({"n_units": 1001}, "less than or equal to 1000"),
        ({"n_unit": 5}, "unknown key; nearest: n_units"),
        ({"protocol": "brainscore"}, 'protocol "brainscore" is PLS; set readouts = ["pls"]'),
        ({"protocol": "kfold"}, 'protocol "kfold" is '),
    ],
)
def test_a_wrong_choice_is_said_in_a_line(content, said):
    given = {"kind": "neural_fit", "recording": "it", "readouts": ["reverse_ridge"], **content}
    with pytest.raises(WrongSection) as caught:
        read(NeuralFit, given, None)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_recording_of_dissimilarities_is_refused_at_planning(model):
    rdm = np.ones((1, N, N)) - np.eye(N)
    with pytest.raises(BadInput, match=r"reverse_pls of recording 'it'|recording 'it'") as refused:
        trials(model, RdmRecording("it", SHOWN.name, rdm, ("a",)), section(readouts=BOTH))
    assert "\n" not in str(refused.value)


def test_a_sweep_says_who_explains_whom(tmp_path):
    found = connect(Store(str(swept(tmp_path, "local")))).query(
        "SELECT * FROM both_directions ORDER BY reverse_readout, layer"
    )
    rows = found.to_pylist()
    assert [(row["layer"], row["readout"], row["reverse_readout"]) for row in rows] == [
        ("blocks.1", None, "reverse_pls"),
        ("blocks.5", None, "reverse_pls"),
        ("blocks.1", "ridge", "reverse_ridge"),
        ("blocks.5", "ridge", "reverse_ridge"),
    ]
    for row in rows:
        assert row["variance_explained"] < 1
        assert (row["n_units"], row["n_predictors"]) == (40, 6)
        assert (row["score"] is None) == (row["readout"] is None)
    # Responses were made of the first: it tells them better than it is told by six targets with noise.
    planted = rows[2]
    assert planted["score"] > planted["variance_explained"]
