"""PLS and ridge from a Gram matrix, beside scikit-learn on the features, in one run.

python -m benchmarks.neural_fit [--quick]
"""

import numpy as np
import torch
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from benchmarks.measurement import quick, report, seconds
from zoo_eval.numerics.correlation import pearson
from zoo_eval.numerics.gram import centred_blocks
from zoo_eval.numerics.pls import predict_path
from zoo_eval.numerics.ridge import predict_alphas
from zoo_eval.numerics.splits import Fold, grouped_folds

N_COMPONENTS = 25
N_FOLDS = 10
ALPHA = 10.0


def main() -> None:
    """Prints times, ratios and the largest difference in per-target r."""
    small = quick(__doc__ or "")
    n, p, q, n_runs = (640, 4000, 32, 1) if small else (2560, 20_000, 168, 5)
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((n, 40))
    x = latent @ rng.standard_normal((40, p)) + rng.standard_normal((n, p))
    y = latent @ rng.standard_normal((40, q)) + 3 * rng.standard_normal((n, q))
    gram, responses = torch.from_numpy(x) @ torch.from_numpy(x).T, torch.from_numpy(y)
    folds = grouped_folds([str(row) for row in range(n)], n_folds=N_FOLDS, seed=0)
    reduced = PCA(min(1000, n // 2), random_state=0).fit_transform(x)

    def ours(fold: Fold) -> torch.Tensor:
        inner, cross = centred_blocks(
            gram, torch.from_numpy(fold.train), torch.from_numpy(fold.test)
        )
        return predict_path(inner, cross, responses[fold.train], N_COMPONENTS)[-1]

    def rival(fold: Fold, features: np.ndarray, **settings: float) -> torch.Tensor:
        model = PLSRegression(N_COMPONENTS, scale=False, **settings)
        fitted = model.fit(features[fold.train], y[fold.train])
        return torch.from_numpy(fitted.predict(features[fold.test]))

    def our_ridge(fold: Fold) -> torch.Tensor:
        inner, cross = centred_blocks(
            gram, torch.from_numpy(fold.train), torch.from_numpy(fold.test)
        )
        return predict_alphas(inner, cross, responses[fold.train], torch.tensor([ALPHA]).double())[
            0
        ]

    def rival_ridge(fold: Fold) -> torch.Tensor:
        model = Ridge(alpha=ALPHA).fit(x[fold.train], y[fold.train])
        return torch.from_numpy(model.predict(x[fold.test]))

    exact = {"tol": 1e-14, "max_iter": 20_000}
    # The exact rival takes minutes a fold at full size: it is timed on one fold and multiplied.
    first = folds[0]
    time_ours = seconds(lambda: [ours(fold) for fold in folds], n_runs=n_runs)
    time_exact = N_FOLDS * seconds(lambda: rival(first, x, **exact), n_runs=1)
    time_default = seconds(lambda: [rival(fold, reduced) for fold in folds], n_runs=n_runs)
    time_ridge = seconds(lambda: [our_ridge(fold) for fold in folds], n_runs=n_runs)
    time_rival_ridge = N_FOLDS * seconds(lambda: rival_ridge(first), n_runs=1)
    observed = responses[first.test]
    difference = (
        pearson(ours(first), observed) - pearson(rival(first, x, **exact), observed)
    ).abs()
    ridge_difference = (
        pearson(our_ridge(first), observed) - pearson(rival_ridge(first), observed)
    ).abs()
    print(f"n = {n}, p = {p}, targets = {q}, {N_FOLDS} folds, {N_COMPONENTS} components\n")
    report(
        ["fit", "seconds", "rival / ours", "largest difference in r"],
        [
            ["PLS, Gram matrix given", f"{time_ours:.3f}", "1", ""],
            ["PLS, scikit-learn tol=1e-14", f"{time_exact:.3f}", f"{time_exact / time_ours:.1f}",
             f"{difference.max():.1e}"],
            ["PLS, scikit-learn default tol on PCA", f"{time_default:.3f}",
             f"{time_default / time_ours:.1f}", ""],
            ["ridge, Gram matrix given", f"{time_ridge:.3f}", "1", ""],
            ["ridge, scikit-learn", f"{time_rival_ridge:.3f}",
             f"{time_rival_ridge / time_ridge:.1f}", f"{ridge_difference.max():.1e}"],
        ],
        {
            "pls_speedup": time_exact / time_ours,
            "pls_speedup_default_tol": time_default / time_ours,
            "pls_max_abs_diff": float(difference.max()),
            "ridge_speedup": time_rival_ridge / time_ridge,
            "ridge_max_abs_diff": float(ridge_difference.max()),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
