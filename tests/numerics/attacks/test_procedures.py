"""What is stored is what is measured, in whatever units an attack works."""

import pytest
import torch

from tests.numerics.attacks.planted import PlantedAttack
from tests.rounding import STORED, float32_products
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import classifier, interior
from zoo_eval.numerics.attacks.procedures import AsReleased, Corrected, Units, as_it_is
from zoo_eval.numerics.attacks.registry import build
from zoo_eval.numerics.attacks.released import SpherePGD

MEAN, STD = torch.tensor([0.4, 0.5, 0.3]), torch.tensor([0.2, 0.25, 0.5])


def planted(n=4):
    images = interior(n)
    model = classifier(3, images)
    return model, images, model(images).argmax(1)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_corrected_distance_is_that_of_what_is_stored(norm):
    model, images, labels = planted()
    searched = Corrected(build("fmn", {}, norm)).search(model, images, labels)
    assert searched.minimal.found.all()
    stored = searched.minimal.perturbation
    assert stored.dtype == torch.float16
    assert torch.equal(searched.distance, length(stored.double(), norm))
    exact = model.minimum(images, labels, norm)
    assert (searched.distance >= exact * (1 - 1e-3)).all()
    assert (searched.distance <= exact * 1.05).all()


def test_values_that_are_not_finite_are_found_out_and_not_stored():
    model, images, labels = planted()

    def broken(logits, some, own):
        candidates = build("ddn", {}).perturb(logits, some, own)
        candidates[1, 0, 0, 0] = torch.nan
        return candidates

    searched = Corrected(PlantedAttack(broken)).search(model, images, labels)
    assert searched.finite.tolist() == [True, False, True, True]
    assert searched.minimal.found.tolist() == [True, False, True, True]
    assert (searched.minimal.perturbation[1] == 0).all()


def test_an_attack_in_other_units_reports_those_and_stores_pixels():
    """In units of its standard deviation a channel's change is 1 / std as long."""
    model, images, _ = planted()
    units = Units(STD, MEAN)
    inside = units.to_pixels(0.3 + 0.4 * images)
    own = model(inside).argmax(1)
    searched = AsReleased(SpherePGD(), units).search(model, inside, own)
    assert searched.minimal.found.all()
    stored = searched.minimal.perturbation.double()
    by_channel = stored.flatten(2).norm(dim=2) / STD
    torch.testing.assert_close(searched.distance, by_channel.norm(dim=1), rtol=STORED, atol=0)
    assert (searched.distance > length(stored, "l2") * 1.5).all()
    assert (model(inside + stored.float()).argmax(1) != own).all()


def test_units_go_there_and_back():
    images = interior(2)
    units = Units(STD, MEAN)
    there_and_back = units.to_pixels(units.of_pixels(images))
    assert (there_and_back - images).abs().max() <= float32_products(4, 2)


def test_what_is_stored_as_it_is_stays_within_a_share_of_it_and_succeeds():
    """Candidates a hair beyond the boundary, where rounding to float16 decides."""
    model, images, labels = planted(24)
    direction = build("ddn", {}).perturb(model, images, labels) - images
    for share in (1.00001, 1.0001):
        exact = model.minimum(images, labels, "l2").float()
        step = direction / length(direction, "l2")[:, None, None, None]
        candidates = images + step * exact[:, None, None, None] * share
        right = model(candidates).argmax(1) != labels
        assert right.sum() > 5
        minimal = as_it_is(model, images, candidates, labels)
        assert minimal.found[right].all()
        ratio = length(minimal.perturbation.double(), "l2") / length(candidates - images, "l2")
        assert ((ratio - 1).abs() < 2**-6).all()
        assert torch.equal(
            minimal.prediction, model(images + minimal.perturbation.float()).argmax(1)
        )
