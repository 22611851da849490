"""Summaries: rows of views that compaction keeps, so that not every query makes them of all scores again.

A view's rows are made of groups of trials, and kept beside a digest of the trials that each group had. Of a
group that has others now (a trial more, one whose model's gate failed, other ceilings), and of one that
nothing is kept of, the rows are made anew; a file that is gone or is not what was written counts for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.digests import digest
from zoo_eval.queries.scanning import ROOT
from zoo_eval.queries.wanted import wanted
from zoo_eval.storage.contents import Contents
from zoo_eval.storage.damage import UNREADABLE
from zoo_eval.tables import SUMMARIES, TABLES, VIEWS

# Whose rows count: all else that a view's rows say comes from these trials.
TRIALS_THAT_COUNT = "current_trials"
NUMBER, MADE_FROM = "group_number", "made_from"
SCORED = ("weights_digest", "recording_digest", "stimuli_digest", "parameters", "seed")
DISTANCES = ("stimuli_digest", "protocol", "parameters", "seed")
ALIGNED = ("weights_digest", "evaluation", "importance_digest", *DISTANCES)


@dataclass(frozen=True)
class Summary:
    """A view of which rows are kept.

    Args:
        view: its name.
        groups: columns of `current_trials`, and of the view: a row of it is made of trials that are alike in them.
        sources: tables with many rows for each of these trials.
        context: tables that the rows of all groups depend on, as ceilings.
    """

    view: str
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    context: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        """Where the same view is of those trials alone of which nothing that counts is kept."""
        return f"rows_of_{self.view}"

    @property
    def fresh(self) -> str:
        """The table of groups whose kept rows count."""
        return f"kept.{self.view}_fresh"

    def path(self, what: str) -> str:
        """Where DuckDB finds the groups or the rows that are kept."""
        return f"{ROOT}{SUMMARIES.name}/{self.view}.{what}"

    @property
    def kept(self) -> str:
        """The SQL of those rows of the view that are kept and count."""
        return (
            f"SELECT * EXCLUDE ({NUMBER}) FROM read_parquet('{self.path('rows')}') "
            f"SEMI JOIN {self.fresh} USING ({NUMBER})"
        )

    def same(self, one: str, other: str) -> str:
        """The condition that two rows are of one group."""
        return " AND ".join(f"{one}.{c} IS NOT DISTINCT FROM {other}.{c}" for c in self.groups)

    @property
    def grouped(self) -> str:
        """The SQL of all groups there are, with a digest of the trials of each and of the context."""
        groups = ", ".join(self.groups)
        among = " UNION ".join(f"SELECT trial_id FROM {table}" for table in self.context)
        is_context = f"trial_id IN ({among})" if among else "FALSE"
        return (
            f"WITH told AS (SELECT *, md5_number(trial_id || '/' || commit_id) AS key, {is_context} AS is_context "
            f"FROM {TRIALS_THAT_COUNT}), "
            "context AS (SELECT concat_ws('/', count(*), bit_xor(key)) AS said FROM told WHERE is_context) "
            f"SELECT {groups}, concat_ws('/', count(*), bit_xor(key), any_value(said)) AS {MADE_FROM} "
            f"FROM told, context GROUP BY {groups}"
        )

    @property
    def numbered(self) -> str:
        """The SQL of all groups with a number for each."""
        order = f"ORDER BY {', '.join(self.groups)}"
        return f"SELECT row_number() OVER ({order}) AS {NUMBER}, * FROM ({self.grouped}) {order}"

    @property
    def rows(self) -> str:
        """The SQL of the view's rows, each with its group's number, those of one model together."""
        return (
            f"SELECT v.*, g.{NUMBER} FROM {self.view} AS v JOIN ({self.numbered}) AS g "
            f"ON {self.same('v', 'g')} ORDER BY ALL"
        )


SUMMED: Mapping[str, Summary] = {
    one.view: one
    for one in (
        Summary("best_layer", SCORED, ("neural_scores",), ("ceilings",)),
        Summary("neural_regions", SCORED, ("neural_scores",), ("ceilings", "targets")),
        Summary("region_folds", SCORED, ("neural_scores",), ("targets",)),
        Summary("tolerances", DISTANCES, ("attacks",)),
        Summary("alignments", ALIGNED, ("alignment",)),
    )
}


@dataclass(frozen=True)
class Kept:
    """What a store keeps of one view: its groups and its rows, as Parquet."""

    summary: Summary
    groups: bytes
    rows: bytes


def definition(summary: Summary, views: Mapping[str, str]) -> str:
    """The digest of all SQL that a view's rows come from; `views` are those of the package."""
    own = {name: views[name] for name in VIEWS}
    _, read = wanted(summary.view, TABLES, own)
    return digest([summary.rows, {name: own[name] for name in read}])


def kept(contents: Contents, views: Mapping[str, str]) -> dict[str, Kept]:
    """What a store keeps of each view, made by the SQL that is now: nothing where it cannot be read."""
    try:
        held = [(one, contents.objects.get(one.path)) for one in contents.files(SUMMARIES.name)]
        rows = [
            row
            for one, content in held
            if one.is_of(content)
            for row in pq.read_table(pa.BufferReader(content)).to_pylist()
        ]
        found = [_of(row, views) for row in rows]
    except (*UNREADABLE, KeyError, TypeError):
        return {}
    return {one.summary.view: one for one in found if one is not None}


def _of(row: Mapping[str, Any], views: Mapping[str, str]) -> Kept | None:
    """What a row of the table of summaries keeps; None where it was made by other SQL."""
    summary = SUMMED.get(row["view"])
    if summary is None or row["definition"] != definition(summary, views):
        return None
    groups, rows = (pq.read_schema(pa.BufferReader(row[name])).names for name in ("groups", "rows"))
    is_whole = groups == [NUMBER, *summary.groups, MADE_FROM] and NUMBER in rows
    return Kept(summary, row["groups"], row["rows"]) if is_whole else None
