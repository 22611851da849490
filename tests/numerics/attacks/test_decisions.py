"""Decisions as logits: what is changed by an attack on them is exactly the decision."""

import pytest
import torch

from tests.numerics.attacks.planted import network
from tests.rounding import TIGHTENED, float32_products
from zoo_eval.numerics.attacks import decisions
from zoo_eval.numerics.attacks.conformance import attacked
from zoo_eval.numerics.attacks.decisions import Argmax, GroupMaximum, Targeted, TopK
from zoo_eval.numerics.attacks.logits import at_rows
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import classifier, interior, to_half_space
from zoo_eval.numerics.attacks.registry import build

GROUPS = (0, 0, 0, 0, 1, 1, 1, 1, 1, 1)
ATTACKS = ("perpendicular", "pgd_bisect", "deepfool", "ddn")


def perturbed(name, decision, logits, images, labels):
    """Class logits of the images attacked, and the l2 distances."""
    decided, own = decision.applied(logits, labels)
    assert (decided(images).argmax(1) == own).all()
    minimal = attacked(build(name, {}), decided, images, own)
    assert minimal.found.all()
    delta = minimal.perturbation
    return logits(images + delta.float()), length(delta.double(), "l2")


def planted(n_classes=10):
    images = interior(6)
    model = classifier(n_classes, images)
    return model, images, model(images).argmax(1)


@pytest.mark.parametrize("name", ATTACKS)
def test_attacking_groups_changes_the_group(name):
    logits, images, labels = planted()
    found, _ = perturbed(name, GroupMaximum(GROUPS), logits, images, labels)
    groups = torch.tensor(GROUPS)
    assert (groups[found.argmax(1)] != groups[labels]).all()


def test_the_minimum_of_a_group_decision_is_that_of_its_pairs():
    """With groups {0} and {1, 2} an image of class 0 leaves by whichever of the two is nearer."""
    logits, images, labels = planted(3)
    rows = labels == 0
    assert rows.any()
    images, labels = images[rows], labels[rows]
    _, distance = perturbed("perpendicular", GroupMaximum((0, 1, 1)), logits, images, labels)
    torch.testing.assert_close(
        distance, logits.minimum(images, labels, "l2"), rtol=TIGHTENED, atol=0
    )


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("k", [1, 3])
def test_attacking_the_top_k_pushes_the_label_out_of_it(name, k):
    logits, images, labels = planted()
    found, distance = perturbed(name, TopK(k), logits, images, labels)
    assert (found.topk(k).indices != labels[:, None]).all()
    # Leaving the top k is never easier than leaving the top 1.
    assert (distance >= logits.minimum(images, labels, "l2") * 0.999).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_targeted_attack_reaches_its_target(name):
    logits, images, labels = planted()
    targets = (labels + 3) % 10
    found, distance = perturbed(name, Targeted(targets), logits, images, labels)
    assert torch.equal(found.argmax(1), targets)
    # At least the half-space where the target beats the label has to be entered.
    pair = to_half_space(
        images.flatten(1).double(),
        (logits.weights[labels] - logits.weights[targets]).double(),
        (logits.bias[labels] - logits.bias[targets]).double(),
        "l2",
    )
    assert (distance >= pair * 0.999).all()


def test_argmax_is_the_logits_themselves():
    logits, _, labels = planted()
    assert Argmax().applied(logits, labels) == (logits, labels)


def test_animate_and_inanimate_split_imagenet_at_398():
    groups = torch.tensor(decisions.animate().groups)
    assert len(groups) == 1000
    assert groups[[0, 397, 398, 999]].tolist() == [0, 0, 1, 1]
    values = torch.randn(5, 1000, generator=torch.Generator().manual_seed(0))
    decided, own = decisions.animate().applied(
        lambda images: values, torch.tensor([0, 397, 398, 999, 5])
    )
    found = decided(torch.zeros(5, 3, 2, 2))
    both = torch.stack([values[:, :398].amax(1), values[:, 398:].amax(1)], 1)
    group = groups[[0, 397, 398, 999, 5]][:, None]
    assert torch.equal(found[:, 0], both.gather(1, group)[:, 0])
    assert torch.equal(found[:, 1:].amax(1), both.gather(1, 1 - group)[:, 0])
    assert torch.equal(found.argmax(1) != own, both.argmax(1) != group[:, 0])


def test_logits_that_belong_to_images_follow_them_when_others_leave():
    logits, images, labels = planted()
    decided, _ = TopK(2).applied(logits, labels)
    rows = torch.tensor([4, 1])
    bound = 2 * float32_products(192, float(logits.weights.abs().sum(1).max()))
    assert (at_rows(decided, rows)(images[rows]) - decided(images)[rows]).abs().max() <= bound
    again = at_rows(at_rows(decided, rows), torch.tensor([1]))
    assert (again(images[[1]]) - decided(images)[[1]]).abs().max() <= bound
    with pytest.raises(ValueError, match="belong to 6 images, got 2"):
        decided(images[rows])


def test_a_decision_of_a_network_keeps_its_gradient_on_one_class():
    images, logits = interior(2), network()
    labels = logits(images).argmax(1)
    decided, _ = GroupMaximum(GROUPS).applied(logits, labels)
    points = images.clone().requires_grad_()
    (through,) = torch.autograd.grad(decided(points)[:, 0].sum(), points)
    groups = torch.tensor(GROUPS)
    outside = groups != groups[labels][:, None]
    largest = logits(images).masked_fill(outside, -torch.inf).argmax(1)
    (direct,) = torch.autograd.grad(logits(points).gather(1, largest[:, None]).sum(), points)
    assert (through - direct).abs().max() <= 2 * float32_products(1000, float(direct.abs().max()))


def test_bad_decisions_are_errors():
    with pytest.raises(ValueError, match="without a gap"):
        GroupMaximum((0, 2))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        TopK(0)
    grouped, _ = GroupMaximum((0, 1)).applied(lambda images: torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="2 classes are grouped, got 3 logits"):
        grouped(torch.zeros(1, 3, 2, 2))
