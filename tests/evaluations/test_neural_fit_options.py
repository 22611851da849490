"""The options of readouts stand in a neural fit's own section, and in the identity of its trials."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError
from torch import nn

from tests.planted_nets import noise, opened
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.inputs import Inputs
from zoo_eval.readouts.readout import READOUTS
from zoo_eval.readouts.similarity import Compared, Side, Similarity
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.representations.representations import Representations
from zoo_eval.section import WrongSection, read

N = 60
SHOWN = replace(
    noise(N),
    groups=tuple(f"photo {i // 2}" for i in range(N)),
    labels=tuple((2, 10, 11)[i % 3] for i in range(N)),
)
OTHERS = noise(40, seed=1)
RESPONSES = np.random.default_rng(0).integers(0, 100, (N, 2, 5)).astype(float)
RECORDING = ResponseRecording("it", SHOWN.name, RESPONSES, tuple(f"t{i}" for i in range(5)))
INPUTS = Inputs({SHOWN.name: SHOWN, OTHERS.name: OTHERS}, {"it": RECORDING})
ALL = ("pls", "ridge", "rsa", "cka", "procrustes")

OTHERWISE = {
    "sketch": 64, "n_folds": 3, "n_inner_folds": 3, "n_resamples": 50, "components": 7,
    "choose_components": False, "dissimilarity": "cosine", "comparison": "kendall_tau_a",
    "cka": "plain",
}  # fmt: skip
BRAINSCORE = {"readouts": ["pls"], "protocol": "brainscore"}
# Of version 5 of the evaluation.
IDS = [
    (
        {"readouts": ALL},
        {
            "pls": "3f2196df08e910a2fe9447898718c54e",
            "ridge": "1605a2a8f4ff4522bb1fb05ec825150d",
            "rsa": "f75fad2083319aa3a1b56a71de6b7e0f",
            "cka": "a633a15516ff2c0d4577ba1da4684f2d",
            "procrustes": "8eed0d50b798812a9e655bbfc4982c83",
        },
    ),
    (
        {"readouts": ALL, **OTHERWISE},
        {
            "pls": "3e3ce175c9e7469598f93915e008faa5",
            "ridge": "9690a6649702084833d476fb456185a4",
            "rsa": "0334862ca7b9f51882fdc8761cf23c04",
            "cka": "39a56160be512c1758be314622c3f1a6",
            "procrustes": "676570b4592e9388d7264cb9e887f783",
        },
    ),
    (
        {"readouts": ALL, "protocol": "kfold", "alpha": 0.5, "components": 4},
        {
            "pls": "5203b06bdc72e2871892332cb4e04744",
            "ridge": "f022d7b5a779a7180743165b41046380",
            "rsa": "641a67b854d66cf4dc442d47705357a7",
            "cka": "8679abc080cdcc3ac88a8c6d32740288",
            "procrustes": "a77014dbea8fb6ebf39d7ef6f2aa1d35",
        },
    ),
    (
        {"readouts": ("reverse_pls", "reverse_ridge")},
        {
            "reverse_pls": "c732a9841db7d9a23c0d22f621c657c1",
            "reverse_ridge": "61ee3f97b7918d16f810795770f83f13",
        },
    ),
    (
        {"readouts": ("reverse_pls", "reverse_ridge"), "n_units": 50, "components": 7},
        {
            "reverse_pls": "2f68f489217dc4fb28e3e0131fc13d45",
            "reverse_ridge": "9793e4c6fa66bb037678c477aa5ecf12",
        },
    ),
    (BRAINSCORE, {"pls": "623281619deecb314050357bca6d5bc4"}),
    (BRAINSCORE | {"sketch": 64}, {"pls": "e9749550a0ce58059b300ab3de8c5b41"}),
    (
        BRAINSCORE | {"pca_stimuli": OTHERS.name, "pca_components": 20},
        {"pls": "056a711932076308c4c3354898305f17"},
    ),
]


@pytest.fixture(scope="module")
def model():
    return opened(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)))


def trials(model, **choices):
    candidate = Candidate(model.card, model.blueprint)
    return NeuralFit(recording="it", layers="logits", **choices).trials(candidate, INPUTS, 7)


@pytest.mark.parametrize(("choices", "ids"), IDS)
def test_trials_keep_their_ids(model, choices, ids):
    assert {trial.readout: trial.id for trial in trials(model, **choices)} == ids


def test_an_option_of_a_readout_that_is_not_chosen_changes_nothing(model):
    usual, other = (trials(model, readouts=["pls"], **one) for one in ({}, {"cka": "plain"}))
    assert [trial.id for trial in usual] == [trial.id for trial in other]


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        ({"component": 3}, ("component",), "unknown key; nearest: components"),
        ({"alphs": 3}, ("alphs",), "unknown key; nearest: alpha"),
        ({"components": 0}, ("components",), "greater than or equal to 1"),
        ({"comparison": "spearmann"}, ("comparison",), "Input should be 'pearson', 'spearman'"),
        ({"readouts": ["pls", "rsaa"]}, ("readouts", 1), "unknown readout 'rsaa'; nearest: rsa"),
        ({"protocol": "brainscore"}, (), 'protocol "brainscore" is PLS; set readouts = ["pls"]'),
    ],
)
def test_a_wrong_key_is_named_where_it_stands(content, place, said):
    with pytest.raises(WrongSection) as caught:
        read(NeuralFit, {"kind": "neural_fit", "recording": "it", **content}, None)
    assert caught.value.place == place
    assert said in caught.value.message


class SizeSide(Side[float]):
    def own(self, layer):
        return float(self.gram(layer).diagonal().sum())

    def compared(self, own):
        return Compared(own / float(self.recording.gram_at(self.rows).diagonal().sum()), ("",))


class Size(Similarity):
    """How large a layer is: of another package, with an option of its own."""

    name: ClassVar[str] = "size"
    power: int = 1

    @property
    def statistic(self):
        return f"size^{self.power}"

    def side(self, recording, rows):
        return SizeSide(recording, rows)


class Needy(Size):
    name: ClassVar[str] = "needy"
    needed: int


@pytest.fixture
def foreign(monkeypatch):
    known = READOUTS.things() | {"size": Size, "needy": Needy}
    monkeypatch.setattr(READOUTS, "get", known.__getitem__)
    monkeypatch.setattr(READOUTS, "things", lambda: known)


def test_a_readout_of_another_package_has_its_own_option_and_rows(foreign, model):
    evaluation = NeuralFit(recording="it", layers="logits", readouts=["size"], power=2)
    candidate = Candidate(model.card, model.blueprint)
    (trial,) = evaluation.trials(candidate, INPUTS, 7)
    assert trial.parameters["power"] == 2
    assert "n_inner_folds" not in trial.parameters
    bench = Workbench(INPUTS, candidate, model, Representations(model, 2**28))
    (result,) = evaluation.run([trial], bench)
    whole, *folded = result.rows["neural_scores"]
    assert (whole["readout"], whole["mode"], whole["statistic"]) == (
        "size", "similarity", "size^2",
    )  # fmt: skip
    assert (whole["stimuli_low"], whole["stimuli_high"]) == (None, None)
    assert len(folded) == 5


def test_a_readout_that_needs_an_option_asks_for_it_only_when_chosen(foreign):
    NeuralFit(recording="it", readouts=["size"])
    with pytest.raises(ValidationError, match="needed"):
        NeuralFit(recording="it", readouts=["needy"])
