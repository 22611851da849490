"""What a step takes is told beforehand: by closed form, and as PyTorch's own allocations are counted."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from zoo_eval.harmonizer import memory
from zoo_eval.harmonizer.memory import Living, Parts
from zoo_eval.harmonizer.objective import Objective
from zoo_eval.harmonizer.optimisation import optimiser
from zoo_eval.harmonizer.run_file import TrainingSection
from zoo_eval.numerics.harmonization import Mismatch
from zoo_eval.transforms import Transform

SIDE = 32
HOW = TrainingSection()


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.Softplus(), nn.Conv2d(16, 16, 3, padding=1), nn.Softplus(),
        nn.Flatten(), nn.Linear(16 * SIDE**2, 10),
    )  # fmt: skip


def objective(weight):
    transform = Transform(SIDE, SIDE, "bilinear", (0.5,) * 3, (0.25,) * 3)
    return Objective(transform, weight, Mismatch(levels=3))


def test_memory_is_counted_once_for_as_long_as_it_lives():
    with Living() as living:
        first = torch.empty(1000, device="meta")
        view = first.view(10, 100)[2:]
        assert living.n_bytes == 4000
        second = first + 1
        assert living.n_bytes == 8000
        del first
        assert living.n_bytes == 8000
        del view, second
        assert living.n_bytes == 0
    assert living.most == 8000


def test_it_grows_by_the_images_and_not_by_more():
    parts = [Parts(n, (SIDE, SIDE)) for n in (4, 8, 16)]
    few, more, most = (memory.of_step(net(), objective(1.0), HOW, one) for one in parts)
    assert most - more == pytest.approx(2 * (more - few), rel=0.01)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_it_is_what_pytorch_allocates(weight):
    one, how, parts = net().train(), objective(weight), Parts(16, (SIDE, SIDE))
    told = memory.of_step(one, how, HOW, parts) - parts.ahead_bytes
    weights = sum(each.numel() for each in one.parameters()) * 4
    batch = [torch.zeros(each.shape, dtype=each.dtype) for each in vars(parts.batch()).values()]
    by = optimiser(one, HOW)
    for step in range(2):
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            by.zero_grad()
            torch.autograd.backward(
                how.of(one, type(parts.batch())(*batch), torch.device("cpu"))[0]
            )
            by.step()
        # Momenta exist from the first step on.
        held = weights * (1 + step) + sum(each.nbytes for each in batch)
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    at = sorted((e.start_ns(), e.nbytes()) for e in events)
    now = most = 0
    for _, n_bytes in at:
        now += n_bytes
        most = max(most, now)
    assert told == pytest.approx(held + most, rel=0.2)


def test_a_network_is_left_as_it_is():
    one = net().train()
    before = {name: each.clone() for name, each in one.state_dict().items()}
    memory.of_step(one, objective(1.0), HOW, Parts(2, (SIDE, SIDE)))
    assert all(torch.equal(before[name], each) for name, each in one.state_dict().items())
    assert all(each.grad is None for each in one.parameters())
