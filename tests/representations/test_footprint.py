"""What Gram matrices take is known before the run, held, and refused where it is too much."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.profiler import ProfilerActivity, profile

from tests.planted_nets import noise, opened
from zoo_eval.errors import Refusal
from zoo_eval.numerics.gram import effective_dim
from zoo_eval.representations.footprint import GramRequest, Slice, gram_bytes, passes, peak_bytes
from zoo_eval.representations.representations import Representations

PLENTY = 2**40
sizes = st.dictionaries(st.text(min_size=1), st.integers(1, 50), min_size=1, max_size=6)


@given(sizes, st.integers(1, 12), st.integers(1, 5), st.integers(0, 4000))
def test_every_feature_is_held_once_within_the_budget(n_features, n_stimuli, batch, spare):
    request = GramRequest(n_features, n_stimuli, batch)
    budget = peak_bytes(request, 1, 1) + spare
    plan = passes(request, budget)
    width = max(sum(part.n_features for part in group) for group in plan.groups)
    assert peak_bytes(request, plan.n_held, width) <= plan.peak_bytes <= budget
    for layer, n in n_features.items():
        parts = [part for group in plan.groups for part in group if part.layer == layer]
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))


@given(sizes, st.integers(1, 12), st.integers(1, 5), st.integers(0, 4000))
def test_no_other_choice_within_the_budget_needs_fewer_images(n_features, n_stimuli, batch, spare):
    request = GramRequest(n_features, n_stimuli, batch)
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
    request = GramRequest(n_features, 400, 32)
    whole = passes(request, PLENTY)
    assert whole.n_passes == 1
    feature_bytes = 400 * 4 * sum(n_features.values())
    budget = whole.peak_bytes // share
    plan = passes(request, budget)
    assert plan.n_passes <= math.ceil(feature_bytes / budget)
    assert 0.9 * budget < plan.peak_bytes <= budget


@pytest.mark.parametrize("sketch", [None, 4])
def test_a_gram_matrix_beyond_the_budget_is_refused_with_the_figure(sketch):
    request = GramRequest({"a": 10, "b": 10}, 1000, 32, sketch)
    # One of 1000 x 1000 float64 at a time, of each layer two vectors, and a twentieth for the heap.
    least = 8 * (1000 * 1000 + 2 * 2 * 1000) * 21 // 20
    assert gram_bytes(1000) == 8_000_000
    assert passes(request, least).peak_bytes == least
    with pytest.raises(
        Refusal,
        match=r"of 2 layers at 1000 stimuli, 32 at a time, take at least 8\.0 MiB, more than "
        r"memory_budget of 7\.0 MiB; raise it, or",
    ):
        passes(request, 7 * 2**20)


def test_work_on_a_gram_matrix_beyond_the_budget_is_refused_with_the_figure():
    request = GramRequest({"a": 10}, 1000, 32, after_bytes=3 * gram_bytes(1000))
    least = 8 * (4 * 1000 * 1000 + 2 * 1000) * 21 // 20
    plan = passes(request, least)
    assert plan.peak_bytes == least
    assert plan.n_passes == 1
    with pytest.raises(
        Refusal,
        match=r"what is made of a Gram matrix of 1000 stimuli takes 32\.1 MiB at once, more than "
        r"memory_budget of 32\.0 MiB; raise it, or",
    ):
        passes(request, 2**25)


def test_more_layers_take_more_disk_and_next_to_no_more_memory():
    few, many = (GramRequest({f"{i}": 900 for i in range(n)}, 2000, 32) for n in (1, 50))
    least = passes(few, 40 * 2**20)
    assert passes(many, 40 * 2**20).peak_bytes <= 40 * 2**20
    assert least.disk_bytes == 2000 * 2000 * 8
    assert passes(many, 2**30).disk_bytes == 50 * 2000 * 2000 * 8
    sketched = GramRequest({"a": 100_000, "b": 10}, 2000, 32, sketch=512)
    assert passes(sketched, 2**30).disk_bytes == 2 * 2000 * 2000 * 8 + 2000 * (512 * 2 + 10 * 4)


def test_a_budget_below_one_feature_is_refused_with_the_figure():
    request = GramRequest({"a": 3}, 4, 4)
    least = peak_bytes(request, 1, 1)
    plan = passes(request, least)
    assert plan.groups == tuple((Slice("a", i, i + 1),) for i in range(3))
    assert plan.n_held == 1
    with pytest.raises(Refusal, match=rf"at least {least} B, more than memory_budget"):
        passes(request, least - 1)


def test_sketches_take_one_pass_with_any_budget():
    # As many features as a ResNet-50's blocks have: 70 GB at 3,200 stimuli.
    request = GramRequest({f"{i}": 344_960 for i in range(16)}, 3200, 32, sketch=16_384)
    whole = passes(request, PLENTY)
    assert (whole.n_passes, whole.n_held, len(whole.groups)) == (1, 3200, 1)
    least = peak_bytes(request, 1, 16 * 344_960)
    assert least < 2**27
    for budget in (whole.peak_bytes - 1, (whole.peak_bytes + least) // 2, least):
        plan = passes(request, budget)
        assert (plan.n_passes, len(plan.groups)) == (1, 1)
        assert plan.peak_bytes <= budget
    with pytest.raises(Refusal, match="take at least"):
        passes(request, least - 1)


def test_fewer_sketches_are_held_with_less_memory():
    request = GramRequest({"a": 100_000, "b": 10}, 400, 4, sketch=8192)
    whole = passes(request, PLENTY).peak_bytes
    held = [passes(request, whole - spared).n_held for spared in (0, 1, whole // 2)]
    assert held[0] == 400
    fitting = [m for m in range(1, 400) if peak_bytes(request, m, 100_010) < whole]
    assert held[1] == fitting[-1] == len(fitting)
    assert 1 <= held[2] < 200


class Steep(nn.Module):
    """Planted: at a few pixels a hundred times what it is given."""

    def forward(self, x):
        """(image, channel, row, column)."""
        scale = torch.ones(x.shape[2:])
        scale[::16, ::16] = 100
        return x * scale


def wide():
    """Planted: layers of 30,720 and 12,288 features, of which no other copy is made.

    A few features are large, so that they take all that there is to take for them.
    """
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Conv2d(3, 30, 1), Steep()), nn.Conv2d(30, 12, 1),
                         nn.Flatten(), nn.Linear(12_288, 2))  # fmt: skip


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
    ("share", "sketch"), [(1, None), (0.5, None), (0.25, None), (1, 8192), (0.7, 8192)]
)
def test_the_peak_is_as_predicted(share, sketch, one_thread):
    stimuli, layers = noise(120, px=32), ["0", "1"]
    model = opened(wide(), input_px=32)
    model.batch_size = 2
    representations = Representations(model, PLENTY)
    shapes = representations.shapes(stimuli, layers)
    whole = representations.footprint(shapes, 120, sketch=sketch).peak_bytes
    budget = int(share * whole)
    representations = Representations(model, budget)
    plan = representations.footprint(shapes, 120, sketch=sketch)
    bare = allocated_bytes(lambda: model.predict(stimuli.images))
    model.n_passes = 0
    work = partial(representations.grams, stimuli, layers, sketch=sketch)
    most = allocated_bytes(work) - bare
    assert 0.8 * plan.peak_bytes <= most <= plan.peak_bytes <= budget
    # One image for the shapes, and four for the offset.
    assert model.n_passes == 1 + 4 + plan.n_images


def test_gram_matrices_beyond_the_budget_together_are_handed_out_one_at_a_time(one_thread):
    n, layers = 700, [str(i) for i in range(8)]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), *[nn.Linear(192, 192) for _ in range(7)])
    stimuli, model = noise(n), opened(net)
    budget = gram_bytes(n) * 5 // 4
    representations = Representations(model, budget)

    def effective_dims():
        return [
            effective_dim(gram.gram) for gram in representations.grams(stimuli, layers).values()
        ]

    def one():
        return effective_dim(torch.eye(n, dtype=torch.float64))

    bare = allocated_bytes(lambda: model.predict(stimuli.images))
    assert allocated_bytes(lambda: representations.grams(stimuli, layers)) - bare <= budget
    alone = allocated_bytes(one)
    assert allocated_bytes(effective_dims) <= alone + 0.01 * gram_bytes(n)
