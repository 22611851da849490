"""Random regression problems, and the predictions of scikit-learn on the full features."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import pearsonr

from zoo_eval.numerics.gram import centred_blocks
from zoo_eval.numerics.splits import grouped_folds


class Problem(NamedTuple):
    """Features (row, feature), responses (row, target), and the rows to train and test on."""

    features: np.ndarray
    responses: np.ndarray
    train: np.ndarray
    test: np.ndarray

    def gram(self) -> torch.Tensor:
        return torch.from_numpy(self.features @ self.features.T)

    def blocks(self) -> tuple[torch.Tensor, torch.Tensor]:
        return centred_blocks(
            self.gram(), torch.from_numpy(self.train), torch.from_numpy(self.test)
        )

    def training(self) -> tuple[np.ndarray, np.ndarray]:
        return self.features[self.train], self.responses[self.train]

    def r(self, predicted) -> np.ndarray:
        """Pearson r per target on the test rows, by SciPy."""
        observed = self.responses[self.test]
        predicted = np.asarray(predicted).reshape(observed.shape)
        return np.array([pearsonr(x, y).statistic for x, y in zip(predicted.T, observed.T)])


def problem(
    *,
    n: int,
    p: int,
    targets: int,
    decay: float = 0.5,
    noise: float = 1.0,
    mean: float = 0.0,
    seed=0,
) -> Problem:
    """A linear problem with a power-law spectrum and a mean of `mean` times a random vector."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, p)) * np.arange(1.0, p + 1) ** -decay
    signal = features @ rng.standard_normal((p, targets))
    responses = signal / signal.std(0) + noise * rng.standard_normal((n, targets))
    order = rng.permutation(n)
    train, test = np.sort(order[n // 4 :]), np.sort(order[: n // 4])
    return Problem(
        features + mean * rng.standard_normal(p), responses + mean, train=train, test=test
    )


def ten_folds(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Training and test rows of ten folds, bool (fold, row)."""
    test = torch.zeros(10, n, dtype=torch.bool)
    for number, fold in enumerate(grouped_folds([str(i) for i in range(n)], n_folds=10, seed=0)):
        test[number, torch.from_numpy(fold.test)] = True
    return ~test, test
