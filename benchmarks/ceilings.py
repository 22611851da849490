"""Ceilings against simulated truth, by estimator, repetitions and noise.

python -m benchmarks.ceilings [--quick]

Targets are mixtures of 20 components, of variance 1 over the stimuli; each repetition adds noise of a
stated standard deviation s. The truth of split halves, ncsnr and Brain-Score's internal consistency is
the reliability of the mean over n repetitions, 1 / (1 + s^2 / n); that of leave-one-out is the r of one
repetition and the mean of the others. The most alike pair of targets estimates neither: it stands
beside the r that a perfect model reaches, and so do Nili's bounds, of subjects whose RDMs are a shared
one and noise. Biases are in per cent of the truth, of split halves with their standard error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.measurement import quick, report, show
from zoo_eval.numerics import ceilings
from zoo_eval.numerics.ceilings import Array
from zoo_eval.numerics.rdm_ceilings import nili_lower, nili_upper
from zoo_eval.numerics.rsa import Rdm, compare

N_COMPONENTS, N_SPLITS, MOST_REPETITIONS = 20, 10, 10
# Targets that are simulated together: one recording.
N_TOGETHER = 250
MANY_STIMULI, FEW_STIMULI = 4000, 100
N_PAIRS, N_GROUPS = 4186, 20


@dataclass(frozen=True)
class Cell:
    """Estimates of one setting: (target,) each, and (recording,) of the most alike pair."""

    n_stimuli: int
    noise: float
    n_repetitions: int
    found: dict[str, Array]

    @property
    def reliability(self) -> float:
        """Of the mean over repetitions."""
        return 1 / (1 + self.noise**2 / self.n_repetitions)

    @property
    def truth(self) -> dict[str, float]:
        """What each estimator estimates."""
        v, others = self.noise**2, self.n_repetitions - 1
        exact = dict.fromkeys(
            ("splithalf_spearman_brown", "ncsnr", "internal_consistency"), self.reliability
        )
        return exact | {"leave_one_out": 1 / ((1 + v) * (1 + v / others)) ** 0.5}

    def bias(self, estimator: str) -> float:
        """Relative, of the mean over targets."""
        return float(self.found[estimator].mean()) / self.truth[estimator] - 1

    def row(self) -> list[str]:
        halves = self.found["splithalf_spearman_brown"]
        error = float(halves.std()) / len(halves) ** 0.5 / self.reliability
        return [
            str(self.n_stimuli), f"{self.noise:g}", str(self.n_repetitions),
            f"{self.reliability:.3f}", f"{float(halves.mean()):.3f}",
            f"{100 * self.bias('splithalf_spearman_brown'):+.2f} ({100 * error:.2f})",
            f"{100 * self.bias('ncsnr'):+.2f}", f"{100 * self.bias('internal_consistency'):+.2f}",
            f"{self.truth['leave_one_out']:.3f}", f"{100 * self.bias('leave_one_out'):+.2f}",
            f"{self.reliability**0.5:.3f}", f"{self.found['max_pairwise_target'].mean():.3f}",
        ]  # fmt: skip


HEADER = (
    "stimuli", "noise SD", "n", "reliability", "split halves", "bias % (s.e.)", "ncsnr, bias %",
    "internal consistency, bias %", "leave-one-out's truth", "bias %", "perfect model's r",
    "most alike targets",
)  # fmt: skip
NILI = ("noise SD", "subjects", "nili_lower", "true RDM's mean rho", "nili_upper")


def main() -> None:
    """Prints both tables, and the largest bias of each estimator that has a truth."""
    small = quick(__doc__ or "")
    noises = (1.0, 2.0) if small else (0.5, 1.0, 2.0, 3.0)
    counts = (2, 3, 5, 10) if small else range(2, MOST_REPETITIONS + 1)
    show(NILI, [_subjects(noise, n) for noise in noises for n in counts])
    print()
    cells = [
        *_cells(MANY_STIMULI, noises, counts, n_recordings=2 if small else 4),
        *_cells(FEW_STIMULI, (1.0, 2.0), counts, n_recordings=16 if small else 64),
    ]
    many = [cell for cell in cells if cell.n_stimuli == MANY_STIMULI]
    unbiased = ("splithalf_spearman_brown", "ncsnr", "leave_one_out")
    worst = {f"{name}_worst_bias": max(abs(c.bias(name)) for c in many) for name in unbiased}
    report(HEADER, [cell.row() for cell in cells], worst | {"n_stimuli": MANY_STIMULI})


def _cells(
    n_stimuli: int, noises: Sequence[float], counts: Sequence[int], *, n_recordings: int
) -> Iterator[Cell]:
    for noise in noises:
        recordings = [_simulated(n_stimuli, noise, seed) for seed in range(n_recordings)]
        for n in counts:
            parts = [_estimates(responses[:, :n]) for responses in recordings]
            found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            yield Cell(n_stimuli, noise, n, found)


def _simulated(n_stimuli: int, noise: float, seed: int) -> Array:
    """One recording (stimulus, repetition, target)."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((N_COMPONENTS, N_TOGETHER))
    signal = rng.standard_normal((n_stimuli, N_COMPONENTS)) @ mixing
    signal = (signal - signal.mean(0)) / signal.std(0)
    shape = (n_stimuli, MOST_REPETITIONS, N_TOGETHER)
    responses: Array = signal[:, None] + noise * rng.standard_normal(shape)
    return responses


def _estimates(responses: Array) -> dict[str, Array]:
    ratio = ceilings.ncsnr(responses)
    return {
        "splithalf_spearman_brown": ceilings.splithalf_spearman_brown(
            responses, n_splits=N_SPLITS, seed=0
        ),
        "ncsnr": ceilings.explainable_variance(ratio, n_averaged=responses.shape[1]),
        "internal_consistency": ceilings.internal_consistency(responses),
        "leave_one_out": ceilings.leave_one_out(responses),
        "max_pairwise_target": ceilings.max_pairwise_target(responses.mean(1)[None]),
    }


def _subjects(noise: float, n_subjects: int) -> list[str]:
    """Nili's bounds of simulated subjects, around what the RDM that they share reaches."""
    found: list[list[float]] = []
    for seed in range(N_GROUPS):
        generator = torch.Generator().manual_seed(seed)
        shared, *own = torch.randn(
            (1 + n_subjects, N_PAIRS), generator=generator, dtype=torch.float64
        )
        rdms = [Rdm(shared + noise * one) for one in own]
        reached = sum(compare(Rdm(shared), one, "spearman") for one in rdms) / n_subjects
        found.append([nili_lower(rdms, "spearman"), reached, nili_upper(rdms, "spearman")])
    return [f"{noise:g}", str(n_subjects), *(f"{value:.3f}" for value in np.mean(found, axis=0))]


if __name__ == "__main__":
    main()
