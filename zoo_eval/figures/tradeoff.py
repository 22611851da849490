"""Tolerance against alignment: whether models that withstand more look where people look."""

import math
from collections.abc import Iterator

from zoo_eval.figures.against_accuracy import OTHER_MAPS, PLANTED_MAPS, counted, described, said_of
from zoo_eval.figures.axes import axis
from zoo_eval.figures.figure import Figure, Row
from zoo_eval.figures.known import Known
from zoo_eval.figures.scatter import MOST_BARS, Scatter

NAME = "tolerance-vs-alignment"


def tradeoff(known: Known) -> Iterator[Figure]:
    """One figure, of the models that have both, all measured in one setting; none without such."""
    both = known.asked("tolerance_and_alignment")
    rows = [_row(row, known) for row in both if _counts(row)]
    if not rows:
        return
    nulls = [row["null"] for row in rows if "null" in row]
    scatter = Scatter(
        rows,
        axis("tolerance", "Median smallest l2 perturbation ([0, 1] pixels)", rows, log=True),
        axis("alignment", "Mean Spearman with human maps", rows, also=nulls),
        planted=PLANTED_MAPS if any(row["planted"] for row in both) else None,
    )
    left_out = len(both) - len(rows)
    first = both[0]
    yield Figure(
        name=NAME,
        title=f"Tolerance against alignment: {first['tolerance_stimuli']}, {first['alignment_method']}",
        section="tradeoff",
        alt=described(scatter),
        spec=scatter.spec(),
        notes=(
            *(
                [f"{counted(left_out)} left out: a value is NaN or minus infinity."]
                if left_out
                else []
            ),
            *([f"Grey ticks: alignment with {OTHER_MAPS}."] if 0 < len(nulls) <= MOST_BARS else []),
            *said_of(scatter),
        ),
    )


def _counts(row: Row) -> bool:
    return math.isfinite(row["alignment"]) and row["tolerance"] > -math.inf  # NaN is not


def _row(row: Row, known: Known) -> Row:
    found = {
        "model": row["model"], **known.kind(row["model"]),
        "tolerance": None if math.isinf(row["tolerance"]) else row["tolerance"],
        "alignment": row["alignment"],
    }  # fmt: skip
    if row["null_alignment"] is not None and math.isfinite(row["null_alignment"]):
        found["null"] = row["null_alignment"]
    return found
