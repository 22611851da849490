"""Tensors under a network's names: what is missing, left over or no number is named."""

from pathlib import Path

import pytest
import torch
from torch import nn

from zoo_eval.errors import Refusal
from zoo_eval.weights.fitting import fitted
from zoo_eval.weights.wrappers import Chosen

FILE = Path("w.pth")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def fit(state, net, **options):
    return fitted(Chosen(state, "", ""), net, FILE, **options)


def assert_loads(state, net, expected):
    net.load_state_dict(state, strict=True)
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


def test_tensors_that_fit_are_those_of_the_file(net):
    assert_loads(fit(net.state_dict(), net), net, net.state_dict())


def test_counters_that_are_absent_are_zero(net):
    net[1].num_batches_tracked += 7
    state = {k: v for k, v in net.state_dict().items() if k != "1.num_batches_tracked"}
    assert fit(state, net)["1.num_batches_tracked"] == 0
    assert fit(net.state_dict(), net)["1.num_batches_tracked"] == 7


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "net.", "network.",
                                    "module._orig_mod.", "_orig_mod.module.", "model.module."])  # fmt: skip
def test_prefixes_of_wrappers_are_taken_off(net, prefix):
    state = {prefix + name: tensor for name, tensor in net.state_dict().items()}
    assert_loads(fit(state, net), net, net.state_dict())


def test_a_network_with_such_a_part_keeps_its_names(net):
    whole = nn.Module()
    whole.model = net
    assert_loads(fit(whole.state_dict(), whole), whole, whole.state_dict())


def test_what_torch_averages_by_is_read(net):
    averaged = torch.optim.swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    assert_loads(fit(averaged.state_dict(), net), net, net.state_dict())


def test_left_over_tensors_are_listed_and_load_once_they_are_named(net):
    extra = {f"head.{i}[x]": torch.zeros(2) for i in range(5)}
    state = {**net.state_dict(), **extra}
    with pytest.raises(
        Refusal,
        match=r"it has 5 unexpected \(first: head.0\[x\], head.1\[x\], head.2\[x\], ...\); "
        r'ignore = \["head.0\[x\]", ...\] leaves them out',
    ):
        fit(state, net)
    assert_loads(fit(state, net, ignore=("head.*",)), net, net.state_dict())
    with pytest.raises(Refusal, match=r"4 unexpected \(first: head.1"):
        fit(state, net, ignore=("head.0[x]",))
    # What the network has is not left out.
    assert_loads(fit(state, net, ignore=("*",)), net, net.state_dict())


def test_every_kind_of_misfit_is_named(net):
    state = net.state_dict()
    state["3.weight"] = state.pop("2.weight")
    state["0.bias"] = torch.zeros(7)
    with pytest.raises(
        Refusal,
        match=r"1 missing \(first: 2.weight\), 1 unexpected \(first: 3.weight\), "
        r"1 misshapen \(first: 0.bias\); set `keys` or correct `architecture`",
    ):
        fit(state, net)


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("0.bias", torch.zeros(4, dtype=torch.int8), "0.bias holds int8, as a quantised network does"),
        ("0.bias", torch.zeros(4, dtype=torch.complex64), "0.bias holds complex64"),
        ("0.bias", torch.zeros(4).to_sparse(), "0.bias is sparse_coo, no plain tensor"),
    ],
)  # fmt: skip
def test_what_is_no_weight_is_refused(net, name, tensor, said):
    with pytest.raises(Refusal, match=f"checkpoint w.pth: .*{said}"):
        fit({**net.state_dict(), name: tensor}, net)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_what_is_quantised_is_refused(net):
    weight = torch.quantize_per_tensor(torch.zeros(4, 3), 1.0, 0, torch.qint8)
    with pytest.raises(Refusal, match=r"0.weight is quantised, no plain tensor"):
        fit({**net.state_dict(), "0.weight": weight}, net)


def test_half_precision_loads(net):
    assert (
        fit({k: v.half() for k, v in net.state_dict().items()}, net)["0.bias"].dtype == torch.half
    )
