"""RSA from a Gram matrix, beside rsatoolbox on the features, in one run.

python -m benchmarks.rsa [--quick]

One layer is compared with a recording of four subjects: with each, and with their mean RDM. The
recording's RDMs are given to both sides; ours keeps their ranks between layers, as it does in a
sweep. Seconds are per layer. The rival starts from features; ours once from features too, and
once from the Gram matrix, which all readouts of a layer share.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import product
from typing import Any, get_args

import numpy as np
import torch

from benchmarks.measurement import quick, report
from zoo_eval.numerics.rsa import (
    Comparison,
    Dissimilarity,
    Rdm,
    compare_with_each,
    dissimilarities,
    feature_dissimilarities,
    mean_rdm,
)

# It says that it is typed, but exports none of its types.
rsatoolbox: Any = import_module("rsatoolbox")

N_FEATURES = 2000
N_SUBJECTS = 4
N_TURNS = 5
TURN_S = 0.1
# OpenBLAS's threads spin for a while after a product, on cores that the next one needs.
PAUSE_S = 0.1
RIVAL_DISSIMILARITIES: dict[Dissimilarity, str] = {
    "squared_euclidean": "euclidean",
    "correlation": "correlation",
}
RIVAL_COMPARISONS: dict[Comparison, str] = {
    "pearson": "corr",
    "spearman": "spearman",
    "kendall_tau_a": "tau-a",
    "cosine": "cosine",
}


class Problem:
    """A layer's features and four subjects' RDMs, for one number of stimuli."""

    def __init__(self, n_stimuli: int, dissimilarity: Dissimilarity) -> None:
        rng = np.random.default_rng(0)
        latent = rng.standard_normal((n_stimuli, 40))
        self.dissimilarity = dissimilarity
        self.features = _mixed(latent, N_FEATURES, rng)
        subjects = [torch.from_numpy(_mixed(latent, 60, rng)) for _ in range(N_SUBJECTS)]
        self.subjects = [Rdm(feature_dissimilarities(s, dissimilarity)) for s in subjects]
        self.recording = [*self.subjects, mean_rdm(self.subjects)]
        self.rival_recording = rsatoolbox.rdm.RDMs(
            np.stack([r.dissimilarities.numpy() for r in self.recording])
        )
        features = torch.from_numpy(self.features)
        self.gram, self.row_sums = features @ features.T, features.sum(1)

    def from_gram(self, comparison: Comparison) -> np.ndarray:
        """Ours, with the Gram matrix given: one value per subject, and for the mean RDM."""
        layer = dissimilarities(self.gram, self.row_sums, N_FEATURES, self.dissimilarity)
        return self._compared(Rdm(layer), comparison)

    def from_features(self, comparison: Comparison) -> np.ndarray:
        """Ours, with the Gram matrix counted."""
        features = torch.from_numpy(self.features)
        return self._compared(
            Rdm(feature_dissimilarities(features, self.dissimilarity)), comparison
        )

    def rival(self, comparison: Comparison) -> np.ndarray:
        """The values of rsatoolbox."""
        method = RIVAL_DISSIMILARITIES[self.dissimilarity]
        layer = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(self.features), method)
        values: np.ndarray = rsatoolbox.rdm.compare(
            layer, self.rival_recording, RIVAL_COMPARISONS[comparison]
        )[0]
        return values

    def _compared(self, layer: Rdm, comparison: Comparison) -> np.ndarray:
        return np.array(compare_with_each(layer, self.recording, comparison))


def main() -> None:
    """Prints times, ratios and the largest difference in any score."""
    small = quick(__doc__ or "")
    rows, given, counted, difference = [], {}, {}, 0.0
    for n_stimuli in (92, 500, 1000) if small else (92, 500, 1000, 3000):
        cells = []
        for dissimilarity, comparison in product(RIVAL_DISSIMILARITIES, get_args(Comparison)):
            problem = Problem(n_stimuli, dissimilarity)
            apart = problem.from_gram(comparison) - problem.rival(comparison)
            difference = max(difference, float(np.abs(apart).max()))
            times = _interleaved(
                [problem.from_gram, problem.from_features, problem.rival], comparison
            )
            cells.append(times)
            rows.append(_row(n_stimuli, f"{dissimilarity}, {comparison}", times))
        given[n_stimuli] = [rival / ours for ours, _, rival in cells]
        counted[n_stimuli] = [rival / ours for _, ours, rival in cells]
        totals = [sum(times) for times in zip(*cells)]
        rows.append(_row(n_stimuli, "all of these", totals))
    report(
        ["stimuli", "dissimilarity, comparison", "ours, Gram given, s", "ours, s",
         "rsatoolbox, s", "ratio, Gram given", "ratio"],
        rows,
        {
            "rsa_speedup": min(map(_geometric_mean, given.values())),
            "rsa_speedup_gram_counted": min(map(_geometric_mean, counted.values())),
            "rsa_least_speedup": min(map(min, given.values())),
            "rsa_least_speedup_gram_counted": min(map(min, counted.values())),
            "rsa_max_abs_diff": difference,
        },
    )  # fmt: skip


def _interleaved(
    works: Sequence[Callable[[Comparison], object]], comparison: Comparison
) -> list[float]:
    """Median seconds of each, in turns after two calls; short ones several times in a turn."""
    times: list[list[float]] = [[] for _ in works]
    calls = []
    for work in works:
        work(comparison)
        start = time.perf_counter()
        work(comparison)
        calls.append(max(1, round(TURN_S / (time.perf_counter() - start))))
    for _ in range(N_TURNS):
        for work, n_calls, found in zip(works, calls, times, strict=True):
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            for _ in range(n_calls):
                work(comparison)
            found.append((time.perf_counter() - start) / n_calls)
    return [statistics.median(found) for found in times]


def _mixed(latent: np.ndarray, n_features: int, rng: np.random.Generator) -> np.ndarray:
    mixing = rng.standard_normal((latent.shape[1], n_features))
    noise: np.ndarray = rng.standard_normal((len(latent), n_features))
    mixed: np.ndarray = latent @ mixing + 3 * noise
    return mixed


def _row(n_stimuli: int, cell: str, times: Sequence[float]) -> list[str]:
    given, counted, rival = times
    return [
        str(n_stimuli), cell, f"{given:.4f}", f"{counted:.4f}", f"{rival:.4f}",
        f"{rival / given:.1f}", f"{rival / counted:.1f}",
    ]  # fmt: skip


def _geometric_mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


if __name__ == "__main__":
    main()
