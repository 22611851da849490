"""LAION-fMRI: single trials of chosen voxels from NIfTI, with published splits and noise ceilings."""

import gzip
import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.recordings import laion_files
from tests.recordings.laion_files import GRID, LABELS, PLACES
from tests.recordings.voxel_files import nifti
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import laion_fmri
from zoo_eval.recordings.laion_fmri import Z_SCORE, LaionFmriSection

ALL = np.arange(len(PLACES))
SHOWN = [label for labels in LABELS.values() for label in labels]


def read(folder, *, zscore=None, sessions=None, columns=None, most=2**30, **paths):
    given = {"path": ".", "mask": "mask.nii.gz"} | paths
    section = LaionFmriSection(
        stimuli="laion",
        zscore=zscore,
        sessions=sessions,
        columns={key: SweepPath.of(one, folder) for key, one in (columns or {}).items()},
        **{key: SweepPath.of(one, folder) for key, one in given.items() if one is not None},
    )
    return section.presentations("recording 'l'", most)


@pytest.fixture
def planted(tmp_path):
    return tmp_path, laion_files.folder(tmp_path)


def expected(held, sessions=tuple(LABELS)):
    """Betas (trial, voxel), by a loop."""
    rows = [
        [held[session][*place, trial] for place in PLACES]
        for session in sessions
        for trial in range(len(LABELS[session]))
    ]
    return np.array(rows)


def test_betas_meet_their_labels_by_their_number(planted):
    folder, held = planted
    found = read(folder)
    assert_array_equal(found.read(ALL), expected(held))
    assert_array_equal(found.read(np.array([0, 2])), expected(held)[:, [0, 2]])
    assert list(found.stimulus_ids) == SHOWN
    assert list(found.sessions or ()) == ["ses-01"] * 3 + ["ses-02"] * 2
    assert found.read(ALL).dtype == np.float32
    assert found.itemsize == 4
    assert len(found.files) == 2 + 2 + 1 + 1


def test_images_that_were_unpacked_are_read_alike(tmp_path):
    held = laion_files.folder(tmp_path, ".nii")
    assert_array_equal(read(tmp_path).read(ALL), expected(held))
    laion_files.nifti(
        tmp_path / "ses-01" / "func" / laion_files.NAME.format("ses-01"), held["ses-01"]
    )
    with pytest.raises(BadInput, match="has two files of ses-01; keep one"):
        read(tmp_path)


def test_named_sessions_alone(planted):
    folder, held = planted
    for name in ("ses-02", "02"):
        found = read(folder, sessions=(name,))
        assert_array_equal(found.read(ALL), expected(held, ("ses-02",)))
    with pytest.raises(BadInput, match=r"session 'ses-09' is not in .*; nearest: ses-0"):
        read(folder, sessions=("09",))


def test_targets_have_noise_ceilings_and_named_volumes(planted):
    folder, _ = planted
    targets = read(folder, columns={"v1": "v1.nii.gz"}).targets.to_pydict()
    assert targets["target_id"] == [f"sub-01_{x:03d}-{y:03d}-{z:03d}" for x, y, z in PLACES]
    numbers = [6 * x + 2 * y + z for x, y, z in PLACES]
    assert targets["Noiseceiling12rep"] == numbers
    assert targets["v1"] == [int(one > 12) for one in numbers]


def test_a_list_of_voxels_instead_of_a_mask(planted):
    folder, held = planted
    np.save(folder / "some.npy", np.array(PLACES)[[2, 0]])
    found = read(folder, mask=None, voxels="some.npy")
    assert_array_equal(found.read(np.arange(2)), expected(held)[:, [2, 0]])


def test_published_splits_are_by_label(planted):
    folder, _ = planted
    found = read(folder, splits="splits").splits
    labels = sorted(set(SHOWN))
    tau = {labels[0]: "train", labels[1]: "train", labels[2]: "test", labels[3]: ""}
    assert list(found["tau"]) == [tau[one] for one in SHOWN]
    assert list(found["ood"]) == ["test" if "OOD" in one else "train" for one in SHOWN]
    assert list(read(folder, splits="splits/tau.json").splits) == ["tau"]
    assert not read(folder).splits


def test_that_z_scores_are_required_is_said(planted):
    folder, _ = planted
    assert Z_SCORE in read(folder).notes
    assert Z_SCORE not in read(folder, zscore="session").notes


