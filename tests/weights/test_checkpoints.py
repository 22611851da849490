"""Checkpoint files are read without running code, and refused with a reason when they cannot be."""

import pickle
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from zoo_eval.errors import Refusal
from zoo_eval.weights import checkpoints


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def assert_same(state, net):
    assert state.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert torch.equal(state[name], tensor)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3},
                                  lambda s: {"model": s}, lambda s: {"state_dict": {"model": s}}])  # fmt: skip
def test_wrappers_are_opened(net, tmp_path, wrap):
    torch.save(wrap(net.state_dict()), tmp_path / "w.pth")
    assert_same(checkpoints.read(tmp_path / "w.pth"), net)


def test_safetensors_are_read(net, tmp_path):
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    assert_same(checkpoints.read(tmp_path / "w.safetensors"), net)


def test_what_is_no_tensor_is_left_out(net, tmp_path):
    torch.save({**net.state_dict(), "epoch": 3}, tmp_path / "w.pth")
    assert_same(checkpoints.read(tmp_path / "w.pth"), net)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(Refusal, match="does not exist; correct `checkpoint`"):
        checkpoints.read(tmp_path / "w.pth")


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return open, (str(self.victim), "w")


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])  # fmt: skip
def test_a_file_that_needs_code_is_refused_and_its_code_not_run(tmp_path, save):
    victim = tmp_path / "victim"
    save({"a": Malicious(victim)}, tmp_path / "w.pth")
    with pytest.raises(Refusal, match="damaged or needs code to load; save it as safetensors"):
        checkpoints.read(tmp_path / "w.pth")
    assert not victim.exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("kept", [0, 1, 7, 100, 0.5, -1])
def test_a_truncated_file_is_refused(net, tmp_path, suffix, kept):
    whole, cut = tmp_path / f"w.{suffix}", tmp_path / f"cut.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(net.state_dict(), whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(Refusal, match=f"checkpoint .*cut.{suffix} is damaged"):
        checkpoints.read(cut)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html></html>", b"\x00" * 5000, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"])  # fmt: skip
def test_a_file_of_another_kind_is_refused(tmp_path, suffix, content):
    file = tmp_path / f"w.{suffix}"
    file.write_bytes(content)
    with pytest.raises(Refusal, match="is damaged"):
        checkpoints.read(file)


@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_a_file_with_wrong_bytes_is_read_or_refused_and_nothing_else(tmp_path, changes):
    # The old format is a row of pickles: wrong bytes there make the unpickler raise anything.
    file = tmp_path / "w.pth"
    torch.save({"a": torch.ones(3)}, file, _use_new_zipfile_serialization=False)
    content = bytearray(file.read_bytes())
    for place, value in changes:
        content[int(place * len(content))] = value
    file.write_bytes(content)
    # Anything but a Refusal fails this test.
    with suppress(Refusal):
        assert isinstance(checkpoints.read(file), dict)


def test_a_list_is_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "w.pth")
    with pytest.raises(Refusal, match="holds a list, not named tensors"):
        checkpoints.read(tmp_path / "w.pth")


def test_tensors_that_fit_are_not_refused(net, tmp_path):
    checkpoints.check(net.state_dict(), net, tmp_path)


def test_every_kind_of_misfit_is_named(net, tmp_path):
    state = net.state_dict()
    state["2.weight"] = state.pop("1.weight")
    state["0.bias"] = torch.zeros(7)
    with pytest.raises(
        Refusal,
        match=r"1 missing \(first: 1.weight\), 1 unexpected \(first: 2.weight\), "
        r"1 misshapen \(first: 0.bias\); set `keys` or correct `architecture`",
    ):
        checkpoints.check(state, net, tmp_path / "w.pth")
