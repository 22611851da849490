"""Exclusions and failures: what is not in the numbers, why, and how much of it there is."""

from zoo_eval.queries.connection import Connection
from zoo_eval.report.table import COUNT, Column, Table

# Values of views that default figures and statistics read: counted where they are no numbers.
COUNTED = """
SELECT 'neural scores at the chosen layer' AS what, count(*) AS n,
    count(*) FILTER (score IS NULL) AS n_undefined, count(*) FILTER (isnan(score)) AS n_nan,
    count(*) FILTER (isinf(score)) AS n_infinite
FROM best_layer
UNION ALL BY NAME
SELECT 'tolerances' AS what, count(*) AS n, count(*) FILTER (tolerance IS NULL) AS n_undefined,
    count(*) FILTER (isnan(tolerance)) AS n_nan, count(*) FILTER (isinf(tolerance)) AS n_infinite
FROM tolerances
UNION ALL BY NAME
SELECT 'alignments' AS what, count(*) AS n, count(*) FILTER (alignment IS NULL) AS n_undefined,
    count(*) FILTER (isnan(alignment)) AS n_nan, count(*) FILTER (isinf(alignment)) AS n_infinite
FROM alignments
"""
KEPT = "Their rows are kept, but left out of every default view."
INFINITE = "An infinite tolerance is a result: no attack succeeded on the median image."
FAILURES = (
    Column("model", "model"),
    Column("evaluation", "evaluation", choose=True),
    Column("status", "status", choose=True),
    Column("failure_class", "class", choose=True),
    Column("layer", "layer"),
    Column("readout", "readout"),
    Column("attack", "attack"),
    Column("stimuli", "stimuli", shown=False),
    Column("recording", "recording", shown=False),
    Column("error_type", "error", shown=False),
    Column("error_message", "why"),
    Column("attempt", "attempt", COUNT, shown=False),
)


def quarantined(connection: Connection) -> Table:
    """Models that failed the sanity gate: their rows are kept, and left out of every default view."""
    rows = connection.rows(
        "SELECT model, gate_reason FROM gates WHERE gate = 'fail' ORDER BY model"
    )
    columns = (Column("model", "model"), Column("gate_reason", "reason"))
    return Table("quarantined", "Failed the sanity gate", columns, rows)


def no_numbers(connection: Connection) -> list[str]:
    """Sentences: how many values are undefined, NaN or infinite, and what becomes of them."""
    said = []
    for row in connection.rows(COUNTED):
        what, n = row["what"], row["n"]
        for column, word, then in (
            ("n_undefined", "undefined", "left out"),
            ("n_nan", "NaN", "left out of statistics and figures"),
            ("n_infinite", "infinite", "ranked last, left out of means and of Pearson's r"),
        ):
            if row[column]:
                said.append(f"{row[column]} of {n} {what} {_are(row[column])} {word}: {then}.")
    return (
        [*said, INFINITE]
        if any("tolerances" in one and "infinite" in one for one in said)
        else said
    )


def failures(connection: Connection) -> Table:
    """Trials that failed or were refused and have not been done since, with the reason."""
    rows = connection.rows("SELECT * FROM failures")
    return Table("failures", "Failures", FAILURES, rows)


def by_kind(connection: Connection) -> list[str]:
    """Sentences: how many failed or were refused, by evaluation and class of failure."""
    return [
        f"{row['n']:,} of {row['evaluation']} {row['status']} ({row['failure_class'] or 'no class'}), "
        f"of {row['n_models']} model{'s' * (row['n_models'] != 1)}"
        for row in connection.rows(
            "SELECT evaluation, status, failure_class, count(*) AS n, "
            "count(DISTINCT model) AS n_models FROM failures GROUP BY ALL ORDER BY n DESC, evaluation, status, failure_class"
        )
    ]


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
