"""NSD and NSD-synthetic: trials of chosen voxels, by chunks that are read once each."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import savemat

from tests.recordings import nsd_files
from tests.recordings.nsd_files import GRID, PLACES, SUBJECT, TRIALS
from zoo_eval.errors import BadInput
from zoo_eval.files.chunked import Chunks
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.nsd import NsdSection
from zoo_eval.recordings.nsd_synthetic import NsdSyntheticSection
from zoo_eval.recordings.recording import RECORDINGS

MOST = 2**30
ALL = np.arange(len(PLACES))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder, what it holds by session, the images shown and the shared ones."""
    folder = tmp_path_factory.mktemp("nsd")
    held = nsd_files.folder(folder)
    images, shared = nsd_files.design(folder / "nsd_expdesign.mat")
    nsd_files.responses(folder / "responses.tsv", images)
    return folder, held, images.reshape(-1, TRIALS), shared


def section(folder, **options):
    given = {"path": ".", "design": "nsd_expdesign.mat", "mask": "mask.nii.gz"} | options
    paths = {
        key: SweepPath.of(one, folder) if key in ("path", "design", "mask", "voxels") else one
        for key, one in given.items()
        if one is not None
    }
    for key in ("columns", "labels"):
        paths[key] = {one: SweepPath.of(path, folder) for one, path in paths.get(key, {}).items()}
    return NsdSection(stimuli="nsd", **({"subject": SUBJECT} | paths))


def read(folder, **options):
    return section(folder, **options).presentations("recording 'nsd'", MOST)


def expected(held, places=PLACES):
    """Percent signal change (trial, voxel), by a loop."""
    columns = [
        np.concatenate([held[one][place].astype(np.float32) for one in sorted(held)]) / 300
        for place in places
    ]
    return np.stack(columns, 1)


def test_they_are_found_by_their_names():
    assert RECORDINGS.get("nsd") is NsdSection
    assert RECORDINGS.get("nsd_synthetic") is NsdSyntheticSection


def test_trials_are_read_in_the_order_of_sessions(planted):
    folder, held, images, _ = planted
    found = read(folder)
    responses = found.read(ALL)
    assert responses.dtype == np.float32
    assert found.itemsize == 4
    assert_allclose(responses, expected(held), rtol=1e-6)
    shown = [*images[0], *images[2]]
    assert list(found.stimulus_ids) == [f"nsd-{one:05d}" for one in shown]
    assert found.sessions is not None
    assert list(found.sessions) == ["session01"] * TRIALS + ["session03"] * TRIALS


def test_some_targets_are_read_alone(planted):
    folder, held, _, _ = planted
    found = read(folder).read(np.array([1, 3]))
    assert_allclose(found, expected(held)[:, [1, 3]], rtol=1e-6)


def test_targets_know_their_place_and_the_values_of_volumes(planted):
    folder, _, _, _ = planted
    columns = {"ncsnr": "ncsnr.nii.gz", "region": "prf.nii.gz"}
    targets = read(folder, columns=columns).targets.to_pydict()
    assert targets["target_id"] == [f"subj02_{x:03d}-{y:03d}-{z:03d}" for x, y, z in PLACES]
    assert [targets[one] for one in "xyz"] == [list(axis) for axis in zip(*PLACES, strict=True)]
    assert targets["subject"] == ["subj02"] * len(PLACES)
    numbers = [8 * x + 2 * y + z for x, y, z in PLACES]
    # NaN is null: in SQL a NaN would be larger than any threshold.
    assert targets["ncsnr"] == [None if one == 16 else one for one in numbers]
    assert targets["region"] == [one - 1 for one in numbers]


def test_numbers_of_regions_may_have_their_names(planted):
    folder, _, _, _ = planted
    names = "# colours\n0 Unknown\n3 V1v 10 20 30 0\n 15 V2d\n22 IT\n"
    (folder / "prf.ctab").write_text(names)
    found = read(folder, columns={"region": "prf.nii.gz"}, labels={"region": "prf.ctab"})
    # Their numbers are -1, 15, 13, 4 and 22.
    assert found.targets.column("region").to_pylist() == [None, "V2d", None, None, "IT"]
    assert folder.resolve() / "prf.ctab" in found.files


