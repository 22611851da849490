"""Lengths, projections and moves in every norm, against NumPy and a general optimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.rounding import float32_products
from zoo_eval.numerics.attacks.norms import (
    COUNTS,
    NORMS,
    filled,
    length,
    project,
    shrunk,
    somewhere,
)


def perturbations(n=3, seed=0):
    draw = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return draw * (draw.abs() > 0.5)


@pytest.mark.parametrize("norm", NORMS)
def test_each_length_is_numpys(norm):
    delta = perturbations()
    flat = delta.flatten(1).double().numpy()
    order = {"l2": 2, "linf": np.inf, "l1": 1, "l0_values": 0}
    expected = (
        [len(np.unique(np.argwhere(one)[:, 1:], axis=0)) for one in delta.numpy()]
        if norm == "l0_pixels"
        else np.linalg.norm(flat, order[norm], axis=1)
    )
    assert length(delta.double(), norm).numpy() == pytest.approx(expected)
    assert length(torch.zeros(1, 3, 2, 2), norm).item() == 0


def test_onto_the_l1_ball_is_the_optimisers_nearest_point():
    delta = perturbations(2)
    radii = torch.tensor([2.0, 5.0])
    found = project(delta, radii, "l1")
    assert length(found, "l1").numpy() == pytest.approx(radii.numpy(), rel=1e-5)
    for one, nearest, radius in zip(delta, found, radii, strict=True):
        start = one.flatten().double().abs().numpy()
        best = minimize(
            lambda y, start=start: ((y - start) ** 2).sum(), start * 0.1,
            jac=lambda y, start=start: 2 * (y - start), bounds=[(0, None)] * len(start),
            constraints={"type": "ineq", "fun": lambda y, radius=radius: float(radius) - y.sum()},
            options={"ftol": 1e-12, "maxiter": 500},
        )  # fmt: skip
        assert nearest.flatten().abs().numpy() == pytest.approx(best.x, abs=1e-4)
    inside = project(delta, length(delta, "l1") * 1.01, "l1")
    assert (inside - delta).abs().max() < 48 * float32_products(48, 3.0)


@pytest.mark.parametrize("norm", COUNTS)
def test_onto_a_count_the_largest_are_kept_as_they_are(norm):
    delta = perturbations(2)
    found = project(delta, torch.tensor([3.0, 5.0]), norm)
    assert length(found, norm).tolist() == [3, 5]
    kept = found != 0
    assert torch.equal(found[kept], delta[kept])
    sizes = delta.square().sum(1) if norm == "l0_pixels" else delta.square()
    chosen = kept.any(1) if norm == "l0_pixels" else kept
    for size, one in zip(sizes, chosen, strict=True):
        assert size[one].min() >= size[~one].max()


def test_the_last_move_in_l1_is_made_in_part():
    moves = torch.tensor([0.5, -0.4, 0.3]).reshape(1, 3, 1, 1)
    scores = torch.tensor([1.0, 3.0, 2.0]).reshape(1, 3, 1, 1)
    found = filled(scores, moves, torch.tensor([0.6]), "l1").flatten()
    assert found.tolist() == pytest.approx([0, -0.4, 0.2])


def test_shrinking_leaves_nothing_below_the_threshold():
    values = torch.tensor([0.5, -0.3, 0.1]).reshape(1, 3, 1, 1)
    assert shrunk(values, torch.tensor([0.2])).flatten().tolist() == pytest.approx([0.3, -0.1, 0])


@pytest.mark.parametrize("norm", ["l1", *COUNTS])
def test_somewhere_is_in_the_box_as_long_as_said_and_of_the_seed_alone(norm):
    images = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    lengths = torch.tensor([1.0, 2.0, 4.0])
    delta = somewhere(images, lengths, 0, norm)
    assert (images + delta).min() >= 0
    assert (images + delta).max() <= 1
    assert length(delta, norm).numpy() == pytest.approx(lengths.numpy(), rel=1e-5)
    alone = somewhere(images[1:2], lengths[1:2], 0, norm)
    assert torch.equal(delta[1:2], alone)
    assert not torch.equal(delta, somewhere(images, lengths, 1, norm))
