"""PLS and ridge from a Gram matrix beside scikit-learn, ikpls and himalaya, in one run on the same cores.

    python -m benchmarks.neural_fit [--quick]

A full run also writes docs/neural_fit.svg: cost against stimuli, features, targets and layers.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import himalaya.backend
import numpy as np
import numpy.typing as npt
import torch
from himalaya.kernel_ridge import KernelRidgeCV
from ikpls import numpy as ikpls
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from torch import Tensor

from benchmarks import neural_fit_figure
from benchmarks.measurement import quick, report, seconds, timed
from zoo_eval.numerics import ridge
from zoo_eval.numerics.correlation import pearson
from zoo_eval.numerics.gram import centred_blocks
from zoo_eval.numerics.path_scores import path_scores
from zoo_eval.numerics.pls import fit_paths
from zoo_eval.numerics.products import cross_products
from zoo_eval.numerics.splits import Fold, grouped_folds

Features = npt.NDArray[Any]
N_COMPONENTS, N_FOLDS, N_INNER = 25, 10, 5
TIGHT = {"tol": 1e-14, "max_iter": 20_000}
RELATIVE_ALPHAS = 10.0 ** np.linspace(-5, 4, 20)
TILE = 640


@dataclass(frozen=True)
class Sizes:
    """How large each part is."""

    n: int = 2560
    n_targets: int = 168
    p: int = 2000
    n_reduced: int = 1000
    p_wide: int = 100_000
    ridge_n: tuple[int, ...] = (300, 1000, 2304)
    n_runs: int = 5


QUICK = Sizes(
    n=960, n_targets=64, p=1200, n_reduced=400, p_wide=20_000, ridge_n=(200, 600), n_runs=1
)


@dataclass(frozen=True, eq=False)
class Problem:
    """Features with variances 1/i, responses half signal and half noise, and ten folds."""

    features: Features
    responses: Features
    folds: list[Fold]

    def masks(self) -> tuple[Tensor, Tensor]:
        """Training and test rows, bool (fold, row)."""
        test = torch.zeros(len(self.folds), len(self.features), dtype=torch.bool)
        for number, fold in enumerate(self.folds):
            test[number, torch.from_numpy(fold.test)] = True
        return ~test, test


def problem(n: int, p: int, n_targets: int, dtype: Any = np.float64) -> Problem:
    """A random problem; wide features are made in single precision, as networks make them."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((n, p), dtype=dtype)
    features *= np.arange(1, p + 1, dtype=dtype) ** -0.5
    signal = features @ rng.standard_normal((p, n_targets), dtype=dtype)
    responses = signal / signal.std(0) + rng.standard_normal((n, n_targets))
    folds = grouped_folds([str(row) for row in range(n)], n_folds=N_FOLDS, seed=0)
    return Problem(features, responses.astype(np.float64), folds)


def accumulated(features: Tensor) -> Tensor:
    """K = F F^T, float64, its lower triangle multiplied tile by tile and mirrored."""
    n = len(features)
    gram = torch.zeros(n, n, dtype=torch.float64)
    origin = torch.zeros(features.shape[1])
    for start in range(0, n, TILE):
        rows = slice(start, start + TILE)
        gram[rows, : start + TILE] = cross_products(
            features[rows], origin, features[: start + TILE]
        )
    return gram.tril() + gram.tril(-1).T


def our_r(gram: Tensor, responses: Tensor, masks: tuple[Tensor, Tensor]) -> Tensor:
    """Pearson r (fold, component, target) of PLS with 1 to 25 components."""
    training, test = masks
    return path_scores(fit_paths(gram, responses, training, N_COMPONENTS), responses, test).r


def sklearn_r(given: Problem, fold: Fold, features: Features, **settings: float) -> Tensor:
    """Pearson r (target,) of scikit-learn's PLS in one fold."""
    model = PLSRegression(N_COMPONENTS, scale=False, **settings)
    model.fit(features[fold.train], given.responses[fold.train])
    return _r(model.predict(features[fold.test]), given, fold)