@pytest.mark.parametrize("line", ["V1v 3", "3", "3 V1v\n3 V2v"])
def test_wrong_names_of_regions_are_one_line(planted, line):
    folder, _, _, _ = planted
    (folder / "wrong.ctab").write_text(f"0 Unknown\n{line}\n")
    with pytest.raises(BadInput, match=r"wrong.ctab, line [23]: .* is no number and name"):
        read(folder, columns={"region": "prf.nii.gz"}, labels={"region": "wrong.ctab"})
    with pytest.raises(BadInput, match="`labels` names 'roi', which is no column; known: region"):
        read(folder, columns={"region": "prf.nii.gz"}, labels={"roi": "wrong.ctab"})


def test_the_shared_images_are_the_test_of_the_published_split(planted):
    folder, _, images, shared = planted
    found = read(folder)
    shown = [*images[0], *images[2]]
    assert list(found.splits) == ["shared1000"]
    sides = ["test" if one in shared else "train" for one in shown]
    assert list(found.splits["shared1000"]) == sides
    assert 0 < sides.count("test") < len(sides)


def test_responses_say_the_images_as_the_design_does(planted):
    folder, _, _, _ = planted
    found = read(folder, design="responses.tsv")
    assert list(found.stimulus_ids) == list(read(folder).stimulus_ids)
    assert not found.splits


def test_named_sessions_alone(planted):
    folder, held, _, _ = planted
    found = read(folder, sessions=(3,))
    assert_allclose(found.read(ALL), expected({3: held[3]}), rtol=1e-6)
    with pytest.raises(BadInput, match=r"session 2 is not in .* \(there are 1, 3\)"):
        read(folder, sessions=(1, 2))


@pytest.mark.parametrize("name", ["list.npy", "list.csv"])
def test_a_list_of_voxels_is_read_in_its_own_order(planted, tmp_path, name):
    folder, held, _, _ = planted
    places = [PLACES[one] for one in (4, 0, 2)]
    if name == "list.npy":
        np.save(tmp_path / name, np.array(places))
    else:
        rows = [f"{z},{x},{y}" for x, y, z in places]
        (tmp_path / name).write_text("\n".join(["z,x,y", *rows]))
    found = read(folder, mask=None, voxels=str(tmp_path / name))
    assert_allclose(found.read(np.arange(3)), expected(held, places), rtol=1e-6)


