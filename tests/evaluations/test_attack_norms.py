"""minimal_attack in l1 and in counts: from pixels to rows, and what the other norms' trials keep."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.evaluations import test_minimal_attack as plain
from tests.evaluations.test_minimal_attack import N, pixels, rows
from tests.planted_nets import noise, opened
from tests.rounding import TIGHTENED
from zoo_eval.evaluations.evaluation import Candidate
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import to_half_space

net, shown = plain.net, plain.shown

# As they were before there was an l1 or a count: what has been run is not run again.
IDS = {
    ("l2", "ddn"): "b4cff1cfab4027e1897518a4f8d27c3e",
    ("l2", "fmn"): "0d76f73801817b9dec505d669c1edc97",
    ("l2", "deepfool"): "eccd9eeb1e96225fd6306d3e5f41d5f5",
    ("l2", "pgd_bisect"): "844f9cb4bf5987c5853f2ddc4309aef3",
    ("l2", "apgd_bisect"): "c2dc26e2145e5081f0e2e5f9aae8ad06",
    ("l2", "perpendicular"): "9c312cf564c28c4892eb7597b3831b01",
    ("l2", "ensemble"): "ebeb8aa4c097e37f15346d39cd6a1d40",
    ("l2", "foolbox:DDNAttack"): "ffcdc19d3b7d8d9f4b42ee4ae9ac8fdd",
    ("linf", "fmn"): "179ea7a5f4df29d02c2541879a21ca81",
    ("linf", "deepfool"): "8fb2fc7210fa9952026875c4a6b7e60a",
    ("linf", "pgd_bisect"): "1eed29124a5ff9253aab54a00e1ce697",
    ("linf", "apgd_bisect"): "d8d1a99770c32206a01c305377b63be2",
    ("linf", "perpendicular"): "5d6dda3a9c3ffcea94c77a55b40d1980",
    ("linf", "ensemble"): "121d8aff14d3fb590663036efff23294",
}


def trials(norm, names):
    model = opened(nn.Sequential(nn.Flatten(), nn.Linear(192, 1000)))
    anatomy = replace(model.blueprint.anatomy, n_classes=1000)
    candidate = Candidate(model.card, replace(model.blueprint, anatomy=anatomy))
    labelled = replace(noise(2), labels=(1, 2))
    given = Inputs({labelled.name: labelled})
    evaluation = MinimalAttack(stimuli=labelled.name, attacks=names, norm=norm)
    return evaluation.trials(candidate, given, 0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_trials_in_l2_and_linf_keep_their_ids(norm):
    names = tuple(name for known, name in IDS if known == norm)
    found = {(norm, str(trial.attack)): trial.id for trial in trials(norm, names)}
    assert found == {key: known for key, known in IDS.items() if key[0] == norm}


def test_the_unit_of_a_count_is_part_of_the_trial():
    one, other = (trials(norm, ("ensemble",))[0] for norm in ("l0_values", "l0_pixels"))
    assert one.id != other.id
    assert one.parameters["norm"] == "l0_values"


@pytest.mark.parametrize(
    ("attack", "norm", "bound"),
    [("proximal", "l1", 1.2), ("ensemble", "l1", 1.01),
     ("greedy", "l0_values", 1), ("ensemble", "l0_pixels", 1)],
)  # fmt: skip
def test_distances_are_near_the_exact_ones_and_rows_say_all_lengths(
    net,
    shown,
    attack,
    norm,
    bound,
):
    attacked, kept = rows(net, shown, attacks=[attack], norm=norm)
    assert [row["status"] for row in attacked] == ["found"] * (N - 1) + ["already_wrong"]
    weights, bias = net[1].weight.detach().double(), net[1].bias.detach().double()
    for row, stored, image in zip(attacked, kept, pixels(shown).flatten(1).double(), strict=False):
        apart = (weights[row["label"]] - weights, bias[row["label"]] - bias)
        others = torch.arange(len(bias)) != row["label"]
        minimum = float(to_half_space(image.expand(len(bias), -1), *apart, norm)[others].min())
        assert minimum * (1 - TIGHTENED) <= row["distance"] <= bound * minimum * (1 + 1e-9)
        delta = torch.from_numpy(stored["perturbation"]).double().reshape(1, *stored["shape"])
        assert row["norm"] == norm
        assert row["distance"] == row[norm]
        for each in ("l1", "l0_values", "l0_pixels"):
            assert row[each] == pytest.approx(float(length(delta, each)))


def test_a_norm_that_an_attack_has_not_is_refused_with_those_that_have_it():
    with pytest.raises(ValidationError, match="in l1: ensemble, proximal"):
        MinimalAttack(stimuli="photos", norm="l1")
    with pytest.raises(ValidationError, match="in l0_values: ensemble, greedy"):
        MinimalAttack(stimuli="photos", attacks=["perpendicular"], norm="l0_values")
    with pytest.raises(ValidationError, match="'l0_values' or 'l0_pixels'"):
        MinimalAttack(stimuli="photos", attacks=["ensemble"], norm="l0")
    with pytest.raises(ValidationError, match='choose norm = "l1"'):
        MinimalAttack(stimuli="photos", attacks=["foolbox:EADAttack"], norm="l2")
