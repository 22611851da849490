"""Each readout's predicted and actual peak memory, in a process of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.planted_nets import noise
from zoo_eval.models import allocator
from zoo_eval.readouts.regression import Regression
from zoo_eval.readouts.similarity import Measure, Reference
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.grams import LayerGram

N_STIMULI, N_IMAGES, N_SUBJECTS, N_RESAMPLES = 1200, 1000, 3, 200
FITS = {
    "pls nested 100": ("pls", "nested", 100, 0),
    "pls nested 800": ("pls", "nested", 800, 0),
    "pls brainscore 100": ("pls", "brainscore", 100, 0),
    "pls brainscore 100, reduced": ("pls", "brainscore", 100, N_IMAGES),
    "ridge nested 100": ("ridge", "nested", 100, 0),
    "ridge nested 800": ("ridge", "nested", 800, 0),
}
MEASURES = {
    "rsa spearman": Measure("rsa"),
    "rsa pearson": Measure("rsa", comparison="pearson"),
    "rsa kendall_tau_a": Measure("rsa", comparison="kendall_tau_a"),
    "cka debiased": Measure("cka"),
    "cka plain": Measure("cka", cka="plain"),
    "procrustes": Measure("procrustes"),
}
OF_SUBJECTS = {f"{name} of subjects": MEASURES[name] for name in ("rsa spearman", "cka debiased")}
NAMES = [*FITS, *MEASURES, *OF_SUBJECTS]


def main() -> None:
    """Prints a line for each of `NAMES`: predicted and actual bytes."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((N_STIMULI + N_IMAGES, 400))
    labels = tuple(row % 20 for row in range(N_STIMULI))
    stimuli = replace(noise(N_STIMULI), labels=labels)
    _warm_up()
    for name, (readout, protocol, n_targets, n_images) in FITS.items():
        fit = Regression(
            readout, protocol, n_folds=5, n_inner_folds=4, components=25,
            choose_components=protocol == "nested",
            pca_components=1000 if n_images else None, n_resamples=N_RESAMPLES,
        )  # fmt: skip
        recording, layer = _recording(features, n_targets), _layer(features, n_images)
        predicted = fit.peak_bytes(recording, n_images)
        before = _reset()
        fit.rows(layer, recording, stimuli, seed=0)
        print(name, predicted, _peak() - before)
    layer, recording = _layer(features), _recording(features, 100)
    rdms = _rdm_recording(features)
    for name, measure in (MEASURES | OF_SUBJECTS).items():
        reference = Reference(
            measure, rdms if name in OF_SUBJECTS else recording, stimuli.groups, 5, seed=0
        )
        predicted = reference.kept_bytes + reference.peak_bytes(N_RESAMPLES)
        before = _reset()
        # What the first keeps is there beside the second.
        for _ in range(2):
            reference.scores(layer, n_resamples=N_RESAMPLES)
        print(name, predicted, _peak() - before)


def _layer(features, n_images=0):
    own = torch.from_numpy(features[: N_STIMULI + n_images])
    return LayerGram(own @ own.T, own.sum(1), (own.shape[1],))


def _recording(features, n_targets):
    rng = np.random.default_rng(1)
    signal = features[:N_STIMULI] @ rng.standard_normal((features.shape[1], n_targets))
    responses = signal / signal.std(0) + rng.standard_normal(signal.shape)
    return Recording("r", "s", responses[:, None], tuple(map(str, range(n_targets))))


def _rdm_recording(features):
    own = features[:N_STIMULI, :50]
    squares = (own**2).sum(1)
    rdm = np.maximum(squares + squares[:, None] - 2 * own @ own.T, 0)
    rdm = (rdm + rdm.T) / 2
    np.fill_diagonal(rdm, 0)
    rdms = np.stack([rdm * (1 + candidate) for candidate in range(N_SUBJECTS)])
    subjects = tuple(map(str, range(N_SUBJECTS)))
    return RdmRecording("r", "s", rdms, subjects, "squared_euclidean")


def _warm_up():
    """Libraries allocate what they work in at the first call."""
    square = torch.eye(300, dtype=torch.float64)
    torch.linalg.eigh(square @ square)
    torch.linalg.svdvals(square)
    np.eye(300) @ np.eye(300)


def _reset():
    """Frees what is free, and starts measuring: bytes in use."""
    allocator.give_back()
    Path("/proc/self/clear_refs").write_text("5")
    return _of_status("VmRSS")


def _peak():
    return _of_status("VmHWM")


def _of_status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
