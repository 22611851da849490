"""Attacks against other libraries' on networks without a known minimum, their costs and options."""

import pytest
import torch
from foolbox.attacks import L2DeepFoolAttack, LinfDeepFoolAttack

from benchmarks.rivals import adv_lib_attacks
from tests.numerics.attacks.planted import network
from tests.rounding import TIGHTENED
from zoo_eval.errors import BadInput
from zoo_eval.numerics.attacks import foolbox_adapter
from zoo_eval.numerics.attacks.apgd_bisect import APGDBisect, checkpoints
from zoo_eval.numerics.attacks.conformance import attacked
from zoo_eval.numerics.attacks.logits import Batch, Counted, beaten, margins
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.perpendicular import Perpendicular, refine
from zoo_eval.numerics.attacks.problems import interior
from zoo_eval.numerics.attacks.registry import ATTACKS, build, norms_of
from zoo_eval.numerics.attacks.tighten import tighten

OFFERED = [(name, norm) for name in ATTACKS for norm in norms_of(name)]


class Module(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, images):
        return self.logits(images)


@pytest.fixture(scope="module")
def planted():
    images = interior(12)
    logits = network()
    return logits, images, logits(images).argmax(1)


def mean_distance(logits, images, candidates, labels, norm="l2"):
    minimal = tighten(logits, images, candidates, labels, norm)
    assert minimal.found.all()
    return float(length(minimal.perturbation.double(), norm).log().mean().exp())


def own(name, planted, norm="l2", **options):
    logits, images, labels = planted
    attack = build(name, options, norm)
    return mean_distance(logits, images, attack.perturb(logits, images, labels), labels, norm)


def of_adv_lib(name, planted, norm="l2", **options):
    logits, images, labels = planted
    attack = getattr(adv_lib_attacks(), name)
    return mean_distance(
        logits, images, attack(Module(logits), images, labels, **options), labels, norm
    )


def test_ddn_reaches_what_adv_libs_does_at_its_favourite_logit_scale(planted):
    logits, images, labels = planted
    clean = margins(logits(images), labels)[:, None]

    def scaled(batch):
        return logits(batch) * 10 / clean

    theirs = of_adv_lib("ddn", (scaled, images, labels), steps=100, levels=None)
    assert own("ddn", planted) == pytest.approx(theirs, rel=TIGHTENED)
    assert own("ddn", planted) < 0.9 * of_adv_lib("ddn", planted, steps=100, levels=None)


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", float("inf"))])
def test_fmn_is_no_worse_than_adv_libs_where_that_succeeds(planted, norm, order):
    logits, images, labels = planted
    candidates = adv_lib_attacks().fmn(Module(logits), images, labels, norm=order, steps=100)
    theirs = tighten(logits, images, candidates, labels, norm)
    mine = attacked(build("fmn", {}, norm), logits, images, labels)
    assert mine.found.all()
    assert theirs.found.any()
    ratio = length(mine.perturbation.double(), norm) / length(theirs.perturbation.double(), norm)
    assert ratio[theirs.found].log().mean().exp() < 1.01


@pytest.mark.parametrize(
    ("norm", "rival"), [("l2", L2DeepFoolAttack), ("linf", LinfDeepFoolAttack)]
)
def test_deepfool_reaches_what_foolboxes_does(planted, norm, rival):
    logits, images, labels = planted
    candidates = [
        foolbox_adapter.run(rival(), logits, image, label)
        for image, label in zip(images.split(1), labels.split(1), strict=True)
    ]
    theirs = mean_distance(logits, images, torch.cat(candidates), labels, norm)
    assert own("deepfool", planted, norm) == pytest.approx(theirs, rel=TIGHTENED)


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", float("inf"))])
def test_apgd_succeeds_at_the_radii_at_which_adv_libs_does(planted, norm, order):
    logits, images, labels = planted
    attack = APGDBisect(norm=norm)
    nearest = length(
        build("perpendicular", {}, norm).perturb(logits, images, labels) - images, norm
    )
    radii = nearest * torch.linspace(0.7, 1.5, len(images))
    _, success = attack.within(logits, images, labels, radii, images)
    theirs = adv_lib_attacks().apgd(
        Module(logits), images, labels, radii, norm=order, n_iter=20, use_rs=False
    )
    assert success.any()
    assert not success.all()
    assert (success == beaten(logits, theirs, labels)).sum() >= len(images) - 1


