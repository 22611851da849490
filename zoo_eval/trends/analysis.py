"""Analysis: all statistics over a store's models, answers first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoo_eval.queries.connection import Connection
from zoo_eval.trends.ceilings import ceiled_score
from zoo_eval.trends.claims import Claim, answered
from zoo_eval.trends.comparisons import VIEWS, Comparison, comparisons
from zoo_eval.trends.contrasts import contrasts
from zoo_eval.trends.correlations import partial_correlations
from zoo_eval.trends.fronts import fronts
from zoo_eval.trends.pairs import compared
from zoo_eval.trends.rows import Row
from zoo_eval.trends.shapes import shapes
from zoo_eval.trends.words import describe

NONE_YET = "no trends yet: they need accuracy and a neural fit or an attack of several models"
# Long lists are in the table; the text has those that a reader looks for first.
IN_TABLE_ALONE = ("front_reached", "front_probability")


@dataclass(frozen=True)
class Analysis:
    """The answers to the named questions, and rows of the `trends` table."""

    claims: tuple[Claim, ...]
    rows: list[Row]


def analysis(connection: Connection, pairs: Sequence[tuple[str, str]] = ()) -> Analysis:
    """Every statistic of every comparison in the store, and of the pairs of models that are asked for.

    Raises:
        BadInput: a model of a pair is not in the store.
    """
    differences = compared(connection, pairs)
    found = {trend: comparisons(connection, trend) for trend in VIEWS}
    claims = answered(found)
    own = [row for one in found.values() for each in one for row in _rows(connection, each)]
    return Analysis(claims, _told([*differences, *own], claims))


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
    """Rows with the questions that they answer: their p adjusted, and those that only a question has."""
    answers = {_key(row): row for claim in claims for row in claim.rows}
    mine = {_key(row) for row in rows}
    both = [
        {**row, "p_adjusted": answers[_key(row)].get("p_adjusted")} if _key(row) in answers else row
        for row in rows
    ]
    return [*both, *(row for key, row in answers.items() if key not in mine)]


def _key(row: Row) -> tuple[str | int | None, ...]:
    names = ("trend", "subject", "measure", "statistic", "detail")
    return tuple(row.get(name) for name in names)


def as_text(found: Analysis) -> str:
    """Answers, then statistics, for a terminal."""
    if not found.rows:
        return NONE_YET
    lines = ["questions"]
    for claim in found.claims:
        lines += [f"  {claim.question}", f"    {claim.answer}"]
    lines.append(
        "statistics over models (95 % intervals over families; all are in the table trends)"
    )
    about = None
    for row in found.rows:
        if row["statistic"] in IN_TABLE_ALONE:
            continue
        if (heading := f"  {row['trend']}  {row['subject']} ({row['measure']})") != about:
            lines.append(about := heading)
        lines.append(f"    {describe(row)}")
    return "\n".join(lines)
