"""Brain-Score's assemblies and other netCDF-4, however their axes lie and their text is stored."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import netcdf_file

from tests.recordings import netcdf_files
from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput, WrongSweep
from zoo_eval.recordings.brainscore import BrainscoreSection
from zoo_eval.recordings.netcdf import NetcdfSection
from zoo_eval.stimuli.stimulus_set import StimulusSet

N, REPETITIONS, NEUROIDS = 6, 3, 7
SIZES = {"n_stimuli": N, "n_repetitions": REPETITIONS, "n_neuroids": NEUROIDS}
DIMS = [
    ("presentation", "neuroid", "time_bin"),
    ("neuroid", "presentation", "time_bin"),
    ("time_bin", "neuroid", "presentation"),
]


def shown(n=N, ids=None):
    ids = tuple(f"im{number}.png" for number in range(n)) if ids is None else tuple(ids)
    return StimulusSet("shown", ids, (np.zeros((2, 2, 3), np.uint8),) * len(ids), groups=ids)


def mean_of(values, names):
    """The mean of each stimulus's presentations (stimulus, neuroid)."""
    own = [[row for row, one in enumerate(names["shown"]) if one == f"im{i}"] for i in range(N)]
    return np.array([values[rows].mean(0) for rows in own])


def read(path, section=BrainscoreSection, stimuli=None, **options):
    stimuli = shown() if stimuli is None else stimuli
    return section(stimuli="shown", path=path, **options).read("it", Mates(stimuli))


@pytest.mark.parametrize("dims", DIMS, ids=lambda dims: dims[0])
@pytest.mark.parametrize("text", ["vlen", "fixed", "characters"])
def test_an_assembly_is_read_whatever_the_order_of_its_axes(tmp_path, dims, text):
    values, names = netcdf_files.assembly(tmp_path / "a.nc", dims=dims, text=text, **SIZES)
    found = read(tmp_path / "a.nc")
    assert_allclose(found.mean, mean_of(values[..., 0], names), rtol=1e-12)
    assert found.target_ids == tuple(names["neuroids"])
    assert found.repeated().counts.tolist() == [REPETITIONS] * N
    assert found.targets["region"].to_pylist() == names["regions"]
    assert found.targets["x"].to_pylist() == [0.0, None, 1.0, 1.5, 2.0, 2.5, 3.0]


@pytest.mark.parametrize("chunks", [None, (4, 3, 1), (1, 7, 1), (18, 1, 1)])
def test_some_neuroids_are_read_by_what_is_stored_together(tmp_path, chunks):
    values, names = netcdf_files.assembly(tmp_path / "a.nc", dims=DIMS[0], chunks=chunks, **SIZES)
    found = read(tmp_path / "a.nc", targets="region = 'IT' and x > 1")
    kept = [number for number, one in enumerate(names["regions"]) if one == "IT" and number > 2]
    assert found.target_ids == tuple(names["neuroids"][number] for number in kept)
    assert_allclose(found.mean, mean_of(values[..., 0], names)[:, kept], rtol=1e-12)


@pytest.mark.parametrize("dims", DIMS, ids=lambda dims: dims[0])
@pytest.mark.parametrize("chunked", [False, True])
def test_time_bins_within_a_window_are_averaged(tmp_path, dims, chunked):
    options = {"chunks": (2, 2, 2)} if chunked else {}
    values, names = netcdf_files.assembly(
        tmp_path / "a.nc", dims=dims, n_bins=5, **SIZES, **options
    )
    found = read(tmp_path / "a.nc", window_ms=(90, 150))
    assert_allclose(found.mean, mean_of(values[..., 1:4].mean(-1), names), rtol=1e-10, atol=1e-14)
    assert "mean over 3 of 5 time bins, 90 to 150 ms" in found.notes


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (None, r"5 time bins; say which count: window_ms = \[70, 170\]"),
        ((60, 170), r"window_ms = \[60, 170\] is not within its bins, which are from 70 to 170 ms, 20 ms each"),
        ((70, 180), "is not within its bins"),
        ((95, 100), "is not within its bins"),
    ],
)  # fmt: skip
def test_a_window_outside_the_recording_says_what_there_is(tmp_path, window, reason):
    netcdf_files.assembly(tmp_path / "a.nc", dims=DIMS[0], n_bins=5, **SIZES)
    with pytest.raises(BadInput, match=f"^recording 'it': .*a.nc.*{reason}"):
        read(tmp_path / "a.nc", window_ms=window)


def labelled(path, dims, values, attributes=(), **more):
    """A file as xarray saves an array of stimulus, repetition and target."""
    sizes = dict(zip(dims, np.shape(values), strict=True))
    variables = {
        "responses": (dims, values),
        "stimulus": (("stimulus",), [f"im{number}" for number in range(sizes["stimulus"])]),
        "target": (("target",), [f"t{number}" for number in range(sizes["target"])]),
        "region": (("target",), ["IT"] * sizes["target"]),
    }
    netcdf_files.write(path, sizes, variables, **more)
    import h5py

    with h5py.File(path, "a") as file:
        for key, value in attributes:
            file["responses"].attrs[key] = value
    return path


@pytest.mark.parametrize("order", ["srt", "trs", "rst"])
def test_stimulus_repetition_and_target_are_read_in_any_order(tmp_path, order):
    values = np.random.default_rng(0).standard_normal((N, 2, 3))
    values[1, 0, 2] = np.nan
    axes = {"s": "stimulus", "r": "repetition", "t": "target"}
    stored = values.transpose(["srt".index(one) for one in order])
    path = labelled(tmp_path / "r.nc", [axes[one] for one in order], stored)
    found = read(path, NetcdfSection)
    assert_array_equal(found.repeated().padded(), values)
    assert found.targets["region"].to_pylist() == ["IT"] * 3


