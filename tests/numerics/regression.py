"""Random regression problems, and the predictions of scikit-learn on the full features."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import pearsonr
from sklearn.cross_decomposition import PLSRegression

from tests.rounding import float64_products
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

    def rounding(self, penalty: float = 0.0) -> float:
        """How far float64 may move r: the Gram matrix's error over its smallest eigenvalue.

        Entries are sums over features, mean included, from which the training rows' means are
        taken; n errors add up as their squares do. Null directions count where a penalty of them
        is all that is left, and else not, since what follows leaves them out.
        """
        n, p = self.features.shape
        error = float64_products(p + 2 * n, (self.features**2).sum(1).max()) * n**0.5
        centred = self.features[self.train] - self.features[self.train].mean(0)
        eigenvalues = np.linalg.svd(centred, compute_uv=False) ** 2
        if penalty:
            smallest = eigenvalues.min() if p >= len(self.train) else 0.0
            return error / (smallest + penalty)
        return error / eigenvalues[eigenvalues > error].min()

    def predictions_rounding(self, penalty: float = 0.0) -> float:
        """The same of predictions, which are as large as the responses."""
        spread = np.ptp(self.responses, axis=0).max()
        mean = float64_products(len(self.responses), np.abs(self.responses).max())
        return self.rounding(penalty) * spread + mean

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


def exact_pls(features, responses, n_components: int) -> PLSRegression:
    """Scikit-learn's PLS with the singular vectors of LAPACK, fitted.

    Its default, a power iteration, stops at steps that say little of how far the end is: 1e-14
    squared may be 1e-6 away.
    """
    model = PLSRegression(n_components, scale=False)
    model.algorithm = "svd"
    return model.fit(features, responses)


def ten_folds(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Training and test rows of ten folds, bool (fold, row)."""
    test = torch.zeros(10, n, dtype=torch.bool)
    for number, fold in enumerate(grouped_folds([str(i) for i in range(n)], n_folds=10, seed=0)):
        test[number, torch.from_numpy(fold.test)] = True
    return ~test, test
