"""Foolbox's attacks by name, those with a fixed budget with the search that Foolbox lacks."""

import foolbox
import pytest
import torch
from foolbox.attacks.base import FixedEpsilonAttack, MinimizationAttack

from tests.rounding import FLOAT32, TIGHTENED
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
    torch.testing.assert_close(found, model.minimum(images, labels, norm), rtol=TIGHTENED, atol=0)


@pytest.mark.parametrize(
    ("name", "norm", "options"),
    [("DDNAttack", "l2", {"steps": 20}),
     ("L2DeepFoolAttack", "l2", {"steps": 20}),
     ("LInfFMNAttack", "linf", {"steps": 20})],
)  # fmt: skip
def test_an_attack_that_searches_itself_gives_what_foolbox_gives(name, norm, options):
    images = interior(4)
    model = classifier(5, images)
    labels = model(images).argmax(1)

    class Net(torch.nn.Module):
        def forward(self, batch):
            return model(batch)

    theirs, _, success = getattr(foolbox.attacks, name)(**options)(
        foolbox.PyTorchModel(Net().eval(), (0, 1), device="cpu"), images, labels, epsilons=None
    )
    assert success.any()
    ours = build(f"foolbox:{name}", options, norm).perturb(model, images, labels)
    # Each of 20 steps rounds each value and its direction.
    assert (ours - theirs).abs().max() <= 20 * 4 * FLOAT32


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
    with pytest.raises(ValueError, match='is an l1 attack, not l2; choose norm = "l1"'):
        build("foolbox:L1FMNAttack", {})
    with pytest.raises(ValueError, match="is an l0_values attack, not l0_pixels"):
        build("foolbox:L0FMNAttack", {}, "l0_pixels")
    with pytest.raises(ValueError, match="PointwiseAttack measures no distance"):
        build("foolbox:PointwiseAttack", {})
    with pytest.raises(ValueError, match="DatasetAttack needs other images"):
        build("foolbox:DatasetAttack", {})
    with pytest.raises(TypeError, match="stepz"):
        build("foolbox:DDNAttack", {"stepz": 3})


def test_a_library_that_an_attack_needs_is_named(monkeypatch):
    def needs_numba(self):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(foolbox.attacks.L2BrendelBethgeAttack, "__init__", needs_numba)
    with pytest.raises(ValueError, match=r"L2BrendelBethgeAttack needs numba, .* install it"):
        build("foolbox:L2BrendelBethgeAttack", {})


def every_foolbox_attack():
    for name in sorted(vars(foolbox.attacks)):
        kind = getattr(foolbox.attacks, name)
        if isinstance(kind, type) and issubclass(kind, FixedEpsilonAttack | MinimizationAttack):
            yield name


# Fewer steps than by default, and what has no default.
FEW = {
    "L2CarliniWagnerAttack": {"binary_search_steps": 2, "steps": 20, "stepsize": 0.1},
    "HopSkipJumpAttack": {
        "steps": 2, "initial_gradient_eval_steps": 10, "max_gradient_eval_steps": 20,
    },
    "BoundaryAttack": {"steps": 50},
    "VirtualAdversarialAttack": {"steps": 5},
    "LinearSearchBlendedUniformNoiseAttack": {"directions": 20, "steps": 50},
    "L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack": {"repeats": 10},
    "L2ClippingAwareRepeatedAdditiveUniformNoiseAttack": {"repeats": 10},
    "L2RepeatedAdditiveGaussianNoiseAttack": {"repeats": 10},
    "L2RepeatedAdditiveUniformNoiseAttack": {"repeats": 10},
    "LinfRepeatedAdditiveUniformNoiseAttack": {"repeats": 10},
}  # fmt: skip
# These change all pixels alike, or blend towards one image: some boundaries they never meet.
MAY_FAIL = {
    "BinarySearchContrastReductionAttack",
    "GaussianBlurAttack",
    "InversionAttack",
    "L2ContrastReductionAttack",
    "LinearSearchContrastReductionAttack",
}


@pytest.mark.parametrize("name", every_foolbox_attack())
def test_every_foolbox_attack_in_l2_or_linf_runs_or_says_why_not(name):
    images = interior(2)
    model = classifier(3, images)
    labels = model(images).argmax(1)
    reasons = []
    for norm in ("l2", "linf"):
        try:
            attack = build(f"foolbox:{name}", FEW.get(name, {}), norm)
        except ValueError as error:
            reasons.append(str(error))
            continue
        runs = []
        for _ in range(2):
            torch.manual_seed(0)
            runs.append(attacked(attack, model, images, labels))
        assert torch.equal(runs[0].perturbation, runs[1].perturbation)
        assert name in MAY_FAIL or runs[0].found.all()
    assert len(reasons) < 2 or any(
        said in reasons[0]
        for said in ("is an l1 attack", "is an l0_values attack", "measures no", " needs ")
    ), reasons


def test_attacks_that_ask_for_decisions_only_need_no_gradient():
    images = interior(2)
    model = classifier(3, images)
    labels = model(images).argmax(1)
    for name in every_foolbox_attack():
        for norm in ("l2", "linf"):
            try:
                attack = build(f"foolbox:{name}", FEW.get(name, {}), norm)
            except ValueError:
                continue
            if attack.gradient_free:
                attacked(attack, lambda batch: model(batch).detach(), images, labels)


def test_passes_are_estimated_from_the_attacks_own_options():
    deep = build("foolbox:L2DeepFoolAttack", {"steps": 7, "candidates": 3})
    assert deep.passes_per_image() == 1 + 2 * 21 + 2
    search = build("foolbox:L2CarliniWagnerAttack", {"steps": 11, "binary_search_steps": 3})
    assert search.passes_per_image() == 1 + 2 * 33 + 2


def test_decisions_that_estimate_a_gradient_count_as_passes():
    """HopSkipJump makes most of its passes where it estimates a normal."""
    images = interior(1, seed=3)
    model = classifier(2, interior(8))
    made = [0]

    def counting(batch):
        made[0] += len(batch)
        return model(batch)

    attack = build("foolbox:HopSkipJumpAttack", {**FEW["HopSkipJumpAttack"], "steps": 8})
    torch.manual_seed(0)
    attack.perturb(counting, images, model(images).argmax(1))
    assert attack.passes_per_image() / 10 <= made[0] <= 10 * attack.passes_per_image()
