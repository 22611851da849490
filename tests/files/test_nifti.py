"""NIfTI images are read volume by volume and to their last byte, or refused in one line."""

import gzip
import struct

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.recordings.voxel_files import nifti as write
from zoo_eval.errors import BadInput
from zoo_eval.files import nifti

GRID = (3, 4, 5)


def planted(dtype="f4", volumes=2):
    rng = np.random.default_rng(0)
    return (50 * rng.standard_normal((*GRID, volumes))).astype(dtype)


def read(path, places=None):
    found = nifti.opened(path)
    volumes = list(found.volumes(places))
    shape = found.grid if places is None else (len(places),)
    return np.stack([one.reshape(shape, order="F") for one in volumes], -1)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["i2", "f4", "f8", "u1", "i4"])
def test_values_are_those_that_were_stored(tmp_path, name, version, order, dtype):
    array = np.abs(planted()).astype(dtype)
    path = write(tmp_path / name, array, version=version, order=order)
    found = read(path)
    assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_some_voxels_are_by_their_number_x_fastest(tmp_path):
    array = planted()
    path = write(tmp_path / "a.nii.gz", array)
    x, y, z = np.array([[0, 0, 0], [2, 3, 1], [1, 0, 4]]).T
    assert_array_equal(read(path, x + 3 * (y + 4 * z)), array[x, y, z])


@pytest.mark.parametrize("version", [1, 2])
def test_a_value_is_slope_times_stored_plus_intercept(tmp_path, version):
    array = planted("i2")
    path = write(tmp_path / "a.nii", array, version=version, slope=0.25, inter=-3)
    assert_allclose(read(path), 0.25 * array.astype(float) - 3, rtol=1e-12)


@pytest.mark.parametrize(("slope", "inter"), [(0, 5), (np.nan, 0), (np.nan, np.nan), (1, 0)])
def test_no_slope_means_values_as_stored(tmp_path, slope, inter):
    array = planted("i2")
    found = read(write(tmp_path / "a.nii", array, slope=slope, inter=inter))
    assert_array_equal(found, array)
    assert found.dtype == np.int16


def test_axes_of_one_are_left_out(tmp_path):
    array = planted(volumes=1)
    found = nifti.volume(write(tmp_path / "a.nii", array[..., 0]))
    assert_array_equal(found, array[..., 0])
    many = write(tmp_path / "b.nii", planted().reshape(*GRID, 1, 2))
    assert nifti.opened(many).n_volumes == 2
    with pytest.raises(BadInput, match=r"b.nii has 2 volumes; give an image of one"):
        nifti.volume(many)


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(BadInput, match=match) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_or_goes_on_is_refused(tmp_path):
    whole = write(tmp_path / "a.nii", planted()).read_bytes()
    refused(
        tmp_path / "a.nii",
        whole[:-1],
        "claims 3 x 4 x 5 x 2 values of float32, 832 bytes, and has 831",
    )
    refused(tmp_path / "a.nii", whole + b"\0", "832 bytes, and has 833")
    packed = tmp_path / "a.nii.gz"
    refused(packed, gzip.compress(whole[:-1]), r"ends in volume 2 of 2")
    refused(packed, gzip.compress(whole + b"\0"), "holds more than its header says")
    refused(packed, gzip.compress(whole)[:-9], "cut off")


def test_the_checksum_of_a_compressed_image_is_compared(tmp_path):
    packed = bytearray(gzip.compress(write(tmp_path / "a.nii", planted()).read_bytes()))
    packed[-8] ^= 1
    refused(tmp_path / "a.nii.gz", bytes(packed), "CRC")


def test_claims_are_compared_before_anything_is_allocated(tmp_path):
    whole = bytearray(write(tmp_path / "a.nii", planted()).read_bytes())
    struct.pack_into("<8h", whole, 40, 4, 30000, 30000, 30000, 30000, 1, 1, 1)
    refused(tmp_path / "a.nii", bytes(whole), "and has 832")
    refused(tmp_path / "a.nii.gz", gzip.compress(bytes(whole)), "bytes, and has")
    with pytest.raises(BadInput, match=r"one of its volumes would take 720 B, more than the 99 B"):
        nifti.opened(write(tmp_path / "a.nii", planted()), most_bytes=99)


@pytest.mark.parametrize(
    ("at", "form", "value", "match"),
    [
        (0, "<i", 347, "no header's size"),
        (40, "<h", 9, "the shape"),
        (42, "<h", -3, "the shape"),
        (70, "<h", 128, "values of type 128"),
        (72, "<h", 8, "8 bits a value"),
        (108, "<f", 10.0, "start at byte 10"),
        (344, "4s", b"ni1\0", "header of a pair"),
        (344, "4s", b"nope", "does not end as"),
    ],
)
def test_a_header_that_says_what_cannot_be_is_refused(tmp_path, at, form, value, match):
    whole = bytearray(write(tmp_path / "a.nii", planted()).read_bytes())
    struct.pack_into(form, whole, at, value)
    refused(tmp_path / "a.nii", bytes(whole), match)


def test_an_intercept_that_is_no_number_is_refused(tmp_path):
    path = write(tmp_path / "a.nii", planted("i2"), slope=2, inter=np.nan)
    with pytest.raises(BadInput, match="scales its values by 2 and adds nan"):
        nifti.opened(path)
