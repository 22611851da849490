"""Arrays are what the file says, or one line: sizes that are claimed are checked before they are taken."""

import resource
import struct
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from zoo_eval.errors import BadInput
from zoo_eval.files import arrays

SOUND = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4, 2))),
    np.array(3.0),
    np.array(["a", "bb"]),
    np.array([b"x"]),
    np.zeros((0, 3)),
    np.arange(3, dtype=">f4"),
    np.array([True, False]),
]


@pytest.mark.parametrize("array", SOUND, ids=lambda one: f"{one.dtype}{one.shape}")
def test_arrays_are_read_as_they_were_saved(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "stored.npz", a=array, b=np.arange(3))
    np.savez_compressed(tmp_path / "deflated.npz", a=array)
    archives = [arrays.npz(tmp_path / f"{name}.npz") for name in ("stored", "deflated")]
    found = [arrays.npy(tmp_path / "a.npy"), *(one["a"] for one in archives)]
    for one in found:
        assert (one.dtype, one.shape) == (array.dtype, array.shape)
        assert_array_equal(one, array)


def header(shape, descr="<f8"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "shape", [(100_000, 100_000), (10**30,), (-1, 5), (2**62, 4), (3, -2, -2)], ids=str
)
@pytest.mark.parametrize("descr", ["<f8", "|V0", "<U0", "|u1"])
def test_a_claim_that_the_file_does_not_hold_allocates_nothing(tmp_path, shape, descr):
    path = tmp_path / "a.npy"
    path.write_bytes(header(shape, descr) + bytes(12))
    archive = tmp_path / "a.npz"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path, "rdm.npy")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput, match=r"a.npy (claims|is not an array)"):
        arrays.npy(path)
    with pytest.raises(BadInput, match=r"a.npz: array 'rdm' (claims|is not an array)"):
        arrays.npz(archive)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16


def test_a_small_archive_of_a_large_array_is_refused_within_the_budget(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(2**20))
    with pytest.raises(
        BadInput, match=r"would take 8.0 MiB, more than the 4.0 MiB of memory_budget"
    ):
        arrays.npz(tmp_path / "a.npz", 2**22)


def test_several_arrays_count_together(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(100), b=np.zeros(100))
    with pytest.raises(BadInput, match=r"array 'b': .* more than the 200 B of memory_budget"):
        arrays.npz(tmp_path / "a.npz", 1000)


def test_a_directory_that_claims_more_than_the_file_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(100))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 2**31)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"'a.npy' claims 2147483648 bytes, which the file cannot"):
        arrays.npz(tmp_path / "a.npz")


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b + b"\0" * 9, lambda b: b""])
def test_an_array_that_is_cut_off_or_goes_on_is_refused(tmp_path, damage):
    np.save(tmp_path / "a.npy", np.arange(5.0))
    (tmp_path / "a.npy").write_bytes(damage((tmp_path / "a.npy").read_bytes()))
    with pytest.raises(BadInput, match=r"a.npy (claims the shape|is not an array)"):
        arrays.npy(tmp_path / "a.npy")


def named_in_one_line(path, refusal):
    return path.name in str(refusal) and "\n" not in str(refusal)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_flipped_byte_of_an_archive_gives_the_array_or_one_line(tmp_path, save):
    array, path = np.arange(40.0), tmp_path / "a.npz"
    save(path, a=array)
    sound = path.read_bytes()
    n_refused = 0
    for at in range(len(sound)):
        content = bytearray(sound)
        content[at] ^= 0x41
        path.write_bytes(content)
        try:
            (found,) = arrays.npz(path).values()
            assert_array_equal(found, array)
        except BadInput as refusal:
            n_refused += named_in_one_line(path, refusal)
    # Dates, names and attributes are what may differ unnoticed.
    assert n_refused > 0.7 * len(sound)


def test_an_array_that_needs_code_is_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(BadInput, match=r"a.npy needs code to load, which is never run"):
        arrays.npy(tmp_path / "a.npy")


def test_another_file_is_told(tmp_path):
    (tmp_path / "a.npy").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "a.npz").write_text("<!doctype html><title>Sign in</title>")
    with pytest.raises(
        BadInput, match=r"a.npy is not an array of numbers .*: it is a Git LFS pointer"
    ):
        arrays.npy(tmp_path / "a.npy")
    with pytest.raises(BadInput, match=r"a.npz cannot be read .*: it is an HTML page"):
        arrays.npz(tmp_path / "a.npz")
