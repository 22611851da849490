"""Table: a result table's columns, types, units and meanings; View: a question about tables, in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 2

TEXT = pa.string()
COUNT = pa.int64()
FLAG = pa.bool_()
REAL = pa.float64()
TIME = pa.timestamp("us", tz="UTC")
NAMES = pa.list_(pa.string())
REALS = pa.list_(pa.float32())
COUNTS = pa.list_(pa.int64())
BYTES = pa.binary()

# The table whose rows are trials; those of other tables may belong to them.
LEDGER = "trials"


@dataclass(frozen=True)
class Column:
    """One column: a null is an error unless `nullable`, and `meaning` says what a null means."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False


COMMIT = Column("commit_id", TEXT, "the commit that wrote the row; views keep one per trial")
TRIAL = Column("trial_id", TEXT, "digest of everything that determines the row's numbers")
MODEL = Column("model", TEXT, "the model card's name")


@dataclass(frozen=True)
class Table:
    """A result table: its grain ("one row per ...") and its columns, in order.

    `filled_by` names the evaluations of a sweep file, or the commands, that write its rows.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    filled_by: tuple[str, ...] = field(default=(), compare=False)

    def by(self, *filled_by: str) -> "Table":
        """The same table, said to be filled by these."""
        return replace(self, filled_by=filled_by)

    @property
    def ledgered(self) -> bool:
        """Whether its rows belong to trials: they count once the ledger names their commit."""
        return self.name != LEDGER and any(c.name == COMMIT.name for c in self.columns)

    @property
    def schema(self) -> pa.Schema:
        fields = [pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns]
        return pa.schema(fields, metadata={"zoo_eval_schema": str(SCHEMA_VERSION)})

    @property
    def schema_in_sql(self) -> pa.Schema:
        """The schema with float16 widened to float32, which loses nothing: SQL has no float16."""
        halves = pa.list_(pa.float16())
        return pa.schema(
            [f.with_type(pa.list_(pa.float32())) if f.type == halves else f for f in self.schema]
        )

    def arrow(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Rows as an Arrow table with exactly the declared schema.

        Raises:
            ValueError: a row has an undeclared column, or lacks a required value.
        """
        known = {column.name for column in self.columns}
        for row in rows:
            if unknown := sorted(row.keys() - known):
                raise ValueError(f"table {self.name}: unknown column {unknown[0]!r}")
            for column in self.columns:
                if not column.nullable and row.get(column.name) is None:
                    raise ValueError(f"table {self.name}: column {column.name!r} must not be null")
        columns = [pa.array([row.get(c.name) for row in rows], type=c.type) for c in self.columns]
        return pa.Table.from_arrays(columns, schema=self.schema)


@dataclass(frozen=True)
class View:
    """One SELECT over tables and other views; the SQL's first line is `-- ` and its question."""

    name: str
    sql: str

    @property
    def question(self) -> str:
        """The question that it answers."""
        return self.sql.splitlines()[0].removeprefix("-- ")


def trial_table(name: str, grain: str, *columns: Column) -> Table:
    """A table of what trials of models found: with the columns that tie its rows to them."""
    return Table(name, grain, (TRIAL, MODEL, *columns, COMMIT))
