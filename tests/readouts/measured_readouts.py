"""Each readout's predicted and actual peak memory, in a process of its own."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.planted_nets import noise
from zoo_eval.models import allocator
from zoo_eval.readouts.cka import Cka
from zoo_eval.readouts.design import Design, Reduction
from zoo_eval.readouts.pls import Pls
from zoo_eval.readouts.procrustes import Procrustes
from zoo_eval.readouts.reverse_pls import ReversePls
from zoo_eval.readouts.reverse_ridge import ReverseRidge
from zoo_eval.readouts.ridge import Ridge
from zoo_eval.readouts.rsa import Rsa
from zoo_eval.recordings.rdm import RdmRecording
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.representations.grams import LayerGram
from zoo_eval.representations.units import Units, drawn

N_STIMULI, N_IMAGES, N_SUBJECTS, N_RESAMPLES = 800, 700, 3, 200
REDUCED = Reduction(1000, N_IMAGES, "digest")
# Readout, protocol, targets (0: RDMs of subjects), reduction.
MEASURED = {
    "pls nested 100": (Pls(), "nested", 100, None),
    # Fewer components take as much memory, and a third of the time.
    "pls nested 800": (Pls(components=3), "nested", 800, None),
    "pls brainscore 100": (Pls(), "brainscore", 100, None),
    "pls brainscore 100, reduced": (Pls(), "brainscore", 100, REDUCED),
    "ridge nested 100": (Ridge(), "nested", 100, None),
    "ridge nested 800": (Ridge(), "nested", 800, None),
    "ridge nested 2500": (Ridge(alphas="brainscore"), "nested", 2500, None),
    "ridge nested 100, gaps": (Ridge(), "nested", 100, None),
    "pls nested 100, gaps": (Pls(), "nested", 100, None),
    "reverse_ridge": (ReverseRidge(), "nested", 100, None),
    "reverse_pls": (ReversePls(components=3), "nested", 100, None),
    "reverse_pls of many targets": (ReversePls(components=3), "nested", 900, None),
    "rsa spearman": (Rsa(), "nested", 100, None),
    "rsa pearson": (Rsa(comparison="pearson"), "nested", 100, None),
    "rsa kendall_tau_a": (Rsa(comparison="kendall_tau_a"), "nested", 100, None),
    "cka debiased": (Cka(), "nested", 100, None),
    "cka plain": (Cka(cka="plain"), "nested", 100, None),
    "procrustes": (Procrustes(), "nested", 100, None),
    "rsa spearman of subjects": (Rsa(), "nested", 0, None),
    "cka debiased of subjects": (Cka(), "nested", 0, None),
}


def main() -> None:
    """Prints a line for each of `MEASURED`: predicted and actual bytes."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((N_STIMULI + N_IMAGES, 400))
    labels = tuple(row % 20 for row in range(N_STIMULI))
    stimuli = replace(noise(N_STIMULI), labels=labels)
    _warm_up()
    for name in MEASURED:
        print(name, *_measured(name, features, stimuli))


def _measured(name, features, stimuli):
    """Predicted and actual bytes; nothing is left when it returns."""
    readout, protocol, n_targets, reduction = MEASURED[name]
    design = Design(protocol, n_resamples=N_RESAMPLES, reduction=reduction)
    gaps = name.endswith("gaps")
    recording = _recording(features, n_targets, gaps) if n_targets else _rdm_recording(features)
    layer = _layer(features, design.n_images, readout.n_drawn)
    settled = readout.settled(protocol)
    predicted = settled.kept_bytes(recording, design) + settled.peak_bytes(recording, design)
    before = _reset()
    scorer = settled.scorer(recording, stimuli, design, torch.device("cpu"))
    # What the first layer leaves is there beside the second.
    for _ in range(2 if readout.mode == "similarity" else 1):
        scorer(layer)
    return predicted, _peak() - before


def _layer(features, n_images=0, n_drawn=None):
    own = torch.from_numpy(features[: N_STIMULI + n_images])
    if n_drawn is not None:
        # As many directions as there are stimuli, and units.
        own = torch.randn(len(own), 1200, generator=torch.Generator().manual_seed(0)).double()
    numbers = drawn("layer", own.shape[1], n_drawn or 0, 0)
    units = None if n_drawn is None else Units(numbers, own[:, numbers].float())
    return LayerGram(own @ own.T, own.sum(1), (own.shape[1],), units=units)


def _recording(features, n_targets, gaps=False):
    rng = np.random.default_rng(1)
    signal = features[:N_STIMULI] @ rng.standard_normal((features.shape[1], n_targets))
    responses = signal / signal.std(0) + rng.standard_normal(signal.shape)
    if gaps:
        responses[:50, : n_targets // 2] = np.nan
    return ResponseRecording("r", "s", responses[:, None], tuple(map(str, range(n_targets))))


def _rdm_recording(features):
    own = features[:N_STIMULI, :50]
    squares = (own**2).sum(1)
    rdm = np.maximum(squares + squares[:, None] - 2 * own @ own.T, 0)
    rdm = (rdm + rdm.T) / 2
    np.fill_diagonal(rdm, 0)
    rdms = np.stack([rdm * (1 + subject) for subject in range(N_SUBJECTS)])
    subjects = tuple(map(str, range(N_SUBJECTS)))
    return RdmRecording("r", "s", rdms, subjects, "squared_euclidean")


def _warm_up():
    """Libraries allocate what they work in at the first call, and are imported at the first use."""
    importlib.import_module("sklearn.model_selection")
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
