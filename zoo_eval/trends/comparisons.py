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
CEILED = "r / sqrt(ceiling)"
CEILED_MAPS = "r / ceiling"


@dataclass(frozen=True)
class View:
    """What a view compares: what names a comparison, the value set against top-1 and its measure, all SQL.

    All rows of a comparison have the same `name`, the same `measure` and the same values in the columns
    `key`.
    """

    name: str
    value: str
    measure: str
    key: tuple[str, ...]


def ceiled_or_raw(ceiled: str, score: str) -> tuple[str, str]:
    """SQL of a neural value, ceiled where there is a ceiling, and of its measure.

    The measure tells ceiled values from raw ones, so that grouping by it keeps them apart.
    """
    return f"coalesce({ceiled}, {score})", f"if({ceiled} IS NULL, statistic, '{CEILED}')"


VIEWS: Mapping[str, View] = {
    "accuracy_vs_neural": View(
        "concat_ws(', ', recording, readout)",
        *ceiled_or_raw("ceiled_score", "score"),
        ("protocol", "parameters", "recording_digest", "stimuli_digest", "seed"),
    ),
    # Their ceiling is a correlation, not a reliability.
    "accuracy_vs_spatial": View(
        "recording",
        "ceiled_score",
        f"'{CEILED_MAPS}'",
        ("protocol", "parameters", "recording_digest", "stimuli_digest", "seed"),
    ),
    "accuracy_vs_tolerance": View(
        "concat_ws(', ', stimuli, attack || ' ' || norm)",
        "tolerance",
        "'tolerance'",
        ("protocol", "parameters", "stimuli_digest", "seed"),
    ),
    # One channel reduction per method: the published one. The view has them all.
    "accuracy_vs_alignment": View(
        "concat_ws(', ', importance, stimuli, concat_ws(' ', method, norm), channel_reduction)",
        "CASE WHEN published_reduction THEN alignment END",
        "'alignment'",
        ("protocol", "parameters", "importance_digest", "stimuli_digest", "seed"),
    ),
}


@dataclass(frozen=True)
class Comparison:
    """Models set against each other: rows of a view by model, each with its `value`.

    `measure` is what the values are: `tolerance`, `alignment`, a score's statistic, `CEILED` or
    `CEILED_MAPS`; `key` holds the columns that all rows share; no two comparisons of a view have one subject.
    """

    trend: str
    subject: str
    measure: str
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
                "measure": self.measure,
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
    columns = ("measure", *view.key)
    by_key: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in connection.rows(
        f"SELECT *, {view.name} AS name, {view.value} AS value, {view.measure} AS measure "
        f"FROM {trend} WHERE {view.value} IS NOT NULL "
        f"ORDER BY name, {', '.join(columns)}, model"
    ):
        by_key[row["name"], *(row[column] for column in columns)].append(row)
    keys = [dict(zip(columns, key, strict=True)) for _, *key in by_key]
    named = subjects([name for name, *_ in by_key], keys)
    return [
        Comparison(trend, subject, key.pop("measure"), key, rows)
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
    lines = [
        f"  {row['trend']}  {row['subject']} ({row['measure']}): {describe(row)}" for row in rows
    ]
    return "\n".join(["trends over models (95 % bootstrap intervals over models)", *lines])


def describe(row: dict[str, Any]) -> str:
    """One statistic in words, e.g. "spearman_rho 0.91 [0.75, 0.98], 13 models"."""
    if row["estimate"] is None:
        return f"{row['statistic']} undefined with {row['n_models']} models"
    interval = (
        f"no interval ({row['no_interval']})"
        if row["low"] is None
        else f"[{row['low']:.2f}, {row['high']:.2f}]"
    )
    infinite = f", {row['n_infinite']} of them infinite" if row["n_infinite"] else ""
    return (
        f"{row['statistic']} {row['estimate']:.2f} {interval}, {row['n_models']} models{infinite}"
    )
