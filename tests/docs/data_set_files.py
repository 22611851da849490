"""The files that the page of public data sets names: few images, voxels, units and trials, under true names."""

from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from tests.recordings import (
    arcaro_files,
    eeg2_files,
    laion_files,
    nsd_files,
    things_fmri_files,
    triple_n_files,
    tvsd_files,
    voxel_files,
)
from tests.recordings.nsd_files import GRID, PLACES, TRIALS
from tests.stimuli.planted_images import encoded, pixels

SUBJECT = "subj01"
N_SHARED, N_OWN, N_SYNTHETIC = 1000, 40, (40, 24)
N_TRAIN, N_TEST = 40, 10


def furnish(folder: Path) -> None:
    """Adds the files of each set to a folder."""
    tvsd(folder / "tvsd")
    _nsd(folder / "nsd")
    _triple_n(folder / "triple_n")
    _arcaro(folder / "arcaro")
    _things(folder / "things")
    _laion(folder / "laion")
    _eeg(folder / "eeg2")


def tvsd(folder: Path) -> None:
    """Few images; electrodes of a higher region answer these with less noise."""
    (folder / "monkeyF").mkdir(parents=True)
    train, test = (tvsd_files.names(n, part) for n, part in ((N_TRAIN, "train"), (N_TEST, "test")))
    tvsd_files.images(folder / "things_imgs.mat", train, test)
    path = folder / "monkeyF" / "THINGS_normMUA.mat"
    tvsd_files.norm_mua(path, n_train=N_TRAIN, n_test=N_TEST, n_repetitions=30)
    rng = np.random.default_rng(0)
    noise = 1 + 4 * rng.random(tvsd_files.N_ELECTRODES) * (np.arange(1024) < 512)
    shape = (30, N_TEST, tvsd_files.N_ELECTRODES)
    repeated = rng.standard_normal(shape[1:]) + noise * rng.standard_normal(shape)
    deviations = repeated - repeated.mean(1, keepdims=True)
    scaled = deviations / np.linalg.norm(deviations, axis=1, keepdims=True)
    with h5py.File(path, "r+") as file:
        file["test_MUA_reps"][...] = repeated
        file["reliab"][...] = (scaled[:6] * scaled[6:12]).sum(1)


def _brick(path: Path, n: int) -> None:
    with h5py.File(path, "w") as file:
        file["imgBrick"] = pixels(n, 8, 8)


def _nsd(folder: Path) -> None:
    """One subject, who saw all of its images in two sessions; and NSD-synthetic."""
    own = folder / SUBJECT
    own.mkdir(parents=True)
    n = N_SHARED + N_OWN
    _brick(folder / "nsd_stimuli.hdf5", n)
    shared = np.arange(1, N_SHARED + 1)
    images = np.tile(np.arange(1, n + 1), (8, 1))
    order = np.resize(np.random.default_rng(0).permutation(n) + 1, (1, 2 * TRIALS))
    design = {"subjectim": images, "masterordering": order, "sharedix": shared[None]}
    savemat(folder / "nsd_expdesign.mat", design)
    for session in (1, 2):
        nsd_files.betas(own / f"betas_session{session:02d}.hdf5", nsd_files.stored(session))
    voxel_files.nifti(own / "ncsnr.nii.gz", np.linspace(0, 1, 24, dtype=np.float32).reshape(GRID))
    voxel_files.mask(folder / "roi" / "nsdgeneral.nii.gz", GRID, PLACES)
    names = ("nsdsynthetic_stimuli", "nsdsynthetic_colorstimuli_subj01")
    for name, n_images in zip(names, N_SYNTHETIC):
        _brick(folder / f"{name}.hdf5", n_images)
    shown = np.tile(np.arange(1, sum(N_SYNTHETIC) + 1), 2)[None]
    savemat(folder / "nsdsynthetic_expdesign.mat", {"masterordering": shown})
    stored = nsd_files.stored(3, shown.size)
    nsd_files.betas(own / "betas_nsdsynthetic.hdf5", stored, chunks=(shown.size, 1, 1, 1))