@pytest.mark.parametrize("steps", [10, 20, 100])
def test_apgd_checks_at_the_papers_shares_of_the_budget(steps):
    # Croce & Hein 2020, section 3.2: p = 0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99.
    shares = [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(steps) == {-(-share * steps // 100) for share in shares}


@pytest.mark.parametrize("name", ["pgd_bisect", "apgd_bisect"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("warm", [False, True])
def test_points_within_a_radius_are_within_it(planted, name, norm, warm):
    logits, images, labels = planted
    near = build("deepfool", {}, norm).perturb(logits, images, labels) if warm else images
    radii = torch.linspace(0.01, 0.6, len(images))
    points, success = build(name, {}, norm).within(logits, images, labels, radii, near)
    assert (length(points - images, norm) <= radii * 1.00001 + 1e-6).all()
    assert torch.equal(success, beaten(logits, points, labels))
    assert points.min() >= 0
    assert points.max() <= 1


def test_perpendicular_reaches_a_long_ddn_with_a_tenth_of_its_gradients(planted):
    logits, images, labels = planted
    counted = Counted.of(logits, len(images))
    candidates = Perpendicular().perturb(counted, images, labels)
    assert counted.n_backwards.max() <= 60
    theirs = of_adv_lib("ddn", planted, steps=600, levels=None)
    assert mean_distance(logits, images, candidates, labels) <= theirs * 1.001


def test_the_direction_ends_as_the_normal_of_a_smooth_boundary():
    """The condition of a foot of a perpendicular: perturbation and gradient are parallel."""
    images = interior(6)

    def logits(batch):
        inside = 1.5 - (batch.flatten(1) - 0.5).square() @ torch.linspace(0.5, 2, 192)
        return torch.stack([inside, -inside], 1)

    labels = logits(images).argmax(1)
    points = Perpendicular(steps=60).perturb(logits, images, labels)
    at = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logits(at)[:, 0].sum(), at)
    cosine = torch.cosine_similarity((points - images).flatten(1), gradient.flatten(1))
    assert (cosine.abs() > 0.9999).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_refining_never_lengthens(planted, norm):
    logits, images, labels = planted
    candidates = (images > 0.5).float()
    rows = beaten(logits, candidates, labels)
    assert rows.any()
    images, labels, candidates = images[rows], labels[rows], candidates[rows]
    refined = refine(Batch(logits, images, labels), candidates, Perpendicular(norm=norm, steps=20))
    assert beaten(logits, refined, labels).all()
    assert (length(refined - images, norm) <= length(candidates - images, norm)).all()
    assert (length(refined - images, norm) < 0.5 * length(candidates - images, norm)).any()


@pytest.mark.parametrize(("name", "norm"), OFFERED)
def test_no_attack_makes_more_passes_than_it_says(planted, name, norm):
    logits, images, labels = planted
    attack = build(name, {"steps": 7}, norm)
    counted = Counted.of(logits, len(images))
    attack.perturb(counted, images, labels)
    total = counted.n_forwards + counted.n_backwards
    assert (total > 0).all()
    assert int(total.max()) <= attack.passes_per_image()


@pytest.mark.parametrize(("name", "norm"), OFFERED)
def test_decisions_do_not_depend_on_the_logit_scale_and_neither_does_the_attack(name, norm):
    images = interior(3)
    found = []
    for scale in (0.1, 100.0):
        logits = network(scale=scale)
        labels = logits(images).argmax(1)
        minimal = attacked(build(name, {}, norm), logits, images, labels)
        assert minimal.found.all()
        found.append(length(minimal.perturbation.double(), norm))
    torch.testing.assert_close(*found, rtol=2 * TIGHTENED, atol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [("ddn", {"steps": 0}), ("ddn", {"gamma": 1}), ("ddn", {"init_epsilon": 0}),
     ("fmn", {"steps": 0}), ("fmn", {"alpha": 0}), ("fmn", {"final_gamma": 0.5}),
     ("deepfool", {"steps": 0}), ("deepfool", {"candidates": 1}), ("deepfool", {"overshoot": -1}),
     ("pgd_bisect", {"rounds": 0}), ("pgd_bisect", {"stride": 0}), ("apgd_bisect", {"tolerance": 0}),
     ("perpendicular", {"starts": 0}), ("ensemble", {"steps": 0})],
)  # fmt: skip
def test_options_out_of_range_are_an_error(name, options):
    with pytest.raises(ValueError, match=f"{name} needs"):
        build(name, options)


def test_a_norm_that_an_attack_has_not_is_an_error():
    with pytest.raises(ValueError, match="ddn has no linf form; it searches in l2"):
        build("ddn", {}, "linf")


def test_an_unknown_option_and_an_unknown_attack_are_told_apart():
    with pytest.raises(TypeError, match="step_size"):
        build("ddn", {"step_size": 1})
    with pytest.raises(BadInput, match="unknown attack 'ddm'; nearest: ddn"):
        build("ddm", {})
