"""The exact minima are exact: closed forms, linear programs and a general optimiser agree."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from tests.rounding import float64_solution
from zoo_eval.numerics.attacks.problems import (
    Ellipsoid,
    Linear,
    SumOfReLUs,
    classifier,
    interior,
    to_half_space,
)

# Optimisers miss a constraint by up to so much, which moves a distance of 0.1 by a hundred times that
# where the constraint's gradient is 0.1: in the ellipsoids, whose curvature is 0.5.
MISSED = 1e-7
OPTIMISED = 100 * MISSED / 0.1


def generator(seed):
    return torch.Generator().manual_seed(seed)


def small_images(n_images, seed, *, low=0.0, high=1.0):
    return low + (high - low) * torch.rand(n_images, 3, 2, 2, generator=generator(seed))


def shortest(x, value, *, n_starts=12, seed=0):
    """The least l2 distance from x to value(y) <= 0 in [0, 1], by SLSQP from several starts."""
    rng = np.random.default_rng(seed)
    best = np.inf
    for _ in range(n_starts):
        found = minimize(
            lambda y: ((y - x) ** 2).sum(),
            rng.uniform(size=len(x)),
            jac=lambda y: 2 * (y - x),
            bounds=[(0, 1)] * len(x),
            constraints={"type": "ineq", "fun": lambda y: -value(y)},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        if value(found.x) < MISSED:
            best = min(best, found.fun**0.5)
    return best


def test_without_a_box_a_linear_minimum_is_the_margin_over_the_normal():
    images = interior(16)
    model = classifier(5, images)
    labels = model(images).argmax(1)
    logits = images.flatten(1).double() @ model.weights.double().T + model.bias.double()
    margin = logits.gather(1, labels[:, None]) - logits
    normals = model.weights.double()[labels][:, None] - model.weights.double()
    own = torch.nn.functional.one_hot(labels, 5).bool()
    for norm, order in (("l2", 2), ("linf", 1)):
        expected = (margin / normals.norm(order, dim=2)).masked_fill(own, torch.inf).amin(1)
        # A margin may be a thousandth of the logits that it is a difference of.
        rounding = float64_solution(192, condition=1000)
        torch.testing.assert_close(
            model.minimum(images, labels, norm), expected, rtol=rounding, atol=0
        )


@pytest.mark.parametrize("seed", range(5))
def test_the_way_to_a_half_space_in_the_box_is_the_optimisers(seed):
    x = torch.rand(12, generator=generator(seed)).mul(1.6).sub(0.3).clamp(0, 1).double()
    normal = torch.randn(12, generator=generator(100 + seed)).double()
    offset = -float(x @ normal) + 0.6 * float(
        torch.relu(normal) @ x + torch.relu(-normal) @ (1 - x)
    )
    found = {
        norm: float(to_half_space(x[None], normal[None], offset, norm)) for norm in ("l2", "linf")
    }
    w, start = normal.numpy(), x.numpy()
    assert found["l2"] == pytest.approx(shortest(start, lambda y: y @ w + offset), rel=OPTIMISED)
    # minimise e subject to w.y + offset <= 0 and |y - x| <= e
    eye, ones = np.eye(12), np.ones((12, 1))
    program = linprog(
        np.r_[np.zeros(12), 1],
        A_ub=np.block([[w[None], np.zeros((1, 1))], [eye, -ones], [-eye, -ones]]),
        b_ub=np.r_[-offset, start, -start],
        bounds=[(0, 1)] * 12 + [(0, None)],
    )
    assert found["linf"] == pytest.approx(program.fun, rel=OPTIMISED)


def test_a_half_space_outside_the_box_is_infinitely_far_and_one_around_the_image_is_not_far():
    x = torch.full((1, 4), 0.5, dtype=torch.float64)
    normal = torch.ones(1, 4, dtype=torch.float64)
    assert to_half_space(x, normal, 0.1, "l2").item() == float("inf")
    assert to_half_space(x, normal, -3.0, "linf").item() == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_of_a_sum_of_relus_is_the_optimisers(seed):
    images = small_images(1, seed, low=0.3, high=0.7)
    weights = torch.randn(3, 12, generator=generator(seed))
    bias = -(images.flatten(1) @ weights.T)[0] + torch.tensor([0.2, -0.1, -0.4])
    model = SumOfReLUs(weights, bias, threshold=1.0)
    w, b = weights.double().numpy(), bias.double().numpy()
    found = shortest(
        images.flatten().double().numpy(),
        lambda y: 1.0 - np.maximum(w @ y + b, 0).sum(),
        n_starts=40,
    )
    assert float(model.minimum(images, "l2")) == pytest.approx(found, rel=OPTIMISED)


@pytest.mark.parametrize("radius", [0.3, 0.6])
def test_the_minimum_of_an_ellipsoid_is_the_optimisers(radius):
    images = small_images(4, 0, low=0.35, high=0.65)
    centre, curvature = torch.full((12,), 0.5), torch.linspace(0.5, 2, 12)
    model = Ellipsoid(centre, curvature, radius)
    inside = model(images).argmax(1) == 0
    q = curvature.double().numpy()
    for image, is_inside, minimum in zip(images, inside, model.minimum(images, "l2"), strict=True):
        sign = 1 if is_inside else -1
        found = shortest(
            image.flatten().double().numpy(),
            lambda y, sign=sign: sign * (radius**2 - ((y - 0.5) ** 2) @ q),
        )
        assert float(minimum) == pytest.approx(found, rel=OPTIMISED)


def test_from_outside_an_ellipsoid_the_box_stays_in_the_way():
    images = (small_images(6, 1) * 1.6 - 0.3).clamp(0, 1)
    centre = torch.rand(12, generator=generator(2)) * 1.6 - 0.3
    curvature = torch.linspace(0.5, 2, 12)
    model = Ellipsoid(centre, curvature, 0.8)
    assert (model(images).argmax(1) == 1).all()
    c, q = centre.double().numpy(), curvature.double().numpy()

    def outside(y):
        return ((y - c) ** 2) @ q - 0.8**2

    l2, linf = (model.minimum(images, norm).tolist() for norm in ("l2", "linf"))
    x = images.flatten(1)
    assert (((x == 0) & (centre < 0)) | ((x == 1) & (centre > 1))).any()
    for image, nearest, radius in zip(x.double().numpy(), l2, linf, strict=True):
        assert nearest == pytest.approx(shortest(image, outside), rel=OPTIMISED)
        for share, crosses in ((1.001, True), (0.999, False)):
            step = share * radius
            bounds = list(zip((image - step).clip(0, 1), (image + step).clip(0, 1), strict=True))
            found = minimize(outside, image, jac=lambda y: 2 * q * (y - c), bounds=bounds)
            assert (found.fun < 0) == crosses


def test_both_sides_of_the_ellipsoid_occur_and_its_linf_minimum_just_crosses():
    images = torch.cat([interior(8), 0.5 + 0.6 * (interior(8, seed=1) - 0.5)])
    model = Ellipsoid(torch.full((192,), 0.5), torch.linspace(0.5, 2, 192), 1.1)
    labels = model(images).argmax(1)
    assert set(labels.tolist()) == {0, 1}
    away = torch.where(labels == 0, 1.0, -1.0)[:, None, None, None] * (images - 0.5).sign()
    minimum = model.minimum(images, "linf").float()[:, None, None, None]

    def moved(share):
        step = share * minimum * away
        # Towards the centre no value goes past it.
        return torch.where(
            (labels == 1)[:, None, None, None] & (step.abs() > (images - 0.5).abs()),
            0.5,
            images + step,
        )

    assert (model(moved(1.001)).argmax(1) != labels).all()
    assert (model(moved(0.999)).argmax(1) == labels).all()


def test_a_linear_minimum_does_not_depend_on_the_logit_scale():
    images = interior(4)
    model = classifier(3, images)
    labels = model(images).argmax(1)
    scaled = Linear(model.weights, model.bias, 100.0)
    assert torch.equal(model.minimum(images, labels, "l2"), scaled.minimum(images, labels, "l2"))