@pytest.mark.parametrize(
    ("chunks", "options"),
    [
        ((TRIALS, 1, 1, 1), {}),
        ((TRIALS, 1, 1, 1), {"compression": "gzip", "shuffle": True}),
        ((200, 1, 3, 2), {}),
        ((200, 1, 3, 2), {"compression": "gzip"}),
        ((1, *GRID[::-1]), {}),
        (None, {}),
    ],
)
def test_any_chunks_give_the_same_and_each_is_touched_once(tmp_path, monkeypatch, chunks, options):
    held = {1: nsd_files.stored(1)}
    nsd_files.folder(tmp_path, sessions=(1,), chunks=chunks, **options)
    nsd_files.design(tmp_path / "nsd_expdesign.mat")
    touched = []
    own = Chunks.chunk

    def counting(self, corner):
        touched.append(corner)
        return own(self, corner)

    found = read(tmp_path)
    monkeypatch.setattr(Chunks, "chunk", counting)
    assert_allclose(found.read(ALL), expected(held), rtol=1e-6)
    sides = np.array(chunks or (1, *GRID[::-1]))
    cells = [(trial, z, y, x) for x, y, z in PLACES for trial in range(TRIALS)]
    needed = {tuple(corner) for corner in (np.array(cells) // sides * sides).tolist()}
    assert len(touched) == len(set(touched))
    assert set(touched) == needed


def test_blocks_of_few_voxels_are_read_like_all_at_once(planted, monkeypatch):
    folder, held, _, _ = planted
    monkeypatch.setattr("zoo_eval.recordings.nsd_betas.BLOCK_VALUES", 2 * TRIALS)
    assert_allclose(read(folder).read(ALL), expected(held), rtol=1e-6)


def test_a_chunk_that_was_never_written_is_refused_and_not_read_as_zeros(tmp_path):
    nsd_files.folder(tmp_path, sessions=(1,), places=PLACES[:-1])
    nsd_files.design(tmp_path / "nsd_expdesign.mat")
    found = read(tmp_path)
    assert np.isfinite(found.read(ALL[:-1])).all()
    with pytest.raises(
        BadInput, match=r"session01.hdf5.*nothing was ever written at \(0, 1, 3, 2\)"
    ):
        found.read(ALL)


def test_a_voxel_that_is_zero_in_a_session_is_missing_there(tmp_path):
    held = nsd_files.folder(tmp_path)
    held[3][2, 0, 0] = 0
    nsd_files.betas(tmp_path / "betas_session03.hdf5", held[3])
    nsd_files.design(tmp_path / "nsd_expdesign.mat")
    found = read(tmp_path).read(ALL)
    assert np.isnan(found[TRIALS:, 1]).all()
    assert np.isfinite(np.delete(found, 1, 1)).all()
    assert np.isfinite(found[:TRIALS]).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mask": None}, "give either `mask` or `voxels`"),
        ({"voxels": "mask.nii.gz"}, "give either `mask` or `voxels`"),
        ({"mask": "empty.npy"}, "has no voxel above 0"),
        ({"mask": "reversed.npy"}, r"has shape \(2, 4, 3\), the responses \(3, 4, 2\).*reverse its axes"),
        ({"mask": "other.npy"}, "made for these responses"),
        ({"mask": "text.npy"}, "give real numbers"),
        ({"mask": "mask.mgz"}, "no known kind"),
        ({"mask": None, "voxels": "outside.npy"}, r"voxel number 1 at \[0, 4, 0\] is not in the grid"),
        ({"mask": None, "voxels": "twice.npy"}, r"voxel \[1, 1, 1\] stands twice"),
        ({"mask": None, "voxels": "empty.npy"}, "give x, y and z"),
        ({"columns": {"x": "ncsnr.nii.gz"}}, "column 'x' is there already"),
        ({"columns": {"nc": "other.npy"}}, r"volume .*other.npy has shape \(9, 9, 9\)"),
        ({"path": "mask.nii.gz"}, "is a file; name the folder"),
        ({"design": "mask.nii.gz"}, "mask.nii.gz"),
        ({"design": "responses.tsv", "subject": 1}, "trials of other subjects than 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(planted, options, match):
    folder, _, _, _ = planted
    np.save(folder / "empty.npy", np.zeros(GRID))
    np.save(folder / "reversed.npy", np.ones(GRID[::-1]))
    np.save(folder / "other.npy", np.ones((9, 9, 9)))
    np.save(folder / "text.npy", np.full(GRID, "a"))
    (folder / "mask.mgz").write_bytes(b"mgz")
    np.save(folder / "outside.npy", np.array([[0, 0, 0], [0, 4, 0]]))
    np.save(folder / "twice.npy", np.ones((2, 3), int))
    with pytest.raises(BadInput, match=match) as caught:
        read(folder, **options)
    assert "recording 'nsd'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_betas_is_refused(tmp_path):
    (tmp_path / "lh.betas_session01.hdf5").write_bytes(b"")
    nsd_files.mask(tmp_path / "mask.nii.gz", GRID, PLACES)
    (tmp_path / "nsd_expdesign.mat").write_bytes(b"")
    with pytest.raises(BadInput, match=r"has no betas_sessionNN\.hdf5"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "truncated file|cut off"),
        (lambda path: path.write_bytes(b"<html>"), "HTML"),
        (lambda path: nsd_files.betas(path, nsd_files.stored(1).astype(float)), "float64 .*, not int16"),
        (lambda path: nsd_files.betas(path, nsd_files.stored(1, 700), chunks=None), "has 700 trials, and .* 750"),
        (lambda path: h5py.File(path, "w").close(), "has no `betas` .but nothing."),
    ],
)  # fmt: skip
def test_a_damaged_session_is_one_line(tmp_path, change, match):
    nsd_files.folder(tmp_path, sessions=(1,))
    nsd_files.design(tmp_path / "nsd_expdesign.mat")
    change(tmp_path / "betas_session01.hdf5")
    with pytest.raises(BadInput, match=match) as caught:
        read(tmp_path)
    assert "betas_session01.hdf5" in str(caught.value)


def test_sessions_of_two_grids_are_refused(tmp_path):
    nsd_files.folder(tmp_path)
    nsd_files.design(tmp_path / "nsd_expdesign.mat")
    other = np.ones((2, 4, 2, TRIALS), np.int16)
    nsd_files.betas(tmp_path / "betas_session03.hdf5", other)
    with pytest.raises(
        BadInput, match=r"session03.hdf5 has the grid \(2, 4, 2\), the first \(3, 4, 2\)"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"masterordering": np.zeros((1, 3 * TRIALS))},
            "`masterordering` has 0.0, which is none of 1000",
        ),
        ({"sharedix": np.full((1, 9), 73_001.0)}, "`sharedix` has 73001.0, which is none of 73000"),
        ({"subjectim": np.ones((1, 9))}, r"`subjectim` has shape \(1, 9\)"),
        ({"masterordering": np.ones((1, TRIALS))}, "has no session 3 .but 1"),
        ({"masterordering": np.array(["a"])}, "no numbers of images"),
    ],
)
def test_a_wrong_design_is_one_line(planted, tmp_path, change, match):
    folder, _, _, shared = planted
    sound = {
        "masterordering": np.ones((1, 3 * TRIALS)), "subjectim": np.ones((8, 1000)),
        "sharedix": np.array([sorted(shared)]),
    }  # fmt: skip
    savemat(tmp_path / "design.mat", sound | change)
    with pytest.raises(BadInput, match=match):
        read(folder, design=str(tmp_path / "design.mat"))
    del sound["subjectim"]
    savemat(tmp_path / "design.mat", sound)
    with pytest.raises(BadInput, match="has no `subjectim`"):
        read(folder, design=str(tmp_path / "design.mat"))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    held = nsd_files.stored(5, 744)
    nsd_files.betas(folder / "betas_nsdsynthetic.hdf5", held, chunks=(744, 1, 1, 1))
    nsd_files.mask(folder / "mask.nii.gz", GRID, PLACES)
    order = np.random.default_rng(0).integers(1, 285, (1, 744)).astype(np.uint16)
    savemat(folder / "nsdsynthetic_expdesign.mat", {"masterordering": order})
    return folder, held, order[0]


