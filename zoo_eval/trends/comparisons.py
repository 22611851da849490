"""Comparisons: models set against each other, accuracy against one value, as the `accuracy_vs_...` views say."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.files.names import printable
from zoo_eval.numerics.families.families import Families
from zoo_eval.queries.connection import Connection, select
from zoo_eval.trends.correlations import correlations
from zoo_eval.trends.rows import Row, Sample
from zoo_eval.trends.titles import subjects
from zoo_eval.trends.words import describe

__all__ = ["CEILED", "CEILED_MAPS", "VIEWS", "Comparison", "Population", "comparisons", "describe"]

CEILED = "r / sqrt(ceiling)"
CEILED_MAPS = "r / ceiling"
# A recording's own ceiling is known exactly only where it was made up.
PLANTED_RECORDING = (
    "recording_digest IN (SELECT recording_digest FROM current_ceilings WHERE estimator = 'planted_exact' "
    "OR starts_with(target, 'planted_'))"
)


@dataclass(frozen=True)
class View:
    """What a view compares: what names a comparison, the value set against top-1 and its measure, all SQL.

    All rows of a comparison have the same `name`, the same `measure` and the same values in the columns
    `key`. `made_up` is SQL too: whether the answer was planted.
    """

    name: str
    value: str
    measure: str
    key: tuple[str, ...]
    made_up: str


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
        PLANTED_RECORDING,
    ),
    # Their ceiling is a correlation, not a reliability.
    "accuracy_vs_spatial": View(
        "recording",
        "ceiled_score",
        f"'{CEILED_MAPS}'",
        ("protocol", "parameters", "recording_digest", "stimuli_digest", "seed"),
        PLANTED_RECORDING,
    ),
    "accuracy_vs_tolerance": View(
        "concat_ws(', ', stimuli, attack || ' ' || norm)",
        "tolerance",
        "'tolerance'",
        ("protocol", "parameters", "stimuli_digest", "seed"),
        "FALSE",
    ),
    # One channel reduction per method: the published one. The view has them all.
    "accuracy_vs_alignment": View(
        "concat_ws(', ', importance, stimuli, concat_ws(' ', method, norm), channel_reduction)",
        "CASE WHEN published_reduction THEN alignment END",
        "'alignment'",
        ("protocol", "parameters", "importance_digest", "stimuli_digest", "seed"),
        "planted",
    ),
}


@dataclass(frozen=True)
class Population:
    """The models that a condition on what is known of them leaves, and the condition as it was given."""

    where: str
    models: frozenset[str]

    @classmethod
    def of(cls, connection: Connection, where: str) -> "Population":
        """The models of a store that fulfil an SQL condition on the columns of `model_facts`.

        Raises:
            BadInput: the condition is wrong, or no model fulfils it.
        """
        facts = connection.query("SELECT * FROM model_facts")
        try:
            chosen = select(facts, where)
        except BadInput as error:
            columns = ", ".join(facts.column_names)
            raise BadInput(f"{error}; the columns are {columns}") from error
        if not chosen.num_rows:
            raise BadInput(
                f"--where: no model of {facts.num_rows} fulfils it; see view model_facts"
            )
        return cls(printable(where), frozenset(chosen["model"].to_pylist()))


@dataclass(frozen=True)
class Comparison:
    """Models set against each other: rows of a view by model, each with its `value` and the model's facts.

    `measure` is what the values are: `tolerance`, `alignment`, a score's statistic, `CEILED` or
    `CEILED_MAPS`; `key` holds the columns that all rows share; no two comparisons of a view have one subject.
    `excluded` counts the models that are not in it, by reason; `where` is the condition on those that are.
    """

    trend: str
    subject: str
    measure: str
    key: Mapping[str, Any]
    rows: Sequence[Row]
    excluded: Mapping[str, int] = field(default_factory=dict)
    where: str = ""

    @property
    def planted(self) -> bool:
        """Whether what models are compared on was made up, so that the answer is known."""
        return any(row.get("made_up") for row in self.rows)

    @property
    def known(self) -> Sequence[Row]:
        """The rows in which both values are numbers."""
        return [row for row in self.rows if not np.isnan(row["top1"]) | np.isnan(row["value"])]

    @property
    def sample(self) -> Sample:
        """The models with a value, infinite ones among them."""
        known = self.known
        n_out = len(self.rows) - len(known)
        excluded = {**self.excluded, **({"not a number": n_out} if n_out else {})}
        planted = " (planted)" if self.planted else ""
        where = f", where {self.where}" if self.where else ""
        population = f"models with top-1 and {self.measure} of {self.subject}{planted}{where}"
        shared = {"trend": self.trend, "subject": self.subject, "measure": self.measure}
        return Sample(
            np.array([row["top1"] for row in known], dtype=np.float64),
            np.array([row["value"] for row in known], dtype=np.float64),
            # Without facts a model is kin to none.
            Families.of([row.get("kin") or row["model"] for row in known]),
            tuple(row["model"] for row in known),
            excluded,
            {**shared, **self.key, "population": population},
        )

    def statistics(self) -> list[Row]:
        """Rows of the `trends` table: the correlations, with intervals over families and the naive ones."""
        return [dict(row) for row in self._correlations]

    @cached_property
    def _correlations(self) -> list[Row]:
        # Resampled thousands of times, and asked for by claims and captions alike.
        return correlations(self.sample)


def comparisons(
    connection: Connection, trend: str, among: Population | None = None
) -> list[Comparison]:
    """What a view compares: protocols, parameters, contents and seeds are mixed in none.

    `among` are the models that are compared; all by default.
    """
    found = _compared(connection, trend)
    if among is None:
        return found
    return [narrowed for one in found if (narrowed := _narrowed(one, among)).rows]


def _narrowed(one: Comparison, among: Population) -> Comparison:
    rows = [row for row in one.rows if row["model"] in among.models]
    n_out = len(one.rows) - len(rows)
    excluded = {**one.excluded, **({"outside the condition": n_out} if n_out else {})}
    return replace(one, rows=rows, excluded=excluded, where=among.where)


def _compared(connection: Connection, trend: str) -> list[Comparison]:
    view = VIEWS[trend]
    columns = ("measure", *view.key)
    by_key: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in connection.rows(_sql(trend, view, columns)):
        by_key[row["name"], *(row[column] for column in columns)].append(row)
    if not by_key:
        return []
    left_out = _left_out(connection)
    n_accurate = left_out.pop("compared")
    keys = [dict(zip(columns, key, strict=True)) for _, *key in by_key]
    named = subjects([name for name, *_ in by_key], keys)
    return [
        Comparison(
            trend,
            subject,
            key.pop("measure"),
            key,
            rows,
            {
                why: n
                for why, n in {**left_out, "without this value": n_accurate - len(rows)}.items()
                if n > 0
            },
        )
        for subject, key, rows in zip(named, keys, by_key.values(), strict=True)
    ]


def _sql(trend: str, view: View, columns: Sequence[str]) -> str:
    return (
        f"SELECT v.*, f.* EXCLUDE (model, weights_digest), {view.name} AS name, {view.value} AS value, "
        f"{view.measure} AS measure, {view.made_up} AS made_up "
        f"FROM {trend} AS v LEFT JOIN model_facts AS f USING (model) WHERE {view.value} IS NOT NULL "
        f"ORDER BY name, {', '.join(columns)}, v.model"
    )


def _left_out(connection: Connection) -> dict[str, int]:
    """Models that no comparison has, by reason, and how many may be `compared`."""
    # A connection sees one moment of its store.
    if connection not in _LEFT_OUT:
        _LEFT_OUT[connection] = _counted_out(connection)
    return dict(_LEFT_OUT[connection])


_LEFT_OUT: WeakKeyDictionary[Connection, dict[str, int]] = WeakKeyDictionary()


def _counted_out(connection: Connection) -> dict[str, int]:
    (found,) = connection.rows(
        "SELECT (SELECT count(*) FROM model_accuracy) AS compared, "
        "(SELECT count(DISTINCT model) FROM gates WHERE gate = 'fail' "
        'AND model NOT IN (SELECT model FROM model_facts)) AS "gate failed", '
        "(SELECT count(*) FROM model_facts WHERE model NOT IN (SELECT model FROM model_accuracy)) "
        'AS "without accuracy"'
    )
    return dict(found)
