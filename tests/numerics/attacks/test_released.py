"""Released attacks do what was published, by closed forms on linear classifiers and by Foolbox."""

import foolbox
import pytest
import torch
from torch.nn import functional

from tests.numerics.attacks.planted import PlantedAttack
from tests.rounding import FLOAT32, float32_products
from zoo_eval.numerics.attacks import conformance
from zoo_eval.numerics.attacks.decisions import GroupMaximum
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import Linear, classifier, interior
from zoo_eval.numerics.attacks.released import FoolboxFMNRelease, SpherePGD

# Of signs: a step along it changes all values alike, and none reaches the box.
PX = 64
N_VALUES = 3 * PX * PX
# How far off a length of up to 10 is: values of up to 1 rounded all in one direction, and a norm.
PIXELS = N_VALUES**0.5 * FLOAT32 + float32_products(N_VALUES, 10)


def split(distances):
    """Two linear classes, and grey images that far from the boundary (image,)."""
    signs = torch.randint(2, (N_VALUES,), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    normal = signs / N_VALUES**0.5
    away = torch.tensor(distances)[:, None] * normal
    images = (0.5 + away).reshape(-1, 3, PX, PX)
    offset = float(normal.double().sum()) / 2
    return Linear(torch.stack([normal, -normal]), torch.tensor([-offset, offset])), images


def published_radius(distance):
    """The radius that bisection ends at where exactly the radii above `distance` succeed."""
    if distance > 10:
        return None
    low, high, width = (0.001, 1, 0.01) if distance < 1 else (1, 10, 0.1)
    while high - low >= width:
        middle = low + (high - low) / 2
        low, high = (low, middle) if middle > distance else (middle, high)
    return high


def test_the_published_bisection_ends_at_its_radius_on_a_linear_classifier():
    distances = [0.0004, 0.0102, 0.3, 0.77, 0.996, 1.004, 3.14, 9.97, 10.2]
    model, images = split(distances)
    labels = torch.zeros(len(images), dtype=torch.int64)
    assert torch.equal(model(images).argmax(1), labels)
    attack = SpherePGD()
    candidates = attack.perturb(model, images, labels)
    found = attack.measured(candidates - images)
    expected = [published_radius(distance) or 0.0 for distance in distances]
    assert (found - torch.tensor(expected, dtype=torch.float64)).abs().max() < 2 * PIXELS
    beaten = model(candidates).argmax(1) != labels
    assert beaten.tolist() == [True] * 8 + [False]


def test_the_released_attack_drifts_from_the_image_and_stays_at_radius_1():
    """Three steps of 0.5 and of the radius each: 4.5, wherever the boundary is before that."""
    distances = [0.2, 3.0, 4.4, 4.6, 12.0]
    model, images = split(distances)
    labels = torch.zeros(len(images), dtype=torch.int64)
    attack = SpherePGD(drifting=True, constant_radius=True)
    candidates = attack.perturb(model, images, labels)
    expected = torch.tensor([4.5, 4.5, 4.5, 0.0, 0.0], dtype=torch.float64)
    # Each of three steps goes there and is pulled back.
    assert (attack.measured(candidates - images) - expected).abs().max() < 6 * PIXELS


def test_images_are_attacked_alike_alone_and_in_company():
    model, images = split([0.3, 3.14, 10.2])
    labels = torch.zeros(3, dtype=torch.int64)
    together = SpherePGD().perturb(model, images, labels)
    for place in range(3):
        alone = SpherePGD().perturb(model, images[place : place + 1], labels[place : place + 1])
        assert (alone[0] - together[place]).abs().max() < 2 * PIXELS / N_VALUES**0.5


def test_each_step_is_the_published_one_on_a_curved_classifier():
    """One step, written out again: x0 + radius * unit(x0 + stride * unit(g) - x0), clipped."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(4, 192, generator=generator)

    def logits(batch):
        return (batch.flatten(1).square() @ weights.T).tanh()

    images = interior(5)
    labels = logits(images).argmax(1)
    attack = SpherePGD(steps=1)
    points = images.clone().requires_grad_()
    functional.cross_entropy(logits(points), labels).backward()
    direction = points.grad / points.grad.flatten(1).norm(dim=1)[:, None, None, None]
    far = (images + 10 * direction).clamp(0, 1)
    candidates = attack.perturb(logits, images, labels)
    for image, found, direct, distant, label in zip(
        images, candidates, direction, far, labels, strict=True
    ):
        if logits(distant[None]).argmax() == label:
            assert torch.equal(found, image)
            continue
        radius = length((found - image)[None], "l2")
        expected = (image + radius * direct).clamp(0, 1)
        # Nowhere clipped: then the radius is the length.
        assert ((expected > 0) & (expected < 1)).all()
        bound = float32_products(2 * 192, float(radius)) + 2 * FLOAT32
        assert (found - expected).abs().max() < bound


def test_a_loss_without_a_gradient_gives_no_value():
    """Cross-entropy saturates in float32: the published step divides zero by zero."""
    images = interior(3)
    model = classifier(2, images, scale=1e5)
    labels = model(images).argmax(1)
    assert SpherePGD().perturb(model, images, labels).isnan().flatten(1).all(1).all()


@pytest.mark.parametrize("px", [8, 224])
def test_the_2025_release_is_foolbox_on_two_group_logits(px):
    n, n_classes, steps = 2, 10, 30
    generator = torch.Generator().manual_seed(2)
    images = 0.35 + 0.3 * torch.rand(n, 3, px, px, generator=generator)
    model = classifier(n_classes, images)
    groups = (0,) * 4 + (1,) * 6
    classes = model(images).argmax(1)
    logits, options = GroupMaximum(groups).applied(model, classes)
    attack = FoolboxFMNRelease(steps=steps)
    candidates = attack.perturb(logits, images, options)

    class TwoGroups(torch.nn.Module):
        def forward(self, batch):
            values = model(batch)
            return torch.stack([values[:, :4].amax(1), values[:, 4:].amax(1)], 1)

    theirs, _, success = foolbox.attacks.L2FMNAttack(
        steps=steps, max_stepsize=1, min_stepsize=1e-5, gamma=10
    )(foolbox.PyTorchModel(TwoGroups().eval(), (0, 1), device="cpu"), images,
      torch.tensor(groups)[classes], epsilons=None)  # fmt: skip
    assert success.all()
    # Each step is at most 1 long, and rounds each value and its direction.
    assert (candidates - theirs).abs().max() <= steps * 4 * FLOAT32
    compared = [
        functional.interpolate(batch, size=(224, 224), mode="bicubic", align_corners=False)
        if px != 224
        else batch
        for batch in (theirs, images)
    ]
    norms = torch.norm(compared[0] - compared[1], p=2, dim=(1, 2, 3))
    rounding = float32_products(3 * 224 * 224)
    torch.testing.assert_close(
        attack.measured(candidates - images), norms.double(), rtol=rounding, atol=0
    )


def test_the_passes_stated_are_those_made():
    model, images = split([0.3, 3.14])
    labels = torch.zeros(2, dtype=torch.int64)
    for attack in (SpherePGD(), SpherePGD(constant_radius=True), FoolboxFMNRelease(steps=7)):
        passes = [0]

        def counting(batch, passes=passes):
            passes[0] += 1
            found = model(batch)
            if found.requires_grad:
                passes[0] += 1
            return found

        attack.perturb(counting, images, labels)
        # The two images bisect in brackets of as many rounds each.
        assert passes[0] == attack.passes_per_image()


@pytest.mark.parametrize(
    ("attack", "problem"),
    [(SpherePGD(), "ellipsoid from outside"),
     (SpherePGD(drifting=True, constant_radius=True), "two linear classes, close by"),
     (FoolboxFMNRelease(steps=100), "two linear classes, close by")],
)  # fmt: skip
def test_no_released_attack_passes_the_conformance_suite(attack, problem):
    rows = conformance.check(PlantedAttack(attack.perturb), scales=(1.0,), n_images=2)
    failed = {row.problem for row in rows if not row.passed}
    # Without a gradient they have nowhere to go.
    assert failed >= {problem, "sum of ReLUs, all off"}
