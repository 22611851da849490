"""Trends over models: correlations of the `accuracy_vs_...` views, with bootstrap intervals."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo_eval.numerics.trends import STATISTICS, bootstrap
from zoo_eval.queries.connection import Connection
from zoo_eval.trends.titles import subjects

Row = dict[str, Any]
N_RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True)
class View:
    """What a view compares: what names a comparison and the value set against top-1, both SQL.

    All rows of a comparison have the same `name` and the same values in the columns `key`.
    """

    name: str
    value: str
    key: tuple[str, ...]


VIEWS: Mapping[str, View] = {
    "accuracy_vs_neural": View(
        "concat_ws(', ', recording, readout)",
        "coalesce(ceiled_score, score)",
        ("protocol", "parameters", "recording_digest", "stimuli_digest", "seed"),
    ),
    "accuracy_vs_tolerance": View(
        "concat_ws(', ', stimuli, attack || ' ' || norm)",
        "tolerance",
        ("protocol", "parameters", "stimuli_digest", "seed"),
    ),
    # One channel reduction per method: the published one. The view has them all.
    "accuracy_vs_alignment": View(
        "concat_ws(', ', importance, stimuli, concat_ws(' ', method, norm), channel_reduction)",
        "CASE WHEN published_reduction THEN alignment END",
        ("protocol", "parameters", "importance_digest", "stimuli_digest", "seed"),
    ),
}


@dataclass(frozen=True)
class Comparison:
    """Models set against each other: rows of a view by model, each with its `value`.

    `key` holds the columns that all of them share; no two comparisons of a view have one subject.
    """

    trend: str
    subject: str
    key: Mapping[str, Any]
    rows: Sequence[Row]

    def statistics(self) -> list[Row]:
        """Rows of the `trends` table: Spearman and Pearson over the models."""
        top1 = np.array([row["top1"] for row in self.rows])
        value = np.array([row["value"] for row in self.rows])
        return [
            {
                "trend": self.trend,
                "subject": self.subject,
                **self.key,
                "statistic": name,
                **vars(bootstrap(statistic, top1, value, n_resamples=N_RESAMPLES, seed=SEED)),
                "models": [row["model"] for row in self.rows],
            }
            for name, statistic in STATISTICS.items()
        ]


def comparisons(connection: Connection, trend: str) -> list[Comparison]:
    """What a view compares: protocols, parameters, contents and seeds are mixed in none."""
    view = VIEWS[trend]
    by_key: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in connection.rows(
        f"SELECT *, {view.name} AS name, {view.value} AS value FROM {trend} "
        f"WHERE {view.value} IS NOT NULL ORDER BY name, {', '.join(view.key)}, model"
    ):
        by_key[row["name"], *(row[column] for column in view.key)].append(row)
    keys = [dict(zip(view.key, key, strict=True)) for _, *key in by_key]
    named = subjects([name for name, *_ in by_key], keys)
    return [
        Comparison(trend, subject, key, rows)
        for subject, key, rows in zip(named, keys, by_key.values(), strict=True)
    ]


def trends(connection: Connection) -> list[Row]:
    """Rows of the `trends` table for every comparison in the store."""
    return [
        row for trend in VIEWS for one in comparisons(connection, trend) for row in one.statistics()
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
