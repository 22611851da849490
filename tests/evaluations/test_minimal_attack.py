"""minimal_attack from pixels to rows, on a linear network whose smallest perturbations are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.planted_nets import noise, opened, pixels
from zoo_eval.evaluations import Subject, Workbench
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.attacks.decisions import N_ANIMATE
from zoo_eval.representations import Representations

N, N_CLASSES = 5, 1000
# float32 logits place the boundary no better than this.
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))


@pytest.fixture(scope="module")
def shown(net):
    """Grey noise, so that the box does not matter, each labelled as the network sees it but the last."""
    plain = noise(N)
    images = tuple((110 + image // 8).astype(np.uint8) for image in plain.images)
    grey = replace(plain, images=images)
    with torch.no_grad():
        labels = net(pixels(grey)).argmax(1).tolist()
    labels[-1] = (labels[-1] + 1) % N_CLASSES
    return replace(grey, labels=tuple(labels))


def rows(net, shown, **choices):
    model = opened(net)
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    subject = Subject(model.card, replace(model.blueprint, anatomy=anatomy))
    given = Inputs({shown.name: shown})
    evaluation = MinimalAttack(stimuli=shown.name, save_perturbations=True, **choices)
    trials = evaluation.trials(subject, given, 0)
    bench = Workbench(given, subject, model, Representations(model, 2**28))
    (result,) = evaluation.run(trials, bench)
    assert result.error is None
    return result.rows["attacks"], result.rows["perturbations"]


def exact(net, shown, norm, outside):
    """The smallest perturbations without a box, over the classes that `outside` allows (image,)."""
    layer, images, labels = net[1], pixels(shown).flatten(1).double(), torch.tensor(shown.labels)
    weights, bias = layer.weight.detach().double(), layer.bias.detach().double()
    logits = images @ weights.T + bias
    found = []
    for values, label in zip(logits, labels):
        away = (weights[label] - weights).norm(dim=1) if norm == "l2" else (
            weights[label] - weights
        ).abs().sum(1)  # fmt: skip
        distance = (values[label] - values) / away
        found.append(float(distance[outside(label)].min()))
    return found


def others(label):
    return torch.arange(N_CLASSES) != label


@pytest.mark.parametrize(
    ("attack", "norm", "bound"),
    [
        ("ddn", "l2", 1.1),
        ("fmn", "l2", 1.1),
        ("deepfool", "linf", 1.2),
        ("perpendicular", "l2", 1.2),
        ("ensemble", "l2", 1.01),
        ("ensemble", "linf", 1.01),
        ("foolbox:L2DeepFoolAttack", "l2", 1.2),
    ],
)
def test_distances_are_near_the_exact_ones_and_those_of_what_is_stored(
    net, shown, attack, norm, bound
):
    attacked, kept = rows(net, shown, attacks=[attack], norm=norm)
    assert [row["status"] for row in attacked] == ["found"] * (N - 1) + ["already_wrong"]
    assert len(kept) == N - 1
    images = pixels(shown)
    for row, stored, image, minimum in zip(
        attacked, kept, images, exact(net, shown, norm, others), strict=False
    ):
        assert minimum - ROUNDING <= row["distance"] <= bound * minimum + ROUNDING
        assert stored["perturbation"].dtype == np.float16
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        assert row["l2"] == pytest.approx(float(delta.double().norm()))
        assert row["linf"] == pytest.approx(float(delta.abs().max()))
        assert row["distance"] == row[norm]
        with torch.no_grad():
            assert int(net((image + delta)[None]).argmax()) == row["adversarial_prediction"]
        assert row["adversarial_prediction"] != row["label"]
        assert row["n_backwards"] > 0
        assert row["n_forwards"] >= row["n_backwards"]


def test_an_ensemble_says_who_won_and_others_do_not(net, shown):
    together, _ = rows(net, shown, attacks=["ensemble"])
    assert {row.get("winner") for row in together[:-1]} <= {
        "perpendicular", "ddn", "fmn", "deepfool",
    }  # fmt: skip
    alone, _ = rows(net, shown, attacks=["ddn"], options={"ddn": {"steps": 5}})
    assert {row.get("winner") for row in alone} == {None}


def test_only_crossing_to_the_other_group_changes_whether_it_is_animate(net, shown):
    attacked, _ = rows(net, shown, attacks=["perpendicular"], decision="animate")
    animate = torch.arange(N_CLASSES) < N_ANIMATE

    def other_group(label):
        return animate != animate[label]

    for row, label in zip(attacked, shown.labels):
        if row["status"] == "found":
            assert (row["adversarial_prediction"] < N_ANIMATE) != (label < N_ANIMATE)
    # Never nearer than losing the class; the nearest boundary with the other group is a way out,
    # unless a third class of the label's own group is above both there.
    plain = exact(net, shown, "l2", others)
    grouped = exact(net, shown, "l2", other_group)
    for row, near, far in zip(attacked[:-1], plain, grouped, strict=False):
        assert near - ROUNDING <= row["distance"] <= 1.5 * far


def test_leaving_the_first_five_takes_more_than_losing_the_first(net, shown):
    first, _ = rows(net, shown, attacks=["perpendicular"])
    five, kept = rows(net, shown, attacks=["perpendicular"], decision="top_k", top_k=5)
    for one, many, stored, image, label in zip(
        first, five, kept, pixels(shown), shown.labels, strict=False
    ):
        assert many["distance"] > one["distance"]
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        with torch.no_grad():
            assert label not in net((image + delta)[None]).topk(5).indices[0]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"attacks": ["ddm"]}, "unknown attack 'ddm'; nearest: ddn"),
        ({"attacks": ["ddn"], "norm": "linf"}, "ddn has no linf form"),
        ({"attacks": ["foolbox:Nothing"]}, "has no attack Nothing"),
        ({"attacks": ["ddn"], "options": {"ddn": {"stepz": 1}}}, "options of ddn: .*stepz"),
        ({"attacks": ["ddn"], "options": {"fmn": {"steps": 0}}}, "options of fmn: fmn needs"),
    ],
)
def test_wrong_choices_are_refused_with_the_next_step(choices, said):
    with pytest.raises(ValidationError, match=said):
        MinimalAttack(stimuli="photos", **choices)
