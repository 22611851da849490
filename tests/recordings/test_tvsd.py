"""TVSD's files, as they are published: HDF5 of MATLAB, whichever way its axes lie."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import savemat

from tests.recordings import tvsd_files
from tests.recordings.sweepmates import Mates
from tests.recordings.tvsd_files import N_ELECTRODES, names
from zoo_eval.errors import BadInput
from zoo_eval.recordings import tvsd
from zoo_eval.recordings.tvsd import TvsdSection
from zoo_eval.stimuli.stimulus_set import StimulusSet

TRAIN, TEST, REPETITIONS = names(20, "train"), names(4, "test"), 3
SIZES = {"n_train": len(TRAIN), "n_test": len(TEST), "n_repetitions": REPETITIONS}
IDS = tuple(one.replace("\\", "/") for one in [*TRAIN, *TEST])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "monkeyF").mkdir()
    tvsd_files.images(tmp_path / "things_imgs.mat", TRAIN, TEST)
    return tmp_path / "monkeyF"


def read(folder, **options):
    shown = StimulusSet("shown", IDS, (np.zeros((2, 2, 3), np.uint8),) * len(IDS), groups=IDS)
    path, images = folder / "THINGS_normMUA.mat", folder.parent / "things_imgs.mat"
    section = TvsdSection(stimuli="shown", path=path, images=images, **options)
    return section.read("it", Mates(shown))


@pytest.mark.parametrize("reversed_axes", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"chunks": (3, 5)}, {"chunks": True, "compression": "gzip"}]
)
def test_training_images_come_once_and_test_images_in_every_repetition(
    folder, monkeypatch, reversed_axes, options
):
    monkeypatch.setattr(tvsd, "BLOCK_BYTES", 2**15)
    planted = tvsd_files.norm_mua(
        folder / "THINGS_normMUA.mat", reversed_axes=reversed_axes, **SIZES, **options
    )
    found = read(folder, targets="region = 'IT' and reliability > 0.4")
    reliability = np.nanmean(planted["reliab"], axis=0)
    kept = [e for e in range(512, 832) if reliability[e].astype(np.float32) > 0.4]
    assert found.target_ids == tuple(f"F_{e:04d}" for e in kept)
    repeated = found.repeated()
    assert repeated.responses.dtype == np.float32
    assert_array_equal(repeated.responses[:20], planted["train_MUA"][:, kept])
    tested = repeated.responses[20:].reshape(len(TEST), REPETITIONS, -1)
    assert_array_equal(tested, planted["test_MUA_reps"][:, :, kept].transpose(1, 0, 2))
    assert found.splits["tvsd"] == ("train",) * 20 + ("test",) * 4


def test_all_electrodes_are_read_and_known(folder):
    planted = tvsd_files.norm_mua(folder / "THINGS_normMUA.mat", dtype="f8", **SIZES)
    found = read(folder)
    assert_array_equal(found.mean[:20], planted["train_MUA"])
    assert_allclose(
        found.mean[20:], planted["test_MUA_reps"].mean(0, np.float64), rtol=0, atol=1e-7
    )
    known = found.targets
    assert known["array"].to_pylist()[63:65] == [0, 1]
    assert_allclose(known["reliability"], np.nanmean(planted["reliab"], axis=0), rtol=1e-6)
    assert_allclose(known["oracle"], planted["oracle"][0], rtol=1e-6)
    assert_allclose(known["snr_max"], planted["SNR_max"][:, 0], rtol=1e-6)
    assert known["subject"].to_pylist() == ["F"] * N_ELECTRODES


@pytest.mark.parametrize(
    ("monkey", "of_region"),
    [("F", {"V1": 512, "IT": 320, "V4": 192}), ("N", {"V1": 512, "V4": 256, "IT": 256})],
)
def test_regions_are_those_of_the_monkey(folder, monkey, of_region):
    tvsd_files.norm_mua(folder / "THINGS_normMUA.mat", **SIZES)
    regions = read(folder, monkey=monkey).targets["region"].to_pylist()
    assert {name: regions.count(name) for name in of_region} == of_region
    assert regions[900] == ("V4" if monkey == "F" else "IT")


def test_the_monkey_is_the_folders_or_is_asked_for(folder):
    other = folder.rename(folder.parent / "data")
    tvsd_files.norm_mua(other / "THINGS_normMUA.mat", **SIZES)
    with pytest.raises(
        BadInput, match='does not say which monkey\'s it is; set monkey = "F" or "N"'
    ):
        read(other)


def change(folder, name, values):
    with h5py.File(folder / "THINGS_normMUA.mat", "a") as file:
        del file[name]
        if values is not None:
            file[name] = values


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("train_MUA", None, r"has no variable 'train_MUA' \(variables: SNR_max, oracle, .*test_MUA_reps"),
        ("train_MUA", np.zeros((19, 1024)), r"train_MUA has shape \(19, 1024\); expected 20 images"),
        ("test_MUA_reps", np.zeros((4, 1024)), "expected 4 images .* and their repetitions"),
        ("train_MUA", np.zeros((20, 1000)), "1024 electrodes"),
        ("reliab", np.zeros((4, 7)), r"reliab has shape \(4, 7\), not 1024 electrodes once"),
        ("train_MUA", np.array([[b"x"] * 20]), "is .*, not numbers"),
    ],
)  # fmt: skip
def test_other_variables_are_one_line(folder, name, values, reason):
    tvsd_files.norm_mua(folder / "THINGS_normMUA.mat", **SIZES)
    change(folder, name, values)
    with pytest.raises(BadInput, match=f"^recording 'it': .*THINGS_normMUA.mat.*{reason}"):
        read(folder)


def test_a_file_that_is_cut_off_is_one_line(folder):
    path = folder / "THINGS_normMUA.mat"
    tvsd_files.norm_mua(path, **SIZES)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(
        BadInput, match=r"^recording 'it': .*THINGS_normMUA\.mat is not THINGS_normMUA"
    ):
        read(folder)


@pytest.mark.parametrize("version", ["7.3", "5"])
def test_a_glimpse_counts_the_training_images_without_their_names(folder, version):
    tvsd_files.norm_mua(folder / "THINGS_normMUA.mat", **SIZES)
    listed = folder.parent / "things_imgs.mat"
    if version == "5":
        kind = [("class", "O"), ("things_path", "O")]
        parts = {"train_imgs": TRAIN, "test_imgs": TEST}
        savemat(listed, {key: np.array([("x", one) for one in names], kind) for key, names in parts.items()})  # fmt: skip
    section = TvsdSection(stimuli="s", path=folder / "THINGS_normMUA.mat", images=listed)
    whole, glimpse = (read("r", 2**28) for read in (section.presentations, section.glimpsed))
    assert len(glimpse.stimulus_ids) == len(whole.stimulus_ids)
    assert len(set(glimpse.stimulus_ids)) == len(set(whole.stimulus_ids))
    assert glimpse.splits == whole.splits
    some = np.array([0, 700])
    tested = whole.read(some)[len(TRAIN) :]
    assert_array_equal(glimpse.sample.read(some), tested)
    assert glimpse.sample.stimulus_ids == whole.stimulus_ids[len(TRAIN) :]


def test_a_list_without_training_images_is_one_line_in_a_glimpse(folder):
    tvsd_files.norm_mua(folder / "THINGS_normMUA.mat", **SIZES)
    listed = folder.parent / "things_imgs.mat"
    with h5py.File(listed, "r+") as file:
        del file["train_imgs"]
    section = TvsdSection(stimuli="s", path=folder / "THINGS_normMUA.mat", images=listed)
    with pytest.raises(
        BadInput, match=r"has no variable 'train_imgs'; give TVSD's things_imgs\.mat"
    ):
        section.glimpsed("recording 'r'", 2**28)
