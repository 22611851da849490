"""Trends over models: correlations of the `accuracy_vs_...` views, with bootstrap intervals."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo_eval.numerics.trends import STATISTICS, bootstrap
from zoo_eval.queries.connection import Connection

N_RESAMPLES = 2000
SEED = 0

# For each trend: its view, what names a comparison, and the value set against top-1.
VIEWS = {
    "accuracy_vs_neural": (
        (
            "recording",
            "readout",
            "protocol",
            "parameters",
            "recording_digest",
            "stimuli_digest",
            "seed",
        ),
        "coalesce(ceiled_score, score)",
    ),
    "accuracy_vs_tolerance": (
        ("stimuli", "attack", "protocol", "parameters"),
        "tolerance",
    ),
    # One channel reduction per method: the published one. The view has them all.
    "accuracy_vs_alignment": (
        ("importance", "stimuli", "method", "channel_reduction", "protocol", "parameters"),
        "CASE WHEN published_reduction THEN alignment END",
    ),
}


def trends(connection: Connection) -> list[dict[str, Any]]:
    """Rows of the `trends` table: Spearman and Pearson for every comparison in the store."""
    rows = []
    for trend, (keys, value) in VIEWS.items():
        points = connection.rows(
            f"SELECT model, top1, {value} AS value, {', '.join(keys)} FROM {trend} "
            f"WHERE {value} IS NOT NULL ORDER BY model"
        )
        by_comparison = defaultdict(list)
        for point in points:
            by_comparison[tuple(point[key] for key in keys)].append(point)
        for comparison, some in sorted(by_comparison.items()):
            subject = ", ".join(str(part) for part in comparison[: _n_named(keys)])
            rows += _statistics(trend, subject, some)
    return rows


def _n_named(keys: Sequence[str]) -> int:
    """How many keys name a comparison to a reader; those from the protocol on only separate some."""
    return keys.index("protocol")


def _statistics(trend: str, subject: str, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    top1 = np.array([point["top1"] for point in points])
    value = np.array([point["value"] for point in points])
    return [
        {
            "trend": trend,
            "subject": subject,
            "statistic": name,
            **vars(bootstrap(statistic, top1, value, n_resamples=N_RESAMPLES, seed=SEED)),
            "models": [point["model"] for point in points],
        }
        for name, statistic in STATISTICS.items()
    ]


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """The trends for a terminal."""
    if not rows:
        return "no trends yet: they need accuracy and a neural fit or an attack of several models"
    lines = [f"  {row['trend']}  {row['subject']}: {describe(row)}" for row in rows]
    return "\n".join(["trends over models (95 % bootstrap intervals over models)", *lines])


def describe(row: dict[str, Any]) -> str:
    """One statistic in words, e.g. "spearman_rho 0.91 [0.75, 0.98], 13 models"."""
    if row["estimate"] is None:
        return f"{row['statistic']} undefined with {row['n_models']} models"
    interval = f"[{row['low']:.2f}, {row['high']:.2f}]" if row["low"] is not None else "[undefined]"
    infinite = f", {row['n_infinite']} of them infinite" if row["n_infinite"] else ""
    return (
        f"{row['statistic']} {row['estimate']:.2f} {interval}, {row['n_models']} models{infinite}"
    )
