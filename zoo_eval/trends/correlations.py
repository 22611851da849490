"""Correlations over models: by family, naive, and without what parameters, year or data explain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from zoo_eval.numerics.families.correlated import correlated, partly_correlated
from zoo_eval.numerics.families.permutation import no_relation_p
from zoo_eval.numerics.trends import (
    CORRELATIONS,
    PEARSON,
    SPEARMAN,
    Correlation,
    naive_interval,
)
from zoo_eval.trends.rows import BY_FAMILY, Row, Sample

Array = npt.NDArray[np.float64]

N_RESAMPLES = 2000
SEED = 0
METHOD = f"{BY_FAMILY}, on Fisher z; p by permutation of families"


def correlations(sample: Sample) -> list[Row]:
    """A row for each correlation of accuracy and value."""
    return [_correlation(sample, one) for one in CORRELATIONS]


def _correlation(sample: Sample, correlation: Correlation) -> Row:
    counted = sample if correlation.ranked else sample.finite
    naive = naive_interval(correlation, sample.x, sample.y, n_resamples=N_RESAMPLES, seed=SEED)
    return counted.estimate(
        correlation.name,
        correlated(correlation, sample.x, sample.y, sample.families),
        method=METHOD,
        p_value=_permuted(counted, correlation),
        naive_low=naive.low,
        naive_high=naive.high,
        n_resamples=naive.n_resamples,
        # All that are compared, whether or not this statistic can count them.
        n_models=len(sample.models),
        n_infinite=int(np.isinf(sample.y).sum()),
        models=list(sample.models),
    )


def _permuted(sample: Sample, correlation: Correlation) -> float | None:
    """P of no relation; the ranks' for Kendall's too, which says "no relation" of the same ranks."""
    if not len(sample.x):
        return None
    sides = (rankdata(sample.x), rankdata(sample.y)) if correlation.ranked else (sample.x, sample.y)
    p = no_relation_p(*sides, sample.families, seed=SEED)
    return p if np.isfinite(p) else None


def partial_correlations(sample: Sample, facts: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows of Spearman's and Pearson's correlation without what models' facts explain.

    Args:
        sample: models.
        facts: of each model, in the same order.
    """
    each = {
        "parameters": [_logarithm(fact.get("n_params")) for fact in facts],
        "year": [_number(fact.get("year")) for fact in facts],
    }
    data = [fact.get("pretraining") for fact in facts]
    return [
        _partial(sample, correlation, names, each, data)
        for names in (("parameters",), ("year",), ("training data",), (*each, "training data"))
        for correlation in (SPEARMAN, PEARSON)
    ]


def _partial(
    sample: Sample,
    correlation: Correlation,
    names: Sequence[str],
    numbers: Mapping[str, Sequence[float]],
    data: Sequence[str | None],
) -> Row:
    columns = [np.array(numbers[name], dtype=np.float64) for name in names if name in numbers]
    if "training data" in names:
        columns += _indicators(data)
    covariates = np.column_stack([np.empty((len(sample.x), 0)), *columns])
    known = np.asarray(np.isfinite(covariates).all(axis=1))
    chosen = sample.among(known, f"without {' or '.join(names)}")
    if not correlation.ranked:
        covariates = covariates[known][np.isfinite(chosen.y)]
        chosen = chosen.finite
    else:
        covariates = covariates[known]
    found = partly_correlated(correlation, chosen.x, chosen.y, covariates, chosen.families)
    alike = len(chosen.x) and not np.ptp(covariates, axis=0).any()
    columns_told = {"estimate": None, "low": None, "high": None, "p_value": None} if alike else {}
    why = f"all models have the same {' and '.join(names)}" if alike else found.no_interval
    return chosen.estimate(
        f"partial_{correlation.name}",
        found,
        detail=f"given {', '.join(names)}",
        method=f"{BY_FAMILY}, on Fisher z",
        **{**columns_told, "no_interval": why},
    )


def _indicators(data: Sequence[str | None]) -> list[Array]:
    """A column for each training set, NaN where it is not known; one at least."""
    kinds = sorted({one for one in data if one is not None})
    unknown = np.array([one is None for one in data], dtype=bool)
    if not kinds:
        return [np.full(len(data), np.nan)]
    return [
        np.where(unknown, np.nan, np.array([one == kind for one in data], dtype=np.float64))
        for kind in kinds
    ]


def _number(value: Any) -> float:
    return float(value) if value is not None else float("nan")


def _logarithm(value: Any) -> float:
    return float(np.log10(value)) if value else float("nan")
