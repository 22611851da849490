"""Foolbox's attacks by name, those with a fixed budget with the search that Foolbox lacks."""

import pytest
import torch

from zoo_eval.numerics.attacks.conformance import attacked
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import classifier, interior
from zoo_eval.numerics.attacks.registry import build


@pytest.mark.parametrize(
    ("name", "norm", "options"),
    [("L2ProjectedGradientDescentAttack", "l2", {"steps": 10, "random_start": False}),
     ("LinfProjectedGradientDescentAttack", "linf", {"steps": 10, "random_start": False}),
     ("LinfFastGradientAttack", "linf", {}),
     ("L2FastGradientAttack", "l2", {})],
)  # fmt: skip
def test_a_fixed_budget_attack_finds_the_smallest_radius(name, norm, options):
    images = interior(6)
    model = classifier(2, images)
    labels = model(images).argmax(1)
    minimal = attacked(build(f"foolbox:{name}", options, norm), model, images, labels)
    assert minimal.found.all()
    found = length(minimal.perturbation.double(), norm)
    torch.testing.assert_close(found, model.minimum(images, labels, norm), rtol=0.01, atol=1e-6)


def test_an_image_that_is_wrong_already_is_left_alone():
    images = interior(3)
    model = classifier(3, images)
    labels = (model(images).argmax(1) + torch.tensor([1, 0, 0])) % 3
    for name in ("L2DeepFoolAttack", "DDNAttack", "L2FastGradientAttack"):
        candidates = build(f"foolbox:{name}", {}).perturb(model, images, labels)
        assert torch.equal(candidates[0], images[0])
        assert (candidates[1:] != images[1:]).flatten(1).any(1).all()


def test_what_foolbox_has_not_or_measures_otherwise_is_an_error():
    with pytest.raises(ValueError, match="has no attack L2Nonsense"):
        build("foolbox:L2Nonsense", {})
    with pytest.raises(ValueError, match="is an linf attack, not l2"):
        build("foolbox:LinfDeepFoolAttack", {})
    with pytest.raises(ValueError, match="neither l2 nor linf"):
        build("foolbox:L1FMNAttack", {})
    with pytest.raises(TypeError, match="stepz"):
        build("foolbox:DDNAttack", {"stepz": 3})


def test_passes_are_estimated_from_the_attacks_own_options():
    deep = build("foolbox:L2DeepFoolAttack", {"steps": 7, "candidates": 3})
    assert deep.passes_per_image() == 1 + 2 * 21 + 2
    search = build("foolbox:L2CarliniWagnerAttack", {"steps": 11, "binary_search_steps": 3})
    assert search.passes_per_image() == 1 + 2 * 33 + 2
