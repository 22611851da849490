"""THINGS-fMRI: a frame of pandas is read from its blocks, and meets the trials and voxels beside it."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.recordings import things_fmri_files as files
from tests.recordings.things_fmri_files import TRIALS, VOXEL_IDS
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import things_fmri
from zoo_eval.recordings.things_fmri import ThingsFmriSection

ALL = np.arange(len(VOXEL_IDS))
LAYOUTS = [
    (files.fixed, {"columns": "pickled"}),
    (files.fixed, {"columns": "numbers"}),
    (files.fixed, {"columns": "text"}),
    (files.fixed, {"columns": "text", "transposed": False}),
    (files.table, {}),
]
NAME = "sub-01_{}"


def read(folder, subject="01", most=2**30):
    section = ThingsFmriSection(stimuli="things", path=SweepPath.of(".", folder), subject=subject)
    return section.presentations("recording 't'", most)


@pytest.mark.parametrize(("write", "options"), LAYOUTS)
def test_responses_are_those_that_were_stored(tmp_path, write, options):
    responses = files.planted()
    found = read(files.folder(tmp_path, responses, write, **options))
    assert_array_equal(found.read(ALL), responses)
    assert_array_equal(found.read(np.array([0, 3, 4])), responses[:, [0, 3, 4]])
    assert found.itemsize == 8


def test_single_precision_stays_so(tmp_path):
    responses = files.planted().astype(np.float32)
    found = read(files.folder(tmp_path, responses))
    assert found.itemsize == 4
    assert found.read(ALL).dtype == np.float32
    assert_array_equal(found.read(ALL), responses)


def test_runs_of_voxels_are_bounded(tmp_path, monkeypatch):
    responses = files.planted()
    found = read(files.folder(tmp_path, responses))
    monkeypatch.setattr(things_fmri, "BLOCK_BYTES", 1)
    assert_array_equal(found.read(ALL), responses)


def test_trials_are_named_by_their_files_and_split_by_their_type(tmp_path):
    found = read(files.folder(tmp_path, files.planted()), subject="sub-01")
    assert list(found.stimulus_ids) == [one for _, _, one in TRIALS]
    assert list(found.sessions or ()) == [f"session{one}" for _, one, _ in TRIALS]
    assert {key: list(one) for key, one in found.splits.items()} == {
        "things": [one for one, _, _ in TRIALS]
    }
    assert [path.name for path in found.files] == [
        NAME.format(one) for one in ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")
    ]


def test_targets_have_all_columns_in_the_order_of_the_responses(tmp_path):
    targets = read(files.folder(tmp_path, files.planted())).targets.to_pydict()
    assert targets["target_id"] == [f"sub-01_{one}" for one in VOXEL_IDS]
    assert targets["voxel_id"] == list(VOXEL_IDS)
    assert targets["voxel_x"] == [one + 10 for one in VOXEL_IDS]
    # NaN is null: in SQL a NaN would be larger than any threshold.
    assert targets["nc_singletrial"] == [0.0, 0.25, None, 1.25, 1.75]
    assert targets["prf-size"] == [one / 2 for one in VOXEL_IDS]
    assert targets["V1"] == [1, 1, 1, 0, 0]
    assert targets["lFFA"] == [0, 0, 0, 0, 1]


def change(folder, part, edit):
    path = folder / NAME.format(part)
    path.write_text(edit(path.read_text()))


@pytest.mark.parametrize(
    ("part", "edit", "match"),
    [
        ("StimulusMetadata.csv", lambda t: t + "train,3,1,1,9,x_1.jpg,x\n", "has 7 trials, the responses 6"),
        ("StimulusMetadata.csv", lambda t: t.replace("dog_12s.jpg", ""), "line 2: no stimulus or session"),
        ("StimulusMetadata.csv", lambda t: t.replace("test,1", "catch,1"), "line 3: trial_type 'catch'"),
        ("StimulusMetadata.csv", lambda t: t.replace("trial_type", "kind"), "no 'trial_type'"),
        ("VoxelMetadata.csv", lambda t: t.replace("voxel_id", "voxel"), "no column 'voxel_id' of whole"),
        ("VoxelMetadata.csv", lambda t: t.replace("7,1,17", "8,1,17"), "has no row for voxel 7 of the responses"),
        ("VoxelMetadata.csv", lambda t: t.replace("lFFA", "V1"), "column 'V1' stands twice"),
        ("VoxelMetadata.csv", lambda t: t + "1,2\n", "VoxelMetadata.csv is not a CSV"),
        ("VoxelMetadata.csv", lambda t: "<html>", "VoxelMetadata.csv"),
    ],
)  # fmt: skip
def test_metadata_that_does_not_fit_is_one_line(tmp_path, part, edit, match):
    folder = files.folder(tmp_path, files.planted())
    change(folder, part, edit)
    with pytest.raises(BadInput, match=match) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda file: file.move("ResponseData", "x") or file.create_group("y"), None),
        (lambda file: file["ResponseData"].attrs.pop("pandas_type"), "holds 0 frames of pandas .but ResponseData"),
        (lambda file: file.copy("ResponseData", "more"), "holds 2 frames"),
        (lambda file: file["ResponseData"].pop("block0_values"), "is not a frame of responses"),
        (lambda file: file["ResponseData"].attrs.modify("nblocks", 1), "no column 'voxel_id'"),
        (lambda file: file["ResponseData"].attrs.modify("nblocks", 3), "is not a frame of responses"),
        (lambda file: relabel(file, files.pickled(range(1, 7))), "not the numbers of trials from 0"),
        (lambda file: relabel(file, files.pickled([0, 1])), "has 2 columns and values"),
        (lambda file: relabel(file, files.pickled([0.5] * 6)), "neither text nor whole numbers"),
        (lambda file: relabel(file, b"cos\nsystem\n(S'true'\ntR."), "needs 'os.system'"),
        (lambda file: rewrite(file, np.full((5, 6), b"x")), r"responses of type \|S1"),
        (lambda file: rewrite(file, np.zeros((4, 6))), "do not fit together"),
    ],
)  # fmt: skip
def test_a_damaged_frame_is_one_line(tmp_path, damage, match):
    folder = files.folder(tmp_path, files.planted())
    with h5py.File(folder / NAME.format("ResponseData.h5"), "a") as file:
        damage(file)
    if match is None:
        # A frame may have any name.
        assert_array_equal(read(folder).read(ALL), files.planted())
        return
    with pytest.raises(BadInput, match=match) as caught:
        read(folder)
    assert "ResponseData.h5" in str(caught.value)
    assert "\n" not in str(caught.value)


def relabel(file, columns):
    del file["ResponseData/block0_items"]
    files.labels(file["ResponseData"], "block0_items", columns)


def rewrite(file, values):
    del file["ResponseData/block0_values"]
    files.stored(file["ResponseData"], "block0_values", values)


@pytest.mark.parametrize("chunks", [None, (2, 6)])
def test_values_that_were_never_written_are_refused(tmp_path, chunks):
    folder = files.folder(tmp_path, files.planted())
    with h5py.File(folder / NAME.format("ResponseData.h5"), "a") as file:
        group = file["ResponseData"]
        del group["block0_values"]
        item = group.create_dataset("block0_values", (5, 6), "f8", chunks=chunks)
        item.attrs["transposed"] = np.uint8(1)
        if chunks is not None:
            item[:4] = 1
    with pytest.raises(BadInput, match="claims values that were never written"):
        read(folder)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"sub-02_ResponseData.h5 is missing; name the folder"):
        read(files.folder(tmp_path, files.planted()), subject="02")


def test_a_table_of_voxels_must_fit(tmp_path):
    folder = files.folder(tmp_path, files.planted())
    with pytest.raises(BadInput, match="table of voxels would take"):
        read(folder, most=500)
