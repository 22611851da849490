"""A subject of THINGS-EEG2, fewer images: dicts that numpy.save pickles, as the authors' code writes them."""

import numpy as np

CHANNELS = ["Pz", "P3", "Oz"]
TIMES = np.linspace(-0.2, 0.8, 11)
IMAGES = {
    "training": ["aardvark_01b.jpg", "abacus_02s.jpg", "zucchini_10s.jpg", "wheel_03s.jpg"],
    "test": ["bench_05n.jpg", "crab_11s.jpg"],
}
SHAPES = {"training": (4, 4), "test": (2, 6)}


def planted(part):
    """Responses (image, repetition, channel, time)."""
    rng = np.random.default_rng(len(part))
    return rng.standard_normal((*SHAPES[part], len(CHANNELS), len(TIMES)))


def metadata(path, images=IMAGES):
    held = {"train_img_concepts": ["00001_aardvark"] * 4, "train_img_files": images["training"],
            "test_img_concepts": ["00001_bench"] * 2, "test_img_files": images["test"]}  # fmt: skip
    np.save(path, held)


def part(path, responses, *, channels=CHANNELS, times=TIMES, **more):
    held = {"preprocessed_eeg_data": responses, "ch_names": channels, "times": times} | more
    np.save(path, held)


def folder(path):
    """A subject's folder, beside which is the images' metadata."""
    path.mkdir(parents=True, exist_ok=True)
    for name in IMAGES:
        part(path / f"preprocessed_eeg_{name}.npy", planted(name))
    metadata(path / "image_metadata.npy")
    return path
