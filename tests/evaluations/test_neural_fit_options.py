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
# Of the code that named readouts in place of asking them.
IDS = [
    (
        {"readouts": ALL},
        {
            "pls": "0f1636047ac4c7da9dadac8f87754e22",
            "ridge": "6101505f86e3ade4cfd1a08d7efffa79",
            "rsa": "93886e9c24070ecb0b38093ea0fdae07",
            "cka": "ac6f72319477f33714ea3d304d03147f",
            "procrustes": "fe8d62d8388256a9d1bdf3f6783cc366",
        },
    ),
    (
        {"readouts": ALL, **OTHERWISE},
        {
            "pls": "39536c6a82cf4fc61914175bb890ca12",
            "ridge": "3fdfda23986cdb77a06f1bdcc55e97bd",
            "rsa": "c7c40654da2458fdd540e62e7e103b2f",
            "cka": "3c90d491e1e264f96a438c78412583aa",
            "procrustes": "2e99a129fdbbeb1c220ae78e2d4fbc9d",
        },
    ),
    (
        {"readouts": ALL, "protocol": "kfold", "alpha": 0.5, "components": 4},
        {
            "pls": "b85afe3b64d837613682641e6a379e81",
            "ridge": "38e776dd6f893fdcf9013deeb7ca404a",
            "rsa": "b607c5bd12a51f769e0a2c401270ce10",
            "cka": "8fc979c2f6495ce50a5e330ec3eae6f1",
            "procrustes": "d3ad643b02716ffd7db24ea35ba96e2b",
        },
    ),
    (BRAINSCORE, {"pls": "c99b1502c6fa5d9b6878dcb29d83c51b"}),
    (BRAINSCORE | {"sketch": 64}, {"pls": "1dc4b95ed6d42bc3429db6eb5ce3bdc0"}),
    (
        BRAINSCORE | {"pca_stimuli": OTHERS.name, "pca_components": 20},
        {"pls": "9eacde2efb236107c1924044a2c33556"},
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
        ({"alphas": 3}, ("alphas",), "unknown key; nearest: alpha"),
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
