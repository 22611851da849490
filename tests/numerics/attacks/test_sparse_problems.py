"""Exact minima in l1 and in counts: linear programs, a general optimiser and every subset agree."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from tests.numerics.attacks.test_problems import OPTIMISED, generator, small_images
from zoo_eval.numerics.attacks.conformance import SHELL, _on_shell
from zoo_eval.numerics.attacks.problems import Ellipsoid, SumOfReLUs, interior, to_half_space

POSITIONS = [[p, p + 4, p + 8] for p in range(4)]
UNITS = {"l0_values": [[v] for v in range(12)], "l0_pixels": POSITIONS}


def half_space(seed):
    x = torch.rand(12, generator=generator(seed)).mul(1.6).sub(0.3).clamp(0, 1).double()
    normal = torch.randn(12, generator=generator(100 + seed)).double()
    reach = float(torch.relu(normal) @ x + torch.relu(-normal) @ (1 - x))
    return x, normal, -float(x @ normal) + 0.6 * reach


def fewest(units, least):
    """How many units must be free for least(values of them) to be 0 or below, over all subsets."""
    for count in range(1, len(units) + 1):
        for chosen in combinations(units, count):
            if least([v for unit in chosen for v in unit]) <= 0:
                return count
    return np.inf


@pytest.mark.parametrize("seed", range(4))
def test_the_l1_way_to_a_half_space_in_the_box_is_the_linear_programs(seed):
    x, normal, offset = half_space(seed)
    w, start = normal.numpy(), x.numpy()
    # minimise the sum of rises and falls, both of at least 0
    program = linprog(
        np.ones(24),
        A_ub=np.r_[w, -w][None],
        b_ub=[-offset - w @ start],
        bounds=[(0, 1 - v) for v in start] + [(0, v) for v in start],
    )
    found = float(to_half_space(x[None], normal[None], offset, "l1"))
    assert found == pytest.approx(program.fun, rel=OPTIMISED)


def test_far_from_the_box_it_is_the_margin_over_the_largest_weight():
    x = torch.full((1, 12), 0.5, dtype=torch.float64)
    normal = torch.randn(1, 12, generator=generator(0)).double()
    offset = 0.1 - float((x * normal).sum())
    found = float(to_half_space(x, normal, offset, "l1"))
    assert found == pytest.approx(0.1 / float(normal.abs().max()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("norm", UNITS)
def test_the_fewest_changes_to_a_half_space_are_those_of_every_subset(seed, norm):
    x, normal, offset = half_space(seed)
    w, start = normal.numpy(), x.numpy()

    def least(free):
        gain = sum(max(w[v] * start[v], -w[v] * (1 - start[v])) for v in free)
        return w @ start + offset - gain

    found = float(to_half_space(x[None], normal[None], offset, norm))
    assert found == fewest(UNITS[norm], least)
    assert found > 1


def test_a_half_space_out_of_reach_is_infinitely_far_and_one_around_the_image_is_not_far():
    x, normal = torch.full((1, 12), 0.5).double(), torch.ones(1, 12).double()
    for norm in ("l1", *UNITS):
        assert to_half_space(x, normal, 0.1, norm).item() == float("inf")
        assert to_half_space(x, normal, -7.0, norm).item() == 0


def ellipsoid(images, share):
    """One whose surface all images see from outside, at a share of the nearest one's radius."""
    centre = torch.rand(12, generator=generator(2)) * 1.6 - 0.3
    curvature = torch.linspace(0.5, 2, 12)
    value = (images.flatten(1) - centre).square() @ curvature
    return Ellipsoid(centre, curvature, share * float(value.min()) ** 0.5)


