"""The table of what compaction keeps of views, so that not every query makes it of all rows again."""

from zoo_eval.tables.table import BYTES, TEXT, Column, Table

SUMMARIES = Table(
    "summaries",
    "view of which rows are kept",
    (
        Column("view", TEXT, "the view's name"),
        Column(
            "definition", TEXT, "digest of its SQL: what was made by another counts for nothing"
        ),
        Column(
            "groups",
            BYTES,
            "groups of trials, and a digest of those that they had: of a group that has others now "
            "the rows are read",
            "Parquet",
        ),
        Column("rows", BYTES, "the view's rows, each with its group's number", "Parquet"),
    ),
).by("zoo-eval compact")
