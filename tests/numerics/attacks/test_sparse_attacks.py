"""Attacks in l1 and in counts against other libraries' on networks without a known minimum."""

import pytest
import torch

from benchmarks.rivals import AsModule, adv_lib_attacks
from tests.numerics.attacks.planted import network
from zoo_eval.numerics.attacks import greedy, proximal
from zoo_eval.numerics.attacks.conformance import attacked
from zoo_eval.numerics.attacks.greedy import Greedy
from zoo_eval.numerics.attacks.logits import Batch, beaten
from zoo_eval.numerics.attacks.norms import length
from zoo_eval.numerics.attacks.problems import interior
from zoo_eval.numerics.attacks.proximal import Proximal
from zoo_eval.numerics.attacks.registry import build
from zoo_eval.numerics.attacks.sigma_zero import SigmaZero
from zoo_eval.numerics.attacks.tighten import tighten


@pytest.fixture(scope="module")
def planted():
    images, logits = interior(6), network()
    return logits, images, logits(images).argmax(1)


def over(planted, name, norm, candidates):
    """Geometric mean of an attack's distances over those of candidates, where those succeed."""
    logits, images, labels = planted
    mine = attacked(build(name, {}, norm), logits, images, labels)
    theirs = tighten(logits, images, candidates, labels, norm)
    assert mine.found.all()
    assert theirs.found.any()
    ratios = length(mine.perturbation.double(), norm) / length(theirs.perturbation.double(), norm)
    return float(ratios[theirs.found].log().mean().exp())


@pytest.mark.parametrize(("name", "bound"), [("proximal", 1.1), ("ensemble", 1.02)])
def test_l1_is_near_adv_libs_fmn_with_twice_proximals_steps(planted, name, bound):
    logits, images, labels = planted
    fmn = adv_lib_attacks().fmn(AsModule(logits), images, labels, norm=1, steps=100)
    assert over(planted, name, "l1", fmn) < bound


@pytest.mark.parametrize("name", ["greedy", "ensemble"])
def test_counts_are_near_adv_libs_sigma_zero(planted, name):
    """On one of these six images adv-lib's changes one value, and ours two: 2 ** (1 / 6) of its mean."""
    logits, images, labels = planted
    theirs = adv_lib_attacks().sigma_zero(AsModule(logits), images, labels, num_steps=100)
    assert over(planted, name, "l0_values", theirs) < 1.13


def test_positions_are_no_more_than_values(planted):
    logits, images, labels = planted
    values = attacked(build("greedy", {}, "l0_values"), logits, images, labels)
    assert over(planted, "greedy", "l0_pixels", images + values.perturbation.float()) <= 1


@pytest.mark.parametrize("norm", ["l1", "l0_values", "l0_pixels"])
def test_refining_never_lengthens(planted, norm):
    logits, images, labels = planted
    candidates = (images > 0.5).float()
    rows = beaten(logits, candidates, labels)
    assert rows.any()
    images, candidates, labels = images[rows], candidates[rows], labels[rows]
    batch = Batch(logits, images, labels)
    if norm == "l1":
        refined = proximal.refine(batch, candidates, Proximal(steps=10))
    else:
        refined = greedy.refine(batch, candidates, Greedy(rounds=3, norm=norm))
    assert beaten(logits, refined, labels).all()
    before, after = (length(points - images, norm) for points in (candidates, refined))
    assert (after < before).all()


def test_a_step_is_the_shortest_near_the_last_one():
    """The conditions of a minimum: no small move that keeps the linear margin shortens the sum."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 4, 4, generator=generator)
    delta = ((torch.rand(images.shape, generator=generator) - images) * 0.1).where(
        torch.rand(images.shape, generator=generator) < 0.3, torch.tensor(0.0)
    )
    gradient = torch.randn(images.shape, generator=generator)
    margin, pace = torch.full((4,), 0.5), 0.05

    def linear(step):
        return margin + (gradient * (step - delta)).flatten(1).sum(1)

    def value(step):
        return length(step, "l1") + (step - delta).square().flatten(1).sum(1) / (2 * pace)

    found = proximal.shortest_near(images, delta, margin, gradient, pace)
    assert (linear(found) <= 1e-4).all()
    for seed in range(50):
        draw = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
        tried = (images + found + 0.01 * draw).clamp(0, 1) - images
        # Moved back to the boundary along the gradient, where the box lets it.
        lacking = linear(tried).clamp(min=0) / gradient.flatten(1).square().sum(1)
        tried = (images + tried - 1.5 * lacking[:, None, None, None] * gradient).clamp(
            0, 1
        ) - images
        allowed = linear(tried) <= 0
        assert (value(tried) >= value(found) - 1e-3)[allowed].all()


@pytest.mark.parametrize(
    ("name", "options"),
    [("proximal", {"steps": 0}), ("proximal", {"memory": 1}), ("proximal", {"pace": 0.001}),
     ("greedy", {"exchanged": 0}), ("greedy", {"rounds": -1})],
)  # fmt: skip
def test_options_out_of_range_are_an_error(name, options):
    with pytest.raises(ValueError, match=f"{name} needs"):
        build(name, options, "l1" if name == "proximal" else "l0_values")


@pytest.mark.parametrize("norm", ["l0_values", "l0_pixels"])
def test_sigma_zero_is_no_worse_than_adv_libs(planted, norm):
    logits, images, labels = planted
    theirs = adv_lib_attacks().sigma_zero(AsModule(logits), images, labels, num_steps=50)
    mine = SigmaZero(steps=50, norm=norm).perturb(logits, images, labels)
    assert beaten(logits, mine, labels).all()
    ours, others = (length(points - images, norm) for points in (mine, theirs))
    solved = beaten(logits, theirs, labels)
    assert solved.any()
    assert (ours / others)[solved].log().mean().exp() < 1.1