def ikpls_r(given: Problem, fold: Fold) -> Tensor:
    """Pearson r (target,) of ikpls in one fold."""
    model = ikpls.PLS(algorithm=1, scale_X=False, scale_Y=False)
    model.fit(given.features[fold.train], given.responses[fold.train], N_COMPONENTS)
    return _r(model.predict(given.features[fold.test], N_COMPONENTS), given, fold)


def _r(predicted: Features, given: Problem, fold: Fold) -> Tensor:
    return pearson(torch.from_numpy(predicted), torch.from_numpy(given.responses[fold.test]))


def each_fold(work: Callable[[Fold], Tensor], given: Problem) -> Tensor:
    """Pearson r (fold, target) of the rivals, which fit one fold after another."""
    return torch.stack([work(fold) for fold in given.folds])


@dataclass(frozen=True)
class Row:
    """One fit's cost, by how much ours is faster, and the largest difference in r."""

    fit: str
    seconds: float
    ratio: float = 1.0
    difference: float | None = None

    def cells(self) -> list[str]:
        """For the printed table."""
        difference = "" if self.difference is None else f"{self.difference:.1e}"
        return [self.fit, f"{self.seconds:.3f}", f"{self.ratio:.1f}", difference]


def compare_pls(sizes: Sizes) -> list[Row]:
    """PLS, the Gram matrix given."""
    given = problem(sizes.n, sizes.p, sizes.n_targets)
    gram = torch.from_numpy(given.features @ given.features.T)
    responses, masks = torch.from_numpy(given.responses), given.masks()
    ours, r = timed(lambda: our_r(gram, responses, masks)[:, -1], n_runs=sizes.n_runs)
    reduced = PCA(sizes.n_reduced, svd_solver="covariance_eigh").fit_transform(given.features)
    rows = [Row(f"PLS-{N_COMPONENTS}, ours, Gram matrix given", ours)]
    rivals: dict[str, Callable[[Fold], Tensor]] = {
        "scikit-learn tol=1e-14, max_iter=20000": partial(_tight, given),
        f"scikit-learn default tol, PCA-{sizes.n_reduced}": partial(_default, given, reduced),
        "ikpls": partial(ikpls_r, given),
    }
    for name, work in rivals.items():
        taken, found = timed(partial(each_fold, work, given), n_runs=sizes.n_runs)
        difference = float((found - r).abs().max())
        rows.append(Row(f"PLS-{N_COMPONENTS}, {name}", taken, taken / ours, difference))
    return rows


def _tight(given: Problem, fold: Fold) -> Tensor:
    return sklearn_r(given, fold, given.features, **TIGHT)


def _default(given: Problem, reduced: Features, fold: Fold) -> Tensor:
    return sklearn_r(given, fold, reduced)


def compare_wide(sizes: Sizes) -> list[Row]:
    """PLS of wide float32 features, Gram matrix and PCA on 1000 independent images counted."""
    given = problem(sizes.n, sizes.p_wide, sizes.n_targets, np.float32)
    features, responses = torch.from_numpy(given.features), torch.from_numpy(given.responses)
    masks = given.masks()
    accumulating, gram = timed(lambda: accumulated(features), n_runs=sizes.n_runs)
    fitting = seconds(lambda: our_r(gram, responses, masks), n_runs=sizes.n_runs)
    rng = np.random.default_rng(1)
    images = rng.standard_normal((sizes.n_reduced, sizes.p_wide), dtype=np.float32)
    images *= np.arange(1, sizes.p_wide + 1, dtype=np.float32) ** -0.5
    reducing, reduced = timed(
        lambda: PCA(sizes.n_reduced).fit(images).transform(given.features), n_runs=sizes.n_runs
    )
    work = partial(_default, given, reduced.astype(np.float64))
    taken = seconds(partial(each_fold, work, given), n_runs=sizes.n_runs)
    ours, theirs = accumulating + fitting, reducing + taken
    label = f"p = {sizes.p_wide}, {{}}: {{}} {{:.2f}} s + PLS {{:.2f}} s"
    return [
        Row(label.format("ours", "Gram", accumulating, fitting), ours),
        Row(
            label.format("scikit-learn default tol", f"PCA-{sizes.n_reduced}", reducing, taken),
            theirs,
            theirs / ours,
        ),
    ]


