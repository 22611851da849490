"""Bisection image by image: images that leave the batch change no distance and save passes."""

import pytest
import torch

from tests.numerics.attacks.planted import network
from tests.rounding import FLOAT32
from zoo_eval.numerics.attacks.bisect import Brackets, smallest_radius
from zoo_eval.numerics.attacks.logits import Batch, Counted, beaten
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.pgd_bisect import PGDBisect
from zoo_eval.numerics.attacks.problems import interior
from zoo_eval.numerics.attacks.registry import build

TARGETS = torch.tensor([0.003, 0.05, 0.4, 3.0])


def at_distances(asked):
    """A fixed-budget attack that succeeds exactly from `TARGETS` on, noting who was asked."""

    def attack(logits, images, labels, radii, near):
        place = (images[:, 0, 0, 0] * 100).round().long()
        asked.append(place.tolist())
        step = torch.zeros_like(images)
        step[:, 0, 1, 1] = radii
        return images + step, radii >= TARGETS[place]

    return attack


def numbered():
    images = torch.full((4, 3, 8, 8), 0.5)
    images[:, 0, 0, 0] = torch.arange(4) / 100
    return images


def flat(images):
    return torch.tensor([1.0, 0.0]).repeat(len(images), 1)


def test_each_image_has_its_own_bracket():
    images, labels = numbered(), torch.zeros(4, dtype=torch.int64)
    found = smallest_radius(
        at_distances([]), Batch(flat, images, labels), norm="l2", brackets=Brackets(tolerance=0.02)
    )
    ratio = length(found - images, "l2") / TARGETS
    assert (ratio >= 1 - 1e-6).all()
    assert (ratio <= 1.02 + 1e-6).all()


def test_solved_and_hopeless_images_are_asked_no_more():
    asked = []
    images, labels = numbered(), torch.zeros(4, dtype=torch.int64)
    beyond = images.clone()
    attack = at_distances(asked)

    def hopeless_first(logits, some, own, radii, near):
        points, success = attack(logits, some, own, radii, near)
        return points, success & (some[:, 0, 0, 0] != 0)

    batch = Batch(flat, beyond, labels)
    smallest_radius(hopeless_first, batch, norm="linf", brackets=Brackets())
    # Image 0 fails at linf 0.02, 0.08, 0.32 and 1, the most that the box allows; then it is out.
    assert sum(0 in some for some in asked) <= 5
    assert len(asked[-1]) < 4
    assert len(asked) < Brackets().rounds


def test_an_image_that_is_wrong_already_is_not_asked():
    asked = []
    images = numbered()
    labels = torch.tensor([1, 0, 0, 0])
    found = smallest_radius(
        at_distances(asked), Batch(flat, images, labels), norm="l2", brackets=Brackets()
    )
    assert torch.equal(found[0], images[0])
    assert all(0 not in some for some in asked)


def test_an_attack_is_told_the_nearest_success_so_far():
    images, labels = numbered(), torch.zeros(4, dtype=torch.int64)
    plain = at_distances([])
    seen, told = images.clone(), []

    def attack(logits, some, own, radii, near):
        rows = (some[:, 0, 0, 0] * 100).round().long()
        told.append(torch.equal(near, seen[rows]))
        points, success = plain(logits, some, own, radii, near)
        seen[rows[success]] = points[success]
        return points, success

    found = smallest_radius(attack, Batch(flat, images, labels), norm="l2", brackets=Brackets())
    assert len(told) > 5
    assert all(told)
    assert torch.equal(found, seen)


@pytest.mark.parametrize("name", ["pgd_bisect", "apgd_bisect"])
def test_starting_from_the_nearest_success_saves_gradients_and_lengthens_nothing(name):
    images, logits = interior(12), network(3)
    labels = logits(images).argmax(1)
    attack = build(name, {})

    class Anew(type(attack)):
        def within(self, logits, images, labels, radii, near):
            return super().within(logits, images, labels, radii, images)

    means, gradients = [], []
    for one in (attack, Anew()):
        counted = Counted.of(logits, len(images))
        found = one.perturb(counted, images, labels)
        means.append(length(found - images, "l2").log().mean().exp())
        gradients.append(int(counted.n_backwards.sum()))
    assert gradients[0] < gradients[1]
    assert means[0] <= means[1]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_leaving_the_batch_saves_passes_and_changes_no_distance(norm):
    images, logits = interior(12), network(3)
    labels = logits(images).argmax(1)
    distances, gradients = [], []
    for leave in (True, False):
        counted = Counted.of(logits, len(images))
        found = PGDBisect(norm=norm, leave=leave).perturb(counted, images, labels)
        assert beaten(logits, found, labels).all()
        distances.append(length(found - images, norm))
        gradients.append(int(counted.n_backwards.sum()))
    apart = (distances[0] / distances[1] - 1).abs()
    attack = PGDBisect()
    # A step next to the boundary may fall on either side of it, seldom; then the search ends
    # elsewhere within its tolerance. Else every step rounds each value and its direction.
    assert (apart <= attack.tolerance).all()
    assert (apart <= attack.rounds * attack.steps * 4 * FLOAT32).sum() >= len(images) - 1
    assert gradients[1] >= 1.5 * gradients[0]
