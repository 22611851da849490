"""Checkpoint files are read without running code, and refused with a reason when they cannot be."""

import pickle
import struct
import zipfile
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


def test_what_a_file_is_instead_is_said(net, tmp_path):
    (tmp_path / "a.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (tmp_path / "b.pth").write_bytes(b"<!DOCTYPE html><html></html>")
    (tmp_path / "c.safetensors").write_bytes(b"")
    torch.jit.script(net).save(tmp_path / "d.pth")
    said = {"a.pth": "a Git LFS pointer; run `git lfs pull`", "b.pth": "an HTML page",
            "c.safetensors": "empty; fetch it again", "d.pth": "a TorchScript archive"}  # fmt: skip
    for name, words in said.items():
        with pytest.raises(Refusal, match=f"{name} is damaged or none: it is {words}") as refusal:
            checkpoints.read(tmp_path / name)
        assert "\n" not in str(refusal.value)


def test_a_file_is_read_by_what_it_is_and_not_by_what_it_is_called(net, tmp_path):
    save_file(net.state_dict(), tmp_path / "w.bin")
    torch.save(net.state_dict(), tmp_path / "w.safetensors")
    for name in ("w.bin", "w.safetensors"):
        assert_same(checkpoints.read(tmp_path / name), net)


def test_a_small_archive_of_large_zeros_is_refused_before_it_is_unpacked(net, tmp_path):
    whole, bomb = tmp_path / "w.pth", tmp_path / "bomb.pth"
    torch.save({"a": torch.zeros(2_000_000)}, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(Refusal, match=r"bomb.pth is refused: it has .* and declares 7.6 MiB"):
        checkpoints.read(bomb)


def test_an_old_file_that_names_more_numbers_than_it_has_is_refused(tmp_path):
    file = tmp_path / "old.pth"
    torch.save({"a": torch.zeros(5000)}, file, _use_new_zipfile_serialization=False)
    assert checkpoints.read(file)["a"].shape == (5000,)
    one, other = b"M" + struct.pack("<H", 5000), b"J" + struct.pack("<i", 2**30)
    file.write_bytes(file.read_bytes().replace(one + b"Nt", other + b"Nt"))
    with pytest.raises(Refusal, match=r"old.pth is refused: it has .* and declares 1.0 GiB"):
        checkpoints.read(file)


def test_safetensors_that_claim_more_than_the_file_are_refused(tmp_path):
    file = tmp_path / "w.safetensors"
    header = b'{"a":{"dtype":"F32","shape":[100000,100000],"data_offsets":[0,40000000000]}}'
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(Refusal, match="is damaged"):
        checkpoints.read(file)