def test_a_stimulus_may_have_one_row(tmp_path):
    values = np.random.default_rng(0).standard_normal((N, 3)).astype(np.float32)
    found = read(labelled(tmp_path / "r.nc", ("stimulus", "target"), values), NetcdfSection)
    assert_array_equal(found.repeated().responses, values)
    assert found.repeated().responses.dtype == np.float32


def test_packed_numbers_are_unpacked_and_a_fill_value_is_missing(tmp_path):
    stored = np.arange(N * 3, dtype=np.int16).reshape(N, 3)
    attributes = [("scale_factor", 0.5), ("add_offset", 10.0), ("_FillValue", np.int16(7))]
    path = labelled(tmp_path / "r.nc", ("stimulus", "target"), stored, attributes)
    expected = np.where(stored == 7, np.nan, stored * 0.5 + 10)
    assert_allclose(read(path, NetcdfSection).mean, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("attributes", "gap", "dtype"),
    [
        ([], 9.969209968386869e36, np.float32),
        ([], 9.969209968386869e36, np.float64),
        ([("missing_value", np.array([-1.0, -999.0]))], -999.0, np.float64),
        ([("_FillValue", np.float32(-999))], -999.0, np.float32),
    ],
)
def test_whatever_stands_for_a_missing_value_is_missing(tmp_path, attributes, gap, dtype):
    values = np.random.default_rng(0).standard_normal((N, 3)).astype(dtype)
    values[2, 1] = gap
    path = labelled(tmp_path / "r.nc", ("stimulus", "target"), values, attributes)
    found = read(path, NetcdfSection).mean
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 1]]
    values[2, 1] = np.nan
    assert_array_equal(found, values.astype(np.float64))


def test_other_names_of_dimensions_can_be_said(tmp_path):
    values = np.random.default_rng(0).standard_normal((N, 3))
    variables = {
        "r": (("image", "unit"), values),
        "stimulus_id": (("image",), [f"im{number}" for number in range(N)]),
        "unit": (("unit",), np.arange(3)),
    }
    path = netcdf_files.write(tmp_path / "r.nc", {"image": N, "unit": 3}, variables)
    found = read(path, NetcdfSection, stimulus="image", target="unit")
    assert found.target_ids == ("0", "1", "2")
    assert_array_equal(found.mean, values)
    with pytest.raises(BadInput, match=r"has no variable with dimensions stimulus and target \(variables: .*r \(image, unit\)"):  # fmt: skip
        read(path, NetcdfSection)


def test_what_is_no_assembly_is_one_line(tmp_path):
    classic = tmp_path / "classic.nc"
    with netcdf_file(classic, "w") as file:
        file.createDimension("presentation", 3)
    with pytest.raises(
        BadInput, match="is a classic netCDF file; convert it with `nccopy -k netCDF-4"
    ):
        read(classic)
    path = tmp_path / "a.nc"
    netcdf_files.assembly(path, dims=DIMS[0], **SIZES)
    content = path.read_bytes()
    for cut in (0, 100, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(
            BadInput, match=r"^recording 'it': .*a.nc is not a netCDF-4 file that can be"
        ):
            read(path)


def test_numbers_that_were_never_written_are_no_zeros(tmp_path):
    import h5py

    path = tmp_path / "a.nc"
    netcdf_files.assembly(path, dims=DIMS[0], **SIZES)
    with h5py.File(path, "a") as file:
        name = "dicarlo.MajajHong2015.public"
        shape = file[name].shape
        dims = [next(iter(dim.values())).name for dim in file[name].dims]
        del file[name]
        file.create_dataset(name, shape, "f8", chunks=(2, 2, 1))
        for axis, dim in enumerate(dims):
            file[name].dims[axis].attach_scale(file[dim])
    with h5py.File(path, "a") as file:
        file[name].attrs["_FillValue"] = -1.0
    with pytest.raises(BadInput, match=r"were never written, and would be read as 0; fetch"):
        read(path)


def test_names_that_the_file_lacks_and_selections_say_what_there_is(tmp_path):
    path = tmp_path / "a.nc"
    netcdf_files.assembly(path, dims=DIMS[0], **SIZES)
    with pytest.raises(WrongSweep, match=r"the columns are target_id, .*region"):
        read(path, targets="area = 'IT'")
    with pytest.raises(BadInput, match=r"selects none of 7; the columns are .*region: V4, IT"):
        read(path, targets="region = 'TEO'")
    with pytest.raises(
        BadInput, match=r"has no variable 'MajajHong'; known: dicarlo.MajajHong2015.public"
    ):
        read(path, variable="MajajHong")
    with pytest.raises(BadInput, match="stimulus 'im5' is not in stimuli 'shown'"):
        read(path, stimuli=shown(5))


def test_text_that_is_not_where_the_file_says_is_damage(tmp_path):
    path = tmp_path / "a.nc"
    netcdf_files.assembly(path, dims=DIMS[0], **SIZES)
    content = bytearray(path.read_bytes())
    start = content.index(b"im3")
    # An object's number in its heap stands 16 bytes before it.
    content[start - 16 : start - 14] = (999).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.nc: row \d+ of '/.*' is not where the file says"):
        read(path)
