"""MATLAB files whose sizes are not what they hold, which are cut off, or something else: one line."""

import struct
import zlib

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.io import savemat

from tests.recordings.rdm_files import mat73, rdms
from zoo_eval.errors import BadInput
from zoo_eval.recordings import rdm_file

N = 4


def read(path, most_bytes=2**31):
    return rdm_file.read(f"recording 'r': {path}", path, None, N, most_bytes).array


def saved(path, *, compressed):
    savemat(path, {"rdm": rdms()}, do_compression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_either_way_of_storing_is_read(tmp_path, compressed):
    assert_array_equal(read(saved(tmp_path / "r.mat", compressed=compressed)), rdms())


@pytest.mark.parametrize("compressed", [True, False])
def test_every_flipped_byte_and_every_cut_is_a_value_or_one_line(tmp_path, compressed):
    path = saved(tmp_path / "r.mat", compressed=compressed)
    sound = path.read_bytes()
    flips = [bytes([*sound[:at], sound[at] ^ 0x41, *sound[at + 1 :]]) for at in range(len(sound))]
    cuts = [sound[:at] for at in range(0, len(sound) - 1, 5)]
    refused = []
    for content in [*flips, *cuts]:
        path.write_bytes(content)
        try:
            found = read(path)
        except BadInput as refusal:
            told = str(refusal)
            refused.append("r.mat" in told and "\n" not in told)
        else:
            assert isinstance(found, np.ndarray)
            # A compressed variable has a checksum.
            assert not compressed or found.shape != rdms().shape or (found == rdms()).all()
    assert all(refused)
    assert len(refused) >= len(cuts)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\x1f\x8b\x08\x00" + bytes(90), "compressed by gzip"),
        (b"", "empty"),
        (bytes(300), "nothing but zeros"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".mat", ".npz"])
def test_another_file_is_told(tmp_path, content, kind, suffix):
    path = tmp_path / f"r{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        BadInput, match=rf"^recording 'r': .*r{suffix} cannot be read.* it is {kind}"
    ):
        read(path)


def test_variables_that_expand_beyond_the_budget_are_refused_unread(tmp_path):
    savemat(tmp_path / "r.mat", {"rdm": np.zeros((1000, 1000))}, do_compression=True)
    assert (tmp_path / "r.mat").stat().st_size < 20_000
    with pytest.raises(BadInput, match=r"r.mat: its variables would take 7.6 MiB, more than the 1.0 MiB"):  # fmt: skip
        read(tmp_path / "r.mat", 2**20)


@pytest.mark.parametrize("claimed", [8, 2**31])
def test_a_compressed_variable_that_claims_another_size_is_refused(tmp_path, claimed):
    path = saved(tmp_path / "r.mat", compressed=True)
    content = path.read_bytes()
    inner = zlib.decompress(content[136:])
    lying = zlib.compress(inner[:4] + struct.pack("<I", claimed) + inner[8:])
    path.write_bytes(content[:132] + struct.pack("<I", len(lying)) + lying)
    with pytest.raises(BadInput, match="does not hold what it claims"):
        read(path)


def test_a_sparse_variable_is_refused_with_what_to_do(tmp_path):
    savemat(tmp_path / "r.mat", {"rdm": sparse.csc_array(rdms()[0])})
    with pytest.raises(BadInput, match=r"'rdm' is sparse; save full\(rdm\)"):
        read(tmp_path / "r.mat")


def datasets(path, make):
    with h5py.File(path, "w") as file:
        make(file)
    return path


def test_a_dataset_that_was_never_written_is_no_zeros(tmp_path):
    path = datasets(tmp_path / "r.mat", lambda f: f.create_dataset("rdm", (10**5, 10**5), chunks=True))  # fmt: skip
    assert path.stat().st_size < 10_000
    with pytest.raises(BadInput, match=r"r.mat: /rdm claims 40000000000 bytes, and 0 are stored"):
        read(path)


def test_a_dataset_that_expands_beyond_the_budget_is_refused_unread(tmp_path):
    zeros = np.zeros((1000, 1000))
    path = datasets(
        tmp_path / "r.mat", lambda f: f.create_dataset("rdm", data=zeros, compression=9)
    )
    with pytest.raises(BadInput, match=r"r.mat: /rdm: it.* more than the 1.0 MiB of memory_budget"):
        read(path, 2**20)


def test_numbers_of_another_file_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(128))
    external = [(str(tmp_path / "secret"), 0, 128)]
    path = datasets(tmp_path / "r.mat", lambda f: f.create_dataset("rdm", (4, 4), "f8", external=external))  # fmt: skip
    with pytest.raises(BadInput, match=r"/rdm is kept in another file"):
        read(path)
    mat73(tmp_path / "other.mat", rdm=rdms())

    def linked(file):
        file["rdm"] = h5py.ExternalLink(str(tmp_path / "other.mat"), "rdm")

    with pytest.raises(BadInput, match="holds 0 variables"):
        read(datasets(tmp_path / "r.mat", linked))


def test_cells_by_reference_count_too(tmp_path):
    path = mat73(tmp_path / "r.mat", rdm=rdms())
    with h5py.File(path, "r+") as file:
        large = file.create_dataset("#refs#/large", (10**5, 10**5), chunks=True)
        cell = file.create_dataset("ids", (1, 1), h5py.ref_dtype)
        cell[0, 0] = large.ref
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    with pytest.raises(BadInput, match=r"/#refs#/large claims"):
        read(path)


def test_a_table_of_text_counts_too(tmp_path):
    (tmp_path / "r.csv").write_text("\n".join(["0,1,2,3"] * 4))
    with pytest.raises(BadInput, match=r"r.csv: a table of text would take .*; save it as .npz"):
        read(tmp_path / "r.csv", 100)