def of_synthetic(folder, design):
    section = NsdSyntheticSection(
        stimuli="nsd",
        path=SweepPath.of("betas_nsdsynthetic.hdf5", folder),
        subject=SUBJECT,
        design=SweepPath.of(design, folder),
        mask=SweepPath.of("mask.nii.gz", folder),
    )
    return section.presentations("recording 's'", MOST)


def test_nsd_synthetic_has_one_session_and_the_voxels_of_nsd(planted, synthetic):
    folder, held, order = synthetic
    found = of_synthetic(folder, "nsdsynthetic_expdesign.mat")
    assert_allclose(found.read(ALL), expected({1: held}), rtol=1e-6)
    assert list(found.stimulus_ids) == [f"nsdsynthetic-{one:03d}" for one in order]
    assert set(found.sessions or ()) == {"nsdsynthetic"}
    assert found.target_ids == read(planted[0]).target_ids
    assert not found.splits
    assert {path.name for path in found.files} == {
        "betas_nsdsynthetic.hdf5", "mask.nii.gz", "nsdsynthetic_expdesign.mat",
    }  # fmt: skip


def test_a_design_of_other_trials_is_refused(synthetic):
    folder, _, _ = synthetic
    savemat(folder / "short.mat", {"masterordering": np.ones((1, 700))})
    with pytest.raises(BadInput, match=r"has 744 trials, and .*short.mat 700"):
        of_synthetic(folder, "short.mat")
    savemat(folder / "wrong.mat", {"masterordering": np.full((1, 744), 285)})
    with pytest.raises(BadInput, match="`masterordering` has 285, which is none of 284"):
        of_synthetic(folder, "wrong.mat")


def test_columns_of_any_dataset_are_those_of_numpy(tmp_path):
    values = np.arange(7 * 5 * 4).reshape(7, 5, 4)
    places = np.array([[0, 0], [4, 3], [2, 1], [0, 1]])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        item = file.create_dataset("a", data=values, chunks=(3, 2, 3))
        found = np.zeros((7, 4), int)
        for rows, columns, some in Chunks("here", item).columns(places):
            found[rows, columns] = some
    assert_array_equal(found, values[:, places[:, 0], places[:, 1]])
