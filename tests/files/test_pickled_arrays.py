"""Pickled dicts of arrays are read without running anything, or refused in one line."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy_format
from numpy.testing import assert_array_equal

from zoo_eval.errors import BadInput
from zoo_eval.files import pickled_arrays
from zoo_eval.files.pickled_arrays import Span

PLANTED = {
    "large": np.random.default_rng(0).standard_normal((40, 3, 90)),
    "by columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "big-endian": np.arange(5, dtype=">i4"),
    "text": np.array(["a", "bä"]),
    "truths": np.array([True, False]),
}
OTHERS = {
    "list": ["Pz", "Ö1"],
    "float": np.float64(3.5),
    "tuple": (1, True, -5, 2**70),
    "none": None,
}


def saved(path, held, protocol=4):
    """As numpy.save does it, by any protocol."""
    array = np.empty((), object)
    array[()] = held
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        npy_format.write_array_header_1_0(file, header)
        pickle.dump(array, file, protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", [1, 2, 3, 4])
def test_arrays_text_and_numbers_are_read(tmp_path, protocol):
    found = pickled_arrays.npy_dict(saved(tmp_path / "a.npy", PLANTED | OTHERS, protocol))
    for key, array in PLANTED.items():
        assert_array_equal(found[key].all(), array)
        assert found[key].dtype == array.dtype
    assert {key: found[key] for key in OTHERS} == OTHERS


def test_numpy_writes_such_a_file(tmp_path):
    np.save(tmp_path / "a.npy", PLANTED)
    found = pickled_arrays.npy_dict(tmp_path / "a.npy")
    assert_array_equal(found["large"].all(), PLANTED["large"])


def test_values_stay_in_the_file_and_rows_are_read_alone(tmp_path):
    found = pickled_arrays.npy_dict(saved(tmp_path / "a.npy", PLANTED))
    assert isinstance(found["large"].values, Span)
    assert_array_equal(found["large"].rows(7, 9), PLANTED["large"][7:9])
    assert_array_equal(found["by columns"].rows(1, 3), PLANTED["by columns"][1:3])
    assert isinstance(
        pickled_arrays.npy_dict(tmp_path / "a.npy", most_bytes=2**17)["large"].values, Span
    )


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("held", "name"),
    [
        ({"a": Path("x")}, "pathlib"),
        ({"a": OrderedDict()}, "collections.OrderedDict"),
        ({"a": len}, "builtins.len"),
        ({"a": {1, 2}}, "other than these|builtins.set"),
    ],
    ids=str,
)
def test_any_other_name_is_said_and_refused(tmp_path, held, name):
    with pytest.raises(BadInput, match=name) as caught:
        pickled_arrays.npy_dict(saved(tmp_path / "a.npy", held))
    assert str(tmp_path / "a.npy") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_run(tmp_path):
    path = saved(tmp_path / "a.npy", {"a": Runs(tmp_path / "ran")})
    with pytest.raises(BadInput, match="is never run"):
        pickled_arrays.npy_dict(path)
    assert not (tmp_path / "ran").exists()


def test_allowed_names_are_called_as_numpy_does_alone(tmp_path):
    # ndarray((10**12,)) would take all memory there is.
    content = b"\x80\x04cnumpy\nndarray\n(J\xff\xff\xff\x7ftR."
    with pytest.raises(BadInput, match="in another way than NumPy"):
        pickled_arrays.npy_dict(raw(tmp_path / "a.npy", content))


def raw(path, content):
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        npy_format.write_array_header_1_0(file, header)
        file.write(content)
    return path


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x80\x04N.", "holds no dict"),
        (b"\x80\x04}.", "holds no dict"),
        (b"\x80\x04}.x", "more than its pickle"),
        (b"\x80\x04}", "cut off"),
        (b"\x80\x04B\xff\xff\xff\x7f.", "cut off"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "cut off"),
        (b"\x80\x04h\x07.", "KeyError"),
        (b"\x80\x04t.", "no pickle"),
        (b"\x80\x04}a.", "no pickle"),
        (b"\x80\x04P1\n.", "instruction PERSID"),
        (b"\x80\x04\xfe.", "no pickle"),
    ],
)
def test_nonsense_is_one_line(tmp_path, content, match):
    with pytest.raises(BadInput, match=match):
        pickled_arrays.npy_dict(raw(tmp_path / "a.npy", content))


def test_what_many_instructions_make_must_fit(tmp_path):
    path = raw(tmp_path / "a.npy", b"\x80\x04(" + b"}" * 10_000 + b"l.")
    with pytest.raises(BadInput, match=r"more than the 1\.0 MiB of memory_budget"):
        pickled_arrays.npy_dict(path, most_bytes=2**20)


def test_an_array_must_hold_what_it_claims(tmp_path):
    path = saved(tmp_path / "a.npy", {"a": np.zeros(300)})
    content = path.read_bytes()
    assert content.count(b"M\x2c\x01") == 1  # its length, as two bytes
    path.write_bytes(content.replace(b"M\x2c\x01", b"M\x2d\x01"))
    with pytest.raises(BadInput, match=r"an array \(301,\) of float64 holds 2400 of 2408"):
        pickled_arrays.npy_dict(path)


@pytest.mark.parametrize("array", [np.zeros(3), np.array([{}, {}], dtype=object)], ids=str)
def test_an_array_that_is_no_dict_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(BadInput, match="no dict"):
        pickled_arrays.npy_dict(tmp_path / "a.npy")
