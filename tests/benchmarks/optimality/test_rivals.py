"""Every rival, through its adapter, on a linear problem whose exact minimum is known in each norm."""

import numpy as np
import pytest
import torch

from benchmarks.optimality.contenders import chosen, contenders
from benchmarks.optimality.counting import Watched, attacked
from benchmarks.optimality.rivals import ORDERS, least_radius, rivals
from zoo_eval.errors import BadInput

STEPS = 160
# These settle late in their schedule, or walk in steps of 0.001.
LONGER = {"adv-lib: pdgd": 400, "adv-lib: pdpgd": 400, "adv-lib: trust region": 1000}
LONGER["adv-lib: trust region, adaptive"] = 1000
# Attacks are shortened, and some stop at the first success: an adapter that asks for another norm, label
# or direction is off by more, or finds nothing.
BUDGET = 2000
FACTOR = {"l2": 1.6, "linf": 1.6, "l1": 2.5, "l0_values": 4.0}
MARGIN = 4.0
# The last class: of equals another wins, so that a point on the boundary counts.
LABEL = 11
GENERATOR = torch.Generator().manual_seed(0)
WEIGHTS = torch.randn(12, 192, generator=GENERATOR)
IMAGE = torch.rand(3, 8, 8, generator=GENERATOR) * 0.5 + 0.25
# The label is above every other class by the same margin.
BIAS = -WEIGHTS @ IMAGE.flatten() - MARGIN
BIAS[LABEL] += MARGIN


def linear(images):
    return images.flatten(1) @ WEIGHTS.T + BIAS


def exact(norm):
    """The nearest boundary of 12 linear classes in the box."""
    return min(_to(slopes, norm) for slopes in (WEIGHTS[:LABEL] - WEIGHTS[LABEL]).double().numpy())


def _to(slopes, norm):
    """Few large changes fill the box: the largest slopes first, and of l0 the largest gains."""
    if norm in ("l2", "linf"):
        return MARGIN / (np.linalg.norm(slopes) if norm == "l2" else np.abs(slopes).sum())
    pixels = IMAGE.double().flatten().numpy()
    room = np.where(slopes > 0, 1 - pixels, pixels)
    gains = np.abs(slopes) * room
    order = np.argsort(-(gains if norm == "l0_values" else np.abs(slopes)))
    reached = gains[order].cumsum()
    whole = int(np.searchsorted(reached, MARGIN))
    if norm == "l0_values":
        return whole + 1
    last = order[whole]
    before = reached[whole - 1] if whole else 0.0
    return room[order[:whole]].sum() + (MARGIN - before) / abs(slopes[last])


CASES = [
    next(again for again in rivals(norm, LONGER.get(one.name, STEPS)) if again.name == one.name)
    for norm in ORDERS
    for one in rivals(norm, STEPS)
]


@pytest.mark.parametrize("rival", CASES, ids=lambda one: f"{one.norm} {one.name}")
def test_a_rival_comes_near_the_exact_minimum(rival):
    torch.manual_seed(1)
    one = Watched(linear, IMAGE, LABEL, BUDGET)
    cost = attacked(one, rival.perturb)
    assert cost.error is None
    assert one.n_propagations <= BUDGET
    assert (
        exact(rival.norm) * (1 - 1e-5)
        <= one.least[rival.norm]
        <= FACTOR[rival.norm] * exact(rival.norm)
    )


def test_each_norm_has_its_record_holder_among_those_that_run_first():
    first = {one.norm: [] for one in CASES}
    for one in CASES:
        if one.on_imagenet:
            first[one.norm].append(one.name)
    assert "adv-lib: ddn" in first["l2"]
    assert "adv-lib: apgd_t, minimal" in first["linf"]
    assert "adv-lib: apgd-l1, minimal" in first["l1"]
    assert "adv-lib: sigma-zero" in first["l0_values"]


def test_the_least_radius_of_ten_that_succeeds():
    tried = []

    def run(images, labels, *, eps):
        tried.append(eps)
        return images + eps

    def logits(images):
        return torch.stack([images.new_full((len(images),), 3.3), images.flatten(1).mean(1)], 1)

    found = least_radius(run, logits, torch.zeros(1, 1, 1, 1), torch.tensor([0]), 1.0)
    assert tried[:3] == [1, 2, 4]
    assert len(tried) == 10
    assert 3.3 < float(found) <= 3.3 + 2 / 2**7


def test_ours_are_there_in_the_norms_they_have():
    assert {"ours: ensemble", "ours: perpendicular"} <= {one.name for one in contenders("l2")}
    linf = contenders("linf")
    assert "ours: ddn" not in [one.name for one in linf]
    assert [one.first for one in linf] == sorted((one.first for one in linf), reverse=True)


def test_a_norm_that_an_attack_has_not_is_refused_with_those_that_have_it():
    with pytest.raises(BadInput, match=r"'ours: ddn' does not search in linf; .*ours: ensemble"):
        chosen("linf", ["ours: ddn"])
