"""Flags are raised by what they are named for, and by nothing else."""

import torch

from tests.numerics.attacks.planted import network
from zoo_eval.numerics.attacks.logits import Batch
from zoo_eval.numerics.attacks.masking import PASSES_PER_IMAGE, flags
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import classifier, interior
from zoo_eval.numerics.attacks.registry import build

NAMES = ["zero_gradient", "non_finite_gradient", "random_forward", "beaten_by_noise"]


def raised(logits, images, labels, distances, **options):
    found = flags(Batch(logits, images, labels), distances, **options)
    return [found.names(place) for place in range(len(images))]


def planted():
    images, logits = interior(4), network()
    labels = logits(images).argmax(1)
    return logits, images, labels


def test_an_honest_network_and_attack_raise_no_flag():
    logits, images, labels = planted()
    for norm in ("l2", "linf"):
        points = build("perpendicular", {}, norm).perturb(logits, images, labels)
        distances = length(points - images, norm)
        assert raised(logits, images, labels, distances, norm=norm) == [()] * 4


def test_rounded_pixels_have_no_gradient():
    logits, images, labels = planted()

    def quantised(batch):
        return logits((batch * 255).round() / 255)

    distances = torch.full((4,), 1e-4)
    assert raised(quantised, images, labels, distances) == [("zero_gradient",)] * 4


def test_a_square_root_at_zero_has_a_gradient_that_is_not_finite():
    logits, images, _ = planted()
    images[1, 0, 0, 0] = 0.0
    labels = logits(images).argmax(1)

    def rooted(batch):
        return logits(batch) + 1e-6 * batch[:, :1, 0, 0].sqrt() * torch.arange(10)

    found = raised(rooted, images, labels, torch.full((4,), 1e-4))
    assert found == [(), ("non_finite_gradient",), (), ()]


def test_logits_with_noise_of_their_own_are_random():
    logits, images, labels = planted()
    generator = torch.Generator().manual_seed(0)

    def noisy(batch):
        clean = logits(batch)
        return clean + 1e-5 * torch.randn(clean.shape, generator=generator)

    assert raised(noisy, images, labels, torch.full((4,), 1e-4)) == [("random_forward",)] * 4


def test_an_attack_far_beyond_the_boundary_is_beaten_by_noise():
    images = interior(24)
    model = classifier(2, images)
    minimum = model.minimum(images, model(images).argmax(1), "l2")
    images, minimum = images[minimum > 0.03][:6], minimum[minimum > 0.03][:6]
    labels = model(images).argmax(1)
    # Noise has a share of about 1 / sqrt(192) along the normal: 40 minima are well enough.
    assert raised(model, images, labels, minimum) == [()] * 6
    assert raised(model, images, labels, minimum * 40) == [("beaten_by_noise",)] * 6


def test_an_attack_that_found_nothing_is_beaten_by_any_noise_that_finds_something():
    images = interior(6)
    labels = torch.zeros(6, dtype=torch.int64)
    nothing = torch.full((6,), torch.inf)

    def brittle(batch):
        far = ((batch - images[: len(batch)]).flatten(1).norm(dim=1) > 1.0).float()
        return torch.stack([0.5 - far, far - 0.5], 1) + 0 * batch.flatten(1).sum(1)[:, None]

    assert raised(brittle, images[:1], labels[:1], nothing[:1]) == [
        ("zero_gradient", "beaten_by_noise")
    ]

    def constant(batch):
        return torch.tensor([1.0, 0.0]).repeat(len(batch), 1)

    assert raised(constant, images, labels, nothing) == [("zero_gradient",)] * 6


def test_no_more_passes_are_made_than_stated():
    logits, images, labels = planted()
    made = [0]

    def counting(batch):
        made[0] += len(batch)
        values = logits(batch)
        if values.requires_grad:
            made[0] += len(batch)
        return values

    for distances in (torch.full((4,), 1e-4), torch.full((4,), torch.inf)):
        made[0] = 0
        raised(counting, images, labels, distances)
        assert 0 < made[0] <= 4 * PASSES_PER_IMAGE
