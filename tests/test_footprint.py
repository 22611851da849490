"""What Gram matrices take is known before the run, held, and refused where it is too much."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.profiler import ProfilerActivity, profile

from tests.planted_nets import noise, opened
from zoo_eval.errors import Refusal
from zoo_eval.footprint import Request, Slice, passes, peak_bytes, result_bytes
from zoo_eval.representations import Representations

PLENTY = 2**40
sizes = st.dictionaries(st.text(min_size=1), st.integers(1, 50), min_size=1, max_size=6)


@given(sizes, st.integers(1, 12), st.integers(1, 5), st.integers(0, 4000))
def test_every_feature_is_held_once_within_the_budget(n_features, n_stimuli, batch, spare):
    request = Request(n_features, n_stimuli, batch)
    budget = peak_bytes(request, 1, 1) + spare
    plan = passes(request, budget)
    width = max(sum(part.n_features for part in group) for group in plan.groups)
    assert peak_bytes(request, plan.n_held, width) <= plan.peak_bytes <= budget
    for layer, n in n_features.items():
        parts = [part for group in plan.groups for part in group if part.layer == layer]
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))


@given(sizes, st.integers(1, 12), st.integers(1, 5), st.integers(0, 4000))
def test_no_other_choice_within_the_budget_needs_fewer_images(n_features, n_stimuli, batch, spare):
    request = Request(n_features, n_stimuli, batch)
    budget = peak_bytes(request, 1, 1) + spare
    whole = sum(n_features.values())
    fewest = min(
        math.ceil(whole / width) * sum(n_stimuli - start for start in range(0, n_stimuli, n_held))
        for n_held in range(1, n_stimuli + 1)
        for width in range(1, whole + 1)
        if peak_bytes(request, n_held, width) <= budget
    )
    assert passes(request, budget).n_images == fewest


@pytest.mark.parametrize("share", [1, 2, 3, 4, 6, 10])
def test_a_share_of_the_memory_takes_no_more_passes_than_its_inverse(share):
    # A ResNet-50's blocks at 224 pixels, and 400 stimuli.
    n_features = {f"block {i}": n for i, n in enumerate(
        [802_816] * 3 + [401_408] * 4 + [200_704] * 6 + [100_352] * 3)}  # fmt: skip
    request = Request(n_features, 400, 32)
    whole = passes(request, PLENTY)
    assert whole.n_passes == 1
    feature_bytes = 400 * 4 * sum(n_features.values())
    budget = whole.peak_bytes // share
    plan = passes(request, budget)
    assert plan.n_passes <= math.ceil(feature_bytes / budget)
    assert 0.9 * budget < plan.peak_bytes <= budget


def test_gram_matrices_beyond_the_budget_are_refused_with_the_figure():
    request = Request({"a": 10, "b": 10}, 1000, 32)
    results = 2 * (1000 * 1000 + 2 * 1000) * 8
    assert result_bytes(request) == results
    with pytest.raises(
        Refusal, match=r"2 Gram matrices of 1000 stimuli take 15\.3 MiB.*15\.0 MiB; raise"
    ):
        passes(request, 15 * 2**20)


def test_a_budget_below_one_feature_is_refused_with_the_figure():
    request = Request({"a": 3}, 10, 4)
    least = peak_bytes(request, 1, 1)
    plan = passes(request, least)
    assert plan.groups == tuple((Slice("a", i, i + 1),) for i in range(3))
    assert plan.n_held == 1
    with pytest.raises(Refusal, match=rf"at least {least / 1024:.1f} KiB, more than memory_budget"):
        passes(request, least - 1)


def test_sketches_are_held_for_fewer_stimuli_at_a_time_but_never_cut():
    request = Request({"a": 1000, "b": 10}, 20, 4, sketch=64)
    whole = passes(request, PLENTY)
    plan = passes(request, whole.peak_bytes - 1)
    assert (whole.n_passes, plan.n_held, len(plan.groups)) == (1, 19, 1)
    least = peak_bytes(request, 1, 1010)
    assert passes(request, least).n_held == 1
    with pytest.raises(Refusal, match="take at least"):
        passes(request, least - 1)


def wide():
    """Planted: layers of 30,720 and 12,288 features, of which no other copy is made."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 30, 1), nn.Conv2d(30, 12, 1), nn.Flatten(),
                         nn.Linear(12_288, 2))  # fmt: skip


def allocated_bytes(work):
    """The most that torch had allocated at once in `work`, on top of what it had before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        kept = work()  # noqa: F841  # freeing what it returns is not part of the work
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


@pytest.mark.parametrize(
    ("share", "sketch"), [(1, None), (0.5, None), (0.25, None), (1, 8192), (0.5, 8192)]
)
def test_the_peak_is_as_predicted(share, sketch, one_thread):
    stimuli, layers = noise(120, px=32), ["0", "1"]
    model = opened(wide(), input_px=32)
    model.batch_size = 4
    representations = Representations(model, PLENTY)
    shapes = representations.shapes(stimuli, layers)
    whole = representations.footprint(shapes, 120, sketch=sketch).peak_bytes
    budget = int(share * whole)
    representations = Representations(model, budget)
    plan = representations.footprint(shapes, 120, sketch=sketch)
    bare = allocated_bytes(lambda: model.predict(stimuli.images))
    model.n_passes = 0
    most = allocated_bytes(lambda: representations.grams(stimuli, layers, sketch=sketch)) - bare
    assert 0.8 * plan.peak_bytes <= most <= plan.peak_bytes <= budget
    # One image for the shapes, and four for the offset.
    assert model.n_passes == 1 + 4 + plan.n_images
