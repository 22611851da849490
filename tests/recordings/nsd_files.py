"""Files of the Natural Scenes Dataset, of one subject on a small grid, as its manual describes them."""

import h5py
import numpy as np
from scipy.io import savemat

from tests.recordings.voxel_files import mask, nifti

GRID = (3, 4, 2)
TRIALS = 750
# Chosen voxels (x, y, z), in the order of the file, x fastest.
PLACES = [(0, 0, 0), (2, 0, 0), (1, 3, 0), (0, 2, 1), (2, 3, 1)]
SUBJECT = 2


def betas(path, stored, *, chunks=(TRIALS, 1, 1, 1), places=None, **options):
    """`/betas` as MATLAB writes it: (x, y, z, trial) in reverse; of some places only where given."""
    reverse = stored.transpose(3, 2, 1, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        item = file.create_dataset("betas", reverse.shape, reverse.dtype, chunks=chunks, **options)
        if places is None:
            item[...] = reverse
        for x, y, z in places or ():
            item[:, z, y, x] = stored[x, y, z]
    return path


def stored(seed, n_trials=TRIALS):
    """int16 (x, y, z, trial)."""
    rng = np.random.default_rng(seed)
    return rng.integers(-3000, 3000, (*GRID, n_trials)).astype(np.int16)


def design(path, n_sessions=3, n_images=1000):
    """nsd_expdesign.mat: numbers from 1, the first 40 of each subject's images shared."""
    rng = np.random.default_rng(9)
    shared = np.sort(rng.choice(73_000, 40, replace=False)) + 1
    rest = np.setdiff1d(np.arange(1, 73_001), shared)
    own = [
        np.concatenate([shared, rng.choice(rest, n_images - 40, replace=False)]) for _ in range(8)
    ]
    ordering = rng.integers(1, n_images + 1, (1, n_sessions * TRIALS))
    savemat(
        path,
        {
            "masterordering": ordering.astype(float),
            "subjectim": np.stack(own).astype(float),
            "sharedix": shared[None].astype(float),
            "basiccnt": np.zeros((3, n_sessions)),
            "stimpattern": np.zeros((n_sessions, 12, 75), np.uint8),
        },
    )
    return own[SUBJECT - 1][ordering[0] - 1], set(shared.tolist())


def responses(path, images, subject=SUBJECT):
    """responses.tsv: a row per trial of every session, ids from 1."""
    lines = ["SUBJECT\tSESSION\tRUN\tTRIAL\t73KID\t10KID\tTIME\tISOLD\tRT\n"]
    for number, image in enumerate(images):
        session, trial = divmod(number, TRIALS)
        lines.append(
            f"{subject}\t{session + 1}\t{1 + trial // 63}\t{1 + trial % 63}\t{image}\t1\t0.5\t0\tNaN\n"
        )
    path.write_text("".join(lines))
    return path


def folder(path, sessions=(1, 3), **options):
    """A subject's folder, and what was stored by session."""
    held = {one: stored(one) for one in sessions}
    for session, values in held.items():
        betas(path / f"betas_session{session:02d}.hdf5", values, **options)
    (path / "readme.txt").write_text("not betas")
    mask(path / "mask.nii.gz", GRID, PLACES)
    ncsnr = np.arange(24, dtype=np.float32).reshape(GRID)
    ncsnr[2, 0, 0] = np.nan
    nifti(path / "ncsnr.nii.gz", ncsnr)
    nifti(path / "prf.nii.gz", np.arange(24, dtype=np.int16).reshape(GRID) - 1)
    return held
