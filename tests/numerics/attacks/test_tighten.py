"""What is stored is float16, inside [0, 1], and verified as stored."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.rounding import TIGHTENED
from zoo_eval.numerics.attacks.conformance import ROUNDING
from zoo_eval.numerics.attacks.problems import Linear, classifier, interior
from zoo_eval.numerics.attacks.tighten import BISECTIONS, storable, tighten


def distances(minimal):
    """l2 of the stored perturbations, float64 (image,)."""
    return minimal.perturbation.double().flatten(1).norm(dim=1)


SHAPE = (2, 3, 4, 4)
pixels = arrays(
    np.float32,
    SHAPE,
    elements=st.one_of(
        st.floats(0, 1, width=32), st.sampled_from([0, 1, 2**-24, 2**-126, 1 - 2**-24])
    ),
)
deltas = arrays(np.float32, SHAPE, elements=st.floats(-2, 2, width=32))


@given(pixels, deltas)
def test_storable_perturbations_never_leave_the_box(images, delta):
    images, delta = torch.from_numpy(images), torch.from_numpy(delta)
    stored = storable(images, delta)
    assert stored.dtype == torch.float16
    perturbed = images + stored.float()
    assert perturbed.min() >= 0
    assert perturbed.max() <= 1


@given(pixels, deltas)
def test_storable_perturbations_are_the_clipped_ones_to_float16(images, delta):
    images, delta = torch.from_numpy(images), torch.from_numpy(delta)
    wanted = (images + delta).clamp(0, 1) - images
    error = (storable(images, delta).float() - wanted).abs()
    # One float16 step (11 bits, 2^-24 at the least), or the pixel left alone at the very bound.
    assert (error <= wanted.abs() * 2.0**-10 + 2.0**-23).all()


def test_success_and_distance_are_those_of_the_float32_image_plus_what_is_stored():
    images = interior(32)
    model = classifier(5, images)
    labels = model(images).argmax(1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    minimal = tighten(model, images, (images + 0.3 * noise).clamp(0, 1), labels)
    recomputed = (images + minimal.perturbation.float()).flatten(1)
    prediction = (recomputed @ model.weights.T + model.bias).argmax(1)
    assert minimal.perturbation.dtype == torch.float16
    assert torch.equal(minimal.prediction, prediction)
    assert torch.equal(minimal.found, prediction != labels)
    assert minimal.found.any()


def test_candidates_that_fail_are_not_found():
    images = interior(8)
    model = classifier(2, images)
    labels = model(images).argmax(1)
    weak = images + (torch.rand(images.shape) - 0.5) * 1e-7
    minimal = tighten(model, images, weak, labels)
    assert not minimal.found.any()
    assert torch.equal(minimal.prediction, labels)


def test_a_success_that_float16_cannot_hold_is_not_found():
    # Two float32 steps on one dark pixel cross the boundary; float16 has no perturbation so small.
    images = torch.full((1, 3, 2, 2), 0.1)
    candidates = images.clone()
    candidates[0, 0, 0, 0] += 1.5e-8
    model = Linear(torch.tensor([[1.0], [-1.0]]) * 1e8, torch.zeros(2))

    def logits(batch):
        brighter = (batch[:, 0, 0, 0] - images[0, 0, 0, 0])[:, None] - 1e-8
        return model(brighter)

    labels = logits(images).argmax(1)
    assert logits(candidates).argmax(1) != labels
    minimal = tighten(logits, images, candidates, labels)
    assert not minimal.found
    assert torch.equal(minimal.prediction, labels)


def test_a_mixed_batch_is_judged_image_by_image():
    images = interior(2)
    model = classifier(2, images)
    labels = model(images).argmax(1)
    normal = (model.weights[labels] - model.weights[1 - labels]).reshape(images.shape)
    candidates = (images - 0.2 * normal).clamp(0, 1)
    candidates[1] = images[1]
    assert tighten(model, images, candidates, labels).found.tolist() == [True, False]


@pytest.mark.parametrize("overshoot", [1.001, 1.5, 4.0])
def test_bisection_stops_at_the_boundary(overshoot):
    # Along the exact normal the boundary is the minimum, wherever beyond it the candidate lies.
    images = interior(16)
    model = classifier(2, images)
    labels, minimum = model(images).argmax(1), model.minimum(images, model(images).argmax(1), "l2")
    normal = model.weights[labels] - model.weights[1 - labels]
    step = (minimum * overshoot).float()[:, None] * normal / normal.norm(dim=1, keepdim=True)
    minimal = tighten(model, images, images - step.reshape(images.shape), labels)
    assert minimal.found.all()
    found = distances(minimal)
    # The bisection's last interval, plus float16 (2^-11 of each value, and nudges of 2^-12).
    assert (found <= minimum * (1 + overshoot * 2.0**-BISECTIONS + 2.0**-9) + ROUNDING).all()
    assert (found >= minimum - ROUNDING).all()


@given(st.integers(0, 10**6), st.floats(1e-4, 0.3))
@example(
    seed=11435, size=0.06239447310319279
)  # a tie: rounding may tip a failure over the boundary
def test_whatever_succeeded_is_still_found_after_rounding(seed, size):
    images = interior(4, seed=seed)
    model = classifier(3, images, seed=seed)
    labels = model(images).argmax(1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    candidates = (images + size * noise).clamp(0, 1)
    succeeded = model(candidates).argmax(1) != labels
    assert (tighten(model, images, candidates, labels).found | ~succeeded).all()


def test_tightening_never_lengthens_a_candidate_beyond_its_nudges():
    images = interior(32)
    model = Linear(torch.randn(4, 192, generator=torch.Generator().manual_seed(0)), torch.zeros(4))
    labels = model(images).argmax(1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    candidates = (images + 0.3 * noise).clamp(0, 1)
    length = (candidates - images).double().flatten(1).norm(dim=1)
    minimal = tighten(model, images, candidates, labels)
    assert (distances(minimal) <= length * 1.02).all()
    assert (distances(minimal)[minimal.found] < length[minimal.found]).all()


def test_in_linf_the_largest_values_are_cut_and_the_others_kept():
    images = interior(8)
    model = classifier(2, images)
    labels = model(images).argmax(1)
    minimum = model.minimum(images, labels, "linf")
    sign = (model.weights[labels] - model.weights[1 - labels]).sign().reshape(images.shape)
    # Some values overshoot far, the others reach just beyond the minimum: cutting finds it exactly.
    uneven = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) * 0.2
    step = minimum.float()[:, None, None, None] * 1.01 + uneven
    minimal = tighten(model, images, (images - step * sign).clamp(0, 1), labels, "linf")
    assert minimal.found.all()
    found = minimal.perturbation.double().abs().flatten(1).amax(1)
    # The last bisection's interval, of the longest candidate.
    torch.testing.assert_close(found, minimum, rtol=TIGHTENED, atol=0.25 * 2.0**-BISECTIONS)