def _triple_n(folder: Path) -> None:
    for name in ("GoodUnit", "Processed"):
        (folder / name).mkdir(parents=True)
    for number in triple_n_files.N_UNITS:
        values = triple_n_files.planted(number, n_ms=220)
        triple_n_files.good_unit(folder / "GoodUnit", number, values, onset=50)
        reliable = np.full((1, triple_n_files.N_UNITS[number]), 0.5)
        triple_n_files.processed(folder / "Processed", number, reliability_best=reliable)
    triple_n_files.areas(folder / "exclude_area.csv")


def _arcaro(folder: Path) -> None:
    images = folder / "natural_test"
    images.mkdir(parents=True)
    for name, image in zip(arcaro_files.IDS, pixels(len(arcaro_files.IDS))):
        (images / name).write_bytes(encoded(image, "PNG"))
    shape = (5, 5, 90, 64, len(arcaro_files.IDS))
    arcaro_files.monkey(folder / "monkey_1.mat", imageRF=arcaro_files.planted(shape))


def _images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, pixels(len(names))):
        (folder / name).write_bytes(encoded(image))


def _names(n: int, kind: str) -> list[str]:
    return [f"{kind}_{number:02d}s.jpg" for number in range(n)]


def _things(folder: Path) -> None:
    betas, train, test = folder / "betas_csv", _names(N_TRAIN, "car"), _names(N_TEST, "dog")
    betas.mkdir(parents=True)
    for kind, names in (("car", train), ("dog", test)):
        _images(folder / "object_images" / kind, names)
    trials = [("train", 1 + number % 2, name) for number, name in enumerate(train)]
    trials += [("test", session, name) for session in (1, 2) for name in test]
    responses = np.random.default_rng(0).normal(
        size=(len(trials), len(things_fmri_files.VOXEL_IDS))
    )
    things_fmri_files.fixed(betas / "sub-01_ResponseData.h5", responses)
    things_fmri_files.stimulus_metadata(betas / "sub-01_StimulusMetadata.csv", trials)
    voxels = things_fmri_files.voxel_metadata(betas / "sub-01_VoxelMetadata.csv")
    header, *rows = voxels.read_text().splitlines()
    lines = [f"{header},nc_testset", *(f"{row},{20 + number}" for number, row in enumerate(rows))]
    voxels.write_text("\n".join(lines) + "\n")


def _laion(folder: Path) -> None:
    names = _names(N_TRAIN + N_TEST, "scene")
    for session in ("ses-01", "ses-02"):
        func = folder / "sub-01" / session / "func"
        func.mkdir(parents=True)
        values = np.random.default_rng(1).normal(size=(*laion_files.GRID, len(names)))
        betas = func / laion_files.NAME.format(session)
        voxel_files.nifti(betas, values.astype(np.float32))
        laion_files.trials(func / laion_files.TRIALS.format(session), session, names)
    voxel_files.mask(folder / "sub-01_mask.nii.gz", laion_files.GRID, laion_files.PLACES)
    laion_files.split(folder / "splits" / "tau.json", names[:N_TRAIN], names[N_TRAIN:])
    with h5py.File(folder / "task-images_stimuli.h5", "w") as file:
        images = file.create_dataset("images", (len(names),), h5py.vlen_dtype(np.uint8))
        for number, image in enumerate(pixels(len(names))):
            images[number] = np.frombuffer(encoded(image), np.uint8)
    header = "image_name,participant,unique_or_shared"
    lines = [header, *(f"{name},sub-01,unique" for name in names)]
    (folder / "task-images_metadata.csv").write_text("\n".join(lines) + "\n")


def _eeg(folder: Path) -> None:
    images = {"training": _names(N_TRAIN, "car"), "test": _names(N_TEST, "dog")}
    channels, times = ["O1", "Oz", "O2", "Pz"], eeg2_files.TIMES
    (folder / "sub-01").mkdir(parents=True)
    for (part, names), n_repetitions in zip(images.items(), (2, 4)):
        shape = (len(names), n_repetitions, len(channels), len(times))
        values = np.random.default_rng(2).normal(size=shape)
        path = folder / "sub-01" / f"preprocessed_eeg_{part}.npy"
        eeg2_files.part(path, values, channels=channels, times=times)
        _images(folder / "image_set" / f"{part}_images" / f"00001_{names[0][:3]}", names)
    eeg2_files.metadata(folder / "image_metadata.npy", images)
