"""Harmonized networks beside their controls: what the human maps changed, on the same images."""

from typing import Any

from zoo_eval.queries.connection import Connection
from zoo_eval.report.table import COUNT, REAL, Column, Table

Row = dict[str, Any]
MEASURES = {
    "accuracy_vs_neural": "neural predictivity",
    "accuracy_vs_spatial": "predictivity of maps",
    "accuracy_vs_tolerance": "tolerance",
    "accuracy_vs_alignment": "alignment",
}
COLUMNS = (
    Column("model", "model"),
    Column("harmonization_lambda", "lambda", REAL, "weight of the harmonization loss"),
    Column("measure", "measure", choose=True),
    Column("name", "of", choose=True),
    Column("protocol", "protocol", shown=False),
    Column("harmonized", "harmonized", REAL),
    Column("controlled", "control", REAL),
    Column("difference", "difference", REAL),
    Column("interval", "95 % interval"),
    Column("n", "n", COUNT),
    Column("unit", "over", shown=False),
    Column("larger", "larger", COUNT, "units on which the harmonized network's value is larger"),
    Column("smaller", "smaller", COUNT, "units on which it is smaller"),
    Column("no_interval", "no interval, as"),
    Column("control", "control's name", shown=False),
    Column("trained_from", "trained from", shown=False),
)
NOTE = (
    "Each harmonized network less its control, which was trained alike but without human maps: the mean "
    "difference over the same images (of a neural fit, targets), and its 95 % paired t interval. Of "
    "tolerance, images that both get right. Intervals say how sure the mean over images is, not what "
    "another seed of training would give, and each stands for itself: of twenty, one misses by chance."
)


def harmonized(connection: Connection) -> Table:
    """Every pair, and all that both were measured on."""
    rows = [
        {**row, "measure": MEASURES[row["trend"]], "interval": _interval(row)}
        for row in connection.rows("FROM harmonized_pairs")
    ]
    return Table("harmonized", "Harmonized less control", COLUMNS, rows)


def _interval(row: Row) -> str | None:
    low, high = row["low"], row["high"]
    return None if low is None else f"{low:.3f} to {high:.3f}"
