"""Spearman alignment with a permutation null, beside SciPy's per pair, in one run.

python -m benchmarks.alignment [--quick]
"""

import time

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from benchmarks.measurement import quick, report, seconds
from zoo_eval.importance.preparation import PUBLISHED, prepare_all
from zoo_eval.numerics.alignment import abs_of_mean, align, paired, ranked

SIDE_PX = 224
N_MAPS = 100


def human_like(n: int, rng: np.random.Generator) -> np.ndarray:
    """Prepared maps (map, row, column): a dozen clicks each, blurred as ClickMe's are."""
    raw = np.zeros((n, 256, 256), np.float32)
    for one in raw:
        one[tuple(rng.integers(40, 216, (2, 12)))] = rng.random(12)
    return prepare_all(list(gaussian_filter(raw, (0, 12, 12))), PUBLISHED)


def main() -> None:
    """Prints times per pair and per null distribution, ratios and the largest difference in rho."""
    small = quick(__doc__ or "")
    n_with_null, n_runs = (10, 3) if small else (50, 5)
    rng = np.random.default_rng(0)
    maps = human_like(N_MAPS, rng)
    # As perturbations are: larger where people look, and stored as float16, with many ties.
    deltas = rng.standard_normal((N_MAPS, 3, SIDE_PX, SIDE_PX)) * 1e-3 * (0.2 + maps[:, None])
    attributions = abs_of_mean(torch.from_numpy(deltas.astype(np.float16)))
    human, theirs = torch.from_numpy(maps), attributions.numpy()
    flat_maps, flat = maps.reshape(N_MAPS, -1), theirs.reshape(N_MAPS, -1)
    known = ranked(human)
    own = range(N_MAPS)

    def scipy_pairs() -> list[float]:
        return [float(spearmanr(a, m).statistic) for a, m in zip(flat, flat_maps)]

    def our_pairs() -> torch.Tensor:
        return paired(ranked(attributions), known, own)

    chosen = attributions[:n_with_null]

    def scipy_null() -> np.ndarray:
        return np.array(
            [[spearmanr(a, m).statistic for m in flat_maps] for a in flat[:n_with_null]]
        )

    def ranks_once() -> np.ndarray:
        ranks = rankdata(np.concatenate([flat[:n_with_null], flat_maps]), axis=1)
        return np.asarray(np.corrcoef(ranks))[:n_with_null, n_with_null:]

    pair_scipy = seconds(scipy_pairs, n_runs=n_runs) / N_MAPS
    pair_ours = seconds(our_pairs, n_runs=n_runs) / N_MAPS
    map_ranks = seconds(lambda: ranked(human), n_runs=n_runs) / N_MAPS
    # By far the longest, so made once, for its time and for its values; `scipy_pairs` came before.
    start = time.perf_counter()
    expected = scipy_null()
    null_scipy = time.perf_counter() - start
    null_ranks = seconds(ranks_once, n_runs=n_runs)
    null_ours = seconds(lambda: align(chosen, ranked(human), range(n_with_null)), n_runs=n_runs)
    null_given = seconds(lambda: align(chosen, known, range(n_with_null)), n_runs=n_runs)

    found = align(chosen, known, range(n_with_null), keep_null=True)
    assert found.null is not None
    null = found.null.numpy()
    null[range(n_with_null), range(n_with_null)] = found.spearman.numpy()
    difference = max(
        float(np.abs(our_pairs().numpy() - scipy_pairs()).max()),
        float(np.abs(null - expected).max()),
    )
    print(f"{SIDE_PX} px, {N_MAPS} maps; the null of {n_with_null} attributions over all maps\n")
    report(
        ["work", "milliseconds", "SciPy / this"],
        [
            ["one pair, SciPy spearmanr", f"{1e3 * pair_scipy:.2f}", "1"],
            ["one pair, ours, map ranks given", f"{1e3 * pair_ours:.2f}",
             f"{pair_scipy / pair_ours:.1f}"],
            ["one pair, ours, map ranks made for it", f"{1e3 * (pair_ours + map_ranks):.2f}",
             f"{pair_scipy / (pair_ours + map_ranks):.1f}"],
            ["null, SciPy spearmanr per pair", f"{1e3 * null_scipy:.0f}", "1"],
            ["null, SciPy rankdata once, NumPy corrcoef", f"{1e3 * null_ranks:.0f}",
             f"{null_scipy / null_ranks:.1f}"],
            ["null, ours, map ranks made once", f"{1e3 * null_ours:.0f}",
             f"{null_scipy / null_ours:.1f}"],
            ["null, ours, map ranks given", f"{1e3 * null_given:.0f}",
             f"{null_scipy / null_given:.1f}"],
        ],
        {
            "alignment_speedup": pair_scipy / pair_ours,
            "alignment_speedup_with_map_ranks": pair_scipy / (pair_ours + map_ranks),
            "null_speedup": null_scipy / null_ours,
            "null_speedup_map_ranks_given": null_scipy / null_given,
            "max_abs_diff": difference,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
