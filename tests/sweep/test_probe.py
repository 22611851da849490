"""The probe counts the FLOPs that its network has, and leaves no trace in this process."""

import pytest
import torch
from torch import nn

from zoo_eval.sweep import probe


def by_hand() -> int:
    """FLOPs of the probe's network for one image of 112 px, two per multiply-add."""
    at_56, at_28 = 56 * 56, 28 * 28
    stem = 3 * 32 * 9 * at_56
    block_32 = (32 * 128 + 128 * 9 + 128 * 32) * at_56
    plain_32 = 32 * 32 * 9 * at_56
    down = 32 * 64 * 9 * at_28
    block_64 = (64 * 256 + 256 * 9 + 256 * 64) * at_28
    plain_64 = 64 * 64 * 9 * at_28
    return 2 * (stem + block_32 + plain_32 + down + block_64 + plain_64 + 64 * 1000)


def test_a_rate_is_the_networks_flops_over_the_median_of_its_runs(monkeypatch, one_thread):
    # Begun; three runs of 0.25, 0.5 and 0.25 s, and after each but the first a look whether it is over.
    read = iter([0.0, 0.0, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 1.0, 1.0])
    monkeypatch.setattr(probe.time, "perf_counter", lambda: next(read))
    assert probe._rate(torch.device("cpu"), 4, 112) == pytest.approx(4 * by_hand() / 0.25)


def test_its_network_is_what_it_is_said_to_be():
    kinds = [one for one in probe._net().modules() if isinstance(one, nn.Conv2d)]
    assert sum(one.groups > 1 for one in kinds) == 2
    assert sum(one.kernel_size == (1, 1) for one in kinds) == 4


def test_it_leaves_threads_and_random_numbers_as_they_were(monkeypatch, one_thread):
    monkeypatch.setattr(probe, "SECONDS", 0.0)
    probe.probed.cache_clear()
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    found = probe.probed(2)
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.rand(1), wanted)
    assert found.flops_per_s > 0
    assert found.how.startswith("probed here for a second on 2 CPU threads")
    assert probe.probed(2) is found
    probe.probed.cache_clear()
