"""Analysis: all statistics over a store's models, answers first."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from zoo_eval.queries.connection import Connection
from zoo_eval.trends.ceilings import ceiled_score
from zoo_eval.trends.claims import Claim, answered
from zoo_eval.trends.comparisons import VIEWS, Comparison, Population, comparisons
from zoo_eval.trends.contrasts import contrasts
from zoo_eval.trends.correlations import partial_correlations
from zoo_eval.trends.fronts import fronts
from zoo_eval.trends.pairs import compared
from zoo_eval.trends.rows import Row
from zoo_eval.trends.shapes import shapes
from zoo_eval.trends.words import describe, left_out

NONE_YET = "no trends yet: they need accuracy and a neural fit or an attack of several models"
# Long lists are in the table; the text has those that a reader looks for first.
IN_TABLE_ALONE = ("front_reached", "front_probability")


@dataclass(frozen=True)
class Analysis:
    """The answers to the named questions, and rows of the `trends` table."""

    claims: tuple[Claim, ...]
    rows: list[Row]


def analysis(
    connection: Connection, pairs: Sequence[tuple[str, str]] = (), where: str | None = None
) -> Analysis:
    """Every statistic of every comparison in the store, and of the pairs of models that are asked for.

    Args:
        connection: to the store.
        pairs: models to be compared on the same targets and stimuli, whatever `where` says.
        where: an SQL condition on the columns of `model_facts`; only models that fulfil it are compared.

    Raises:
        BadInput: a model of a pair is not in the store, or the condition is wrong or leaves none.
    """
    differences = compared(connection, pairs)
    among = None if where is None else Population.of(connection, where)
    found = {trend: comparisons(connection, trend, among) for trend in VIEWS}
    claims = answered(found)
    own = [row for one in found.values() for each in one for row in _rows(connection, each)]
    return Analysis(claims, _told([*own, *differences], claims))


def trends(connection: Connection) -> list[Row]:
    """Rows of the `trends` table for every comparison in the store."""
    return analysis(connection).rows


def _rows(connection: Connection, one: Comparison) -> Iterator[Row]:
    sample = one.sample
    yield from one.statistics()
    yield from partial_correlations(sample, one.known)
    yield from shapes(sample)
    yield from fronts(sample)
    yield from contrasts(sample, one.known)
    yield from ceiled_score(connection, one)


def _told(rows: Sequence[Row], claims: Sequence[Claim]) -> list[Row]:
    """Rows with the questions that they answer: their p adjusted, and those that only a question has.

    Rows of one comparison follow each other, in the order in which comparisons first come.
    """
    answers = {_key(row): row for claim in claims for row in claim.rows}
    own = {_key(row): row for row in rows}
    both = {
        key: {**row, "p_adjusted": answers[key].get("p_adjusted")} if key in answers else row
        for key, row in own.items()
    } | {key: row for key, row in answers.items() if key not in own}
    places = {
        comparison: place for place, comparison in enumerate(dict.fromkeys(k[:3] for k in both))
    }
    return sorted(both.values(), key=lambda row: places[_key(row)[:3]])


def _key(row: Row) -> tuple[Any, ...]:
    names = ("trend", "subject", "measure", "statistic", "detail", "at", "unit")
    return tuple(row.get(name) for name in names)


def as_text(found: Analysis) -> str:
    """Answers, then statistics, for a terminal."""
    if not found.rows:
        return NONE_YET
    lines = ["questions"]
    for claim in found.claims:
        lines += [f"  {claim.question}", f"    {claim.answer}"]
    lines.append(
        "statistics (95 % intervals over families of models; all rows are in the table trends)"
    )
    for comparison, rows in groupby(found.rows, key=lambda row: _key(row)[:3]):
        trend, subject, measure = comparison
        lines.append(f"  {trend}  {subject} ({measure})")
        lines += _of_comparison([row for row in rows if row["statistic"] not in IN_TABLE_ALONE])
    return "\n".join(lines)


def _of_comparison(rows: Sequence[Row]) -> list[str]:
    """A line for who is compared, one for each statistic, and the undefined ones by their reasons."""
    out = f"; left out: {out}" if (out := left_out(rows[0])) else ""
    lines = [f"    {rows[0]['population']}{out}"] if rows[0]["population"] else []
    lines += [f"    {describe(row)}" for row in rows if _has_answer(row)]
    undefined = defaultdict(list)
    for row in rows:
        if not _has_answer(row):
            why = row["no_interval"] or "fewer than three models, or all alike"
            undefined[why].append(" ".join(filter(None, [row["statistic"], row.get("detail")])))
    return [
        *lines,
        *(f"    undefined ({why}): {'; '.join(names)}" for why, names in undefined.items()),
    ]


def _has_answer(row: Row) -> bool:
    return row["estimate"] is not None or row["p_value"] is not None
