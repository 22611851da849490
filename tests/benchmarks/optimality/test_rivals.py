"""Every rival, through its adapter, on a linear problem whose exact minimum is known in each norm."""

import pytest
import torch

from benchmarks.optimality.contenders import chosen, contenders
from benchmarks.optimality.counting import Watched, attacked
from benchmarks.optimality.rivals import ORDERS, least_radius, rivals
from zoo_eval.errors import BadInput

STEPS = 100
BUDGET = 2 * STEPS
# An attack shortened tenfold, and some that stop at the first success: an adapter that asks for another
# norm, label or direction is off by more, or finds nothing.
FACTOR = {"l2": 1.6, "linf": 1.6, "l1": 3.0, "l0_values": 8.0}
torch.manual_seed(0)
WEIGHTS = torch.randn(12, 3, 8, 8)
WEIGHTS[0] = 0
IMAGE = torch.rand(3, 8, 8) * 0.5 + 0.25
# Class 0 by a margin that one value's change can overcome.
LOGITS_AT = (WEIGHTS * IMAGE).sum((1, 2, 3))
BIAS = -LOGITS_AT - 0.12
BIAS[0] = 0


def linear(images):
    return images.flatten(1) @ WEIGHTS.flatten(1).T + BIAS


def exact(norm):
    """The nearest boundary of 12 linear classes; the box, 0.25 away, is not reached."""
    flat = WEIGHTS[1:].double().flatten(1)
    slopes = {
        "l2": flat.norm(dim=1), "linf": flat.abs().sum(1), "l1": flat.abs().amax(1),
    }  # fmt: skip
    return 1.0 if norm == "l0_values" else float((0.12 / slopes[norm]).min())


CASES = [one for norm in ORDERS for one in rivals(norm, STEPS)]


@pytest.mark.parametrize("rival", CASES, ids=lambda one: f"{one.norm} {one.name}")
def test_a_rival_comes_near_the_exact_minimum(rival):
    torch.manual_seed(1)
    one = Watched(linear, IMAGE, 0, BUDGET)
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
