"""The shortest of several, and whose it was."""

import pytest
import torch

from tests.numerics.attacks.planted import PlantedAttack, network
from tests.rounding import float32_products
from zoo_eval.numerics.attacks.ensemble import Ensemble, shortest
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import classifier, interior
from zoo_eval.numerics.attacks.tighten import BISECTIONS, tighten


def towards(model, wanted):
    """Goes along the exact normal where `wanted` (image,), elsewhere at half a right angle to it."""

    def perturb(logits, images, labels):
        normal = model.weights[labels] - model.weights[1 - labels]
        other = torch.randn(normal.shape, generator=torch.Generator().manual_seed(0))
        other = (
            other
            - (other * normal).sum(1, keepdim=True) / normal.square().sum(1, keepdim=True) * normal
        )
        other = other / other.norm(dim=1, keepdim=True) * normal.norm(dim=1, keepdim=True)
        direction = torch.where(wanted[:, None], normal, normal + other)
        return (images - 0.02 * direction.reshape(images.shape)).clamp(0, 1)

    return PlantedAttack(perturb)


def test_each_image_gets_its_shortest_with_the_winner_named():
    images = interior(6)
    model = classifier(2, images)
    labels = model(images).argmax(1)
    even = torch.arange(6) % 2 == 0
    attacks = {
        "nothing": PlantedAttack(lambda logits, images, labels: images.clone()),
        "even": towards(model, even),
        "odd": towards(model, ~even),
    }
    found = shortest(attacks, model, images, labels)
    assert found.names == ("nothing", "even", "odd")
    assert found.winner.tolist() == [1, 2, 1, 2, 1, 2]
    # The last bisection's interval, of a way of 0.02 normals.
    way = 0.02 * float((model.weights[0] - model.weights[1]).norm())
    bound = way * 2.0**-BISECTIONS + float32_products(2 * 192)
    distance = length(found.candidates - images, "l2").double()
    assert (distance - model.minimum(images, labels, "l2")).abs().max() < bound


def test_where_no_attack_succeeds_there_is_no_winner():
    images = interior(2)
    still = PlantedAttack(lambda logits, images, labels: images.clone())
    model = classifier(2, images)
    found = shortest({"still": still}, model, images, model(images).argmax(1))
    assert found.winner.tolist() == [-1, -1]
    assert torch.equal(found.candidates, images)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_ensemble_is_no_longer_than_any_member(norm):
    images, logits = interior(8), network(1)
    labels = logits(images).argmax(1)
    ensemble = Ensemble(steps=40, norm=norm)
    found = ensemble.best(logits, images, labels)
    assert (found.winner >= 0).all()
    distance = length(found.candidates - images, norm)
    for attack in ensemble.members().values():
        minimal = tighten(logits, images, attack.perturb(logits, images, labels), labels, norm)
        own = length(minimal.perturbation.float(), norm)
        assert (distance <= own * 1.002 + 1e-6)[minimal.found].all()