def compare_ridge(n: int, sizes: Sizes) -> tuple[list[Row], int]:
    """Ridge of one training set, 20 penalties, five inner folds; and how many targets' choices differ."""
    given = problem(n + 256, 2 * n, sizes.n_targets)
    gram = torch.from_numpy(given.features @ given.features.T)
    train, test = torch.arange(n), torch.arange(n, n + 256)
    inner, _ = centred_blocks(gram, train, test)
    responses = torch.from_numpy(given.responses)
    alphas = torch.from_numpy(RELATIVE_ALPHAS) * ridge.mean_eigenvalue(inner)
    splitter = KFold(N_INNER)
    held_out = [torch.from_numpy(rows) for _, rows in splitter.split(inner.numpy())]
    himalaya.backend.set_backend("torch")

    def ours() -> ridge.Tuned:
        return ridge.tune(*centred_blocks(gram, train, test), responses[train], alphas, held_out)

    def theirs() -> tuple[Tensor, Tensor]:
        model = KernelRidgeCV(
            alphas.numpy(), kernel="precomputed", fit_intercept=True, cv=splitter, warn=False
        ).fit(gram[train][:, train], responses[train])
        return model.best_alphas_, model.predict(gram[test][:, train])

    own, tuned = timed(ours, n_runs=sizes.n_runs)
    rival, (best, predicted) = timed(theirs, n_runs=sizes.n_runs)
    observed = responses[test]
    difference = (pearson(tuned.predictions, observed) - pearson(predicted, observed)).abs().max()
    name = f"ridge, n = {n}, {len(alphas)} penalties x {N_INNER} inner folds"
    rows = [
        Row(f"{name}, ours", own),
        Row(f"{name}, himalaya", rival, rival / own, float(difference)),
    ]
    return rows, int((~torch.isclose(alphas[tuned.choice], best)).sum())


def said(rows: list[Row]) -> list[Row]:
    """The rows, after a word of progress."""
    for row in rows:
        print(f"{row.fit}: {row.seconds:.3f} s", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Prints times, ratios and differences, and in a full run writes the figure."""
    small = quick(__doc__ or "")
    sizes = QUICK if small else Sizes()
    print(
        f"n = {sizes.n}, p = {sizes.p} unless stated, {sizes.n_targets} targets, {N_FOLDS} folds, "
        f"{torch.get_num_threads()} threads; variances 1/i, signal variance = noise variance\n"
    )
    pls = said(compare_pls(sizes))
    wide = said(compare_wide(sizes))
    ridges = [compare_ridge(n, sizes) for n in sizes.ridge_n]
    rows = [*pls, *wide, *said([row for some, _ in ridges for row in some])]
    costs = neural_fit_figure.measure(our_cost, rival_cost, small=small)
    neural_fit_figure.show(costs, small=small)
    report(
        ["fit", "seconds", "rival / ours", "largest difference in r"],
        [row.cells() for row in rows],
        {
            "pls_speedup": pls[1].ratio,
            "pls_speedup_default_tol": pls[2].ratio,
            "pls_speedup_ikpls": pls[3].ratio,
            "pls_speedup_gram_and_pca_counted": wide[1].ratio,
            "pls_max_abs_diff": pls[1].difference,
            "pls_max_abs_diff_ikpls": pls[3].difference,
            "ridge_speedup": min(some[1].ratio for some, _ in ridges),
            "ridge_max_abs_diff": max(some[1].difference or 0.0 for some, _ in ridges),
            "ridge_choices_that_differ": sum(differing for _, differing in ridges),
        },
    )


def our_cost(n: int, p: int, n_targets: int) -> float:
    """Seconds for Gram matrix and ten folds of PLS."""
    given = problem(n, p, n_targets, np.float32)
    features, responses = torch.from_numpy(given.features), torch.from_numpy(given.responses)
    masks = given.masks()
    return seconds(lambda: our_r(accumulated(features), responses, masks), n_runs=1)


def rival_cost(n: int, p: int, n_targets: int) -> float:
    """Seconds for ten folds of scikit-learn's PLS at its default tolerance."""
    given = problem(n, p, n_targets)
    return seconds(partial(each_fold, partial(_default, given, given.features), given), n_runs=1)


if __name__ == "__main__":
    main()