def test_what_was_not_measured_is_missing(planted):
    folder, held = planted
    values = held["ses-01"].copy()
    values[3, 0, 0] = 0
    values[1, 1, 1, 2] = np.nan
    nifti(folder / "ses-01" / "func" / laion_files.NAME.format("ses-01"), values)
    wanted = expected(held).astype(np.float32)
    wanted[:3, 1] = np.nan
    wanted[2, 3] = np.nan
    assert_array_equal(read(folder).read(ALL), wanted)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda t: t + "ses-01\trun-01\t3\tmore.jpg\n", "has 4 trials, not one for each of the 3 volumes"),
        (lambda t: t.replace("\t2\t", "\t1\t"), "beta_index 1 stands twice"),
        (lambda t: t.replace("\t0\t", "\t7\t"), "not one for each of the 3 volumes"),
        (lambda t: t.replace("\t1\tunique_LAION_cluster_2_i1.jpg", "\t1\t"), "beta_index 1 has no label"),
        (lambda t: t.replace("label", "stimulus"), "no 'label'"),
    ],
)  # fmt: skip
def test_trials_that_do_not_fit_are_one_line(planted, edit, match):
    folder, _ = planted
    path = folder / "ses-01" / "func" / laion_files.TRIALS.format("ses-01")
    path.write_text(edit(path.read_text()))
    with pytest.raises(BadInput, match=match) as caught:
        read(folder)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("held", "match"),
    [
        ("{", "is not a split that can be read"),
        ("<html>", "HTML page"),
        (json.dumps({"name": "tau"}), "is not a split that can be read"),
        (json.dumps({"variants": [{"train_ids": ["a"]}]}), "no list `test_ids`"),
        (json.dumps({"variants": [{"train_ids": [1], "test_ids": []}]}), "no list `train_ids`"),
        (json.dumps({"variants": [{"train_ids": ["a"], "test_ids": ["a"]}]}), "'a' is in train and test"),
        (json.dumps({"variants": [{"train_ids": SHOWN[:1], "test_ids": ["a"]}]}), "no image of its test part"),
    ],
)  # fmt: skip
def test_a_wrong_split_is_one_line(planted, held, match):
    folder, _ = planted
    (folder / "splits" / "tau.json").write_text(held)
    with pytest.raises(BadInput, match=match) as caught:
        read(folder, splits="splits/tau.json")
    assert "tau.json" in str(caught.value)


def test_missing_files_are_named(planted, tmp_path_factory):
    folder, _ = planted
    with pytest.raises(BadInput, match="has no ses-"):
        read(folder, path="splits")
    with pytest.raises(BadInput, match="give either `mask` or `voxels`"):
        read(folder, mask=None)
    (folder / "splits" / "tau.json").unlink()
    (folder / "splits" / "ood.json").unlink()
    with pytest.raises(BadInput, match=r"has no \.json of a split"):
        read(folder, splits="splits")
    (folder / "ses-02" / "func" / laion_files.TRIALS.format("ses-02")).unlink()
    with pytest.raises(BadInput, match=r"_trials\.tsv of ses-02; fetch it, too"):
        read(folder)


def test_damage_is_found_when_trials_are_read(planted):
    folder, held = planted
    path = folder / "ses-02" / "func" / laion_files.NAME.format("ses-02")
    content = bytearray(path.read_bytes())
    content[-6] ^= 255
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"ses-02.*CRC"):
        read(folder).read(ALL)
    path.write_bytes(gzip.compress(gzip.decompress(nifti(path, held["ses-02"]).read_bytes())[:-4]))
    with pytest.raises(BadInput, match="ends in volume 2 of 2"):
        read(folder).read(ALL)


def test_sessions_of_two_grids_are_refused(planted):
    folder, _ = planted
    values = np.ones((*GRID[:2], 3, 2), np.float32)
    nifti(folder / "ses-02" / "func" / laion_files.NAME.format("ses-02"), values)
    with pytest.raises(BadInput, match=r"has the grid \(4, 3, 3\), the first \(4, 3, 2\)"):
        read(folder)


def test_a_volume_must_fit(planted):
    folder, _ = planted
    with pytest.raises(BadInput, match="one of its volumes would take"):
        read(folder, most=100)


def test_the_first_trials_are_read_by_themselves(planted, monkeypatch):
    folder, held = planted
    monkeypatch.setattr(laion_fmri, "FIRST_TRIALS", 2)
    found = read(folder).sample
    assert list(found.stimulus_ids) == SHOWN[:2]
    assert_array_equal(found.read(ALL), expected(held)[:2])