def test_from_outside_an_ellipsoid_the_l1_minimum_in_the_box_is_the_optimisers():
    images = (small_images(4, 1) * 1.6 - 0.3).clamp(0, 1)
    model = ellipsoid(images, 0.8)
    c, q = model.centre.double().numpy(), model.curvature.double().numpy()
    x = images.flatten(1).double().numpy()
    for start, minimum in zip(x, model.minimum(images, "l1"), strict=True):

        def inside(d, start=start):
            return model.radius**2 - ((start + d[:12] - d[12:] - c) ** 2) @ q

        found = minimize(
            lambda d: d.sum(), np.full(24, 0.01), jac=lambda d: np.ones(24),
            bounds=[(0, 1 - v) for v in start] + [(0, v) for v in start],
            constraints={"type": "ineq", "fun": inside},
            options={"ftol": 1e-12, "maxiter": 1000},
        )  # fmt: skip
        assert found.success
        assert float(minimum) == pytest.approx(found.fun, rel=OPTIMISED)


@pytest.mark.parametrize("norm", UNITS)
@pytest.mark.parametrize("outside", [True, False])
def test_the_fewest_changes_across_an_ellipsoid_are_those_of_every_subset(norm, outside):
    images = small_images(3, 1, low=0.3, high=0.7)
    model = ellipsoid(images, 0.8) if outside else Ellipsoid(
        torch.full((12,), 0.5), torch.linspace(0.5, 2, 12), 1.2
    )  # fmt: skip
    assert (model(images).argmax(1) == int(outside)).all()
    c, q = model.centre.double().numpy(), model.curvature.double().numpy()
    sign = 1 if outside else -1
    grid = np.linspace(0, 1, 2001)
    for start, minimum in zip(
        images.flatten(1).double().numpy(), model.minimum(images, norm), strict=True
    ):
        terms = q * (start - c) ** 2
        best = np.array([(sign * qv * (grid - cv) ** 2).min() for qv, cv in zip(q, c, strict=True)])

        def least(free, terms=terms, best=best):
            rest = [v for v in range(12) if v not in free]
            return sign * (terms[rest].sum() - model.radius**2) + best[free].sum()

        assert float(minimum) == fewest(UNITS[norm], least)


def test_from_inside_an_ellipsoid_one_value_moves_and_none_moves_less():
    model = Ellipsoid(torch.full((192,), 0.5), torch.linspace(0.5, 2, 192), 1.6)
    images = _on_shell(interior(3), model)
    value = (images.flatten(1) - 0.5).square() @ model.curvature
    assert value.numpy() == pytest.approx(1.6**2 - SHELL, abs=1e-5)
    minimum = model.minimum(images, "l1")
    for share, crosses in ((1.001, True), (0.999, False)):
        moved = images.flatten(1).double()[:, None] + share * minimum[
            :, None, None
        ] * torch.diag_embed((images.flatten(1) - 0.5).sign().double())
        assert moved.min() >= 0
        assert moved.max() <= 1
        beyond = (moved - 0.5).square() @ model.curvature.double() > model.radius**2
        assert (beyond.any(1) == crosses).all()


@pytest.mark.parametrize("norm", UNITS)
def test_the_fewest_changes_over_a_sum_of_relus_are_those_of_every_subset(norm):
    images = small_images(1, 0, low=0.3, high=0.7)
    weights = torch.randn(3, 12, generator=generator(0))
    bias = -(images.flatten(1) @ weights.T)[0] + torch.tensor([0.2, -0.1, -0.4])
    model = SumOfReLUs(weights, bias, threshold=3.0)
    w, b = weights.double().numpy(), bias.double().numpy()
    start = images.flatten().double().numpy()

    def least(free):
        # A convex function is largest at a corner of the box.
        corners = np.array(np.meshgrid(*[[0, 1]] * len(free))).reshape(len(free), -1).T
        moved = np.tile(start, (len(corners), 1))
        moved[:, free] = corners
        return 3.0 - np.maximum(moved @ w.T + b, 0).sum(1).max()

    assert float(model.minimum(images, norm)) == fewest(UNITS[norm], least)
