"""Each table is declared once, and rows fit their declaration exactly."""

import math
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_eval.tables import FEATURES, TABLES, documentation

EXAMPLES = {
    pa.string(): "text",
    pa.int64(): 3,
    pa.bool_(): True,
    pa.float64(): 0.1,
    pa.timestamp("us", tz="UTC"): datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    pa.list_(pa.string()): ["a", "b"],
    pa.list_(pa.float32()): [0.5, float("nan")],
    pa.list_(pa.float16()): [0.5, 2.0**-24],
    pa.list_(pa.int64()): [3, 8, 8],
    pa.binary(): b"\x89PNG",
}
every_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)


def example(table):
    return {column.name: EXAMPLES[column.type] for column in table.columns}


def same(one, other):
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (math.isnan(one) and math.isnan(other))


@every_table
def test_rows_survive_parquet_with_their_schema(table, tmp_path):
    file = tmp_path / "rows.parquet"
    pq.write_table(table.arrow([example(table)]), file)
    # A plain reader sees the same columns; one that is given the schema, exactly the same types.
    assert pq.read_schema(file).names == table.schema.names
    read = pq.read_table(file, schema=table.schema)
    assert read.schema.equals(table.schema, check_metadata=True)
    (row,) = read.to_pylist()
    assert all(same(row[name], value) for name, value in example(table).items())


@every_table
def test_nullable_columns_may_be_left_out_and_others_may_not(table):
    required = [column.name for column in table.columns if not column.nullable]
    row = {name: example(table)[name] for name in required}
    (made,) = table.arrow([row]).to_pylist()
    assert all(made[column.name] is None for column in table.columns if column.nullable)
    for name in required:
        for lacking in ({**row, name: None}, {k: v for k, v in row.items() if k != name}):
            with pytest.raises(ValueError, match=f"column '{name}' must not be null"):
                table.arrow([lacking])


@every_table
def test_an_undeclared_column_is_an_error(table):
    with pytest.raises(ValueError, match=f"table {table.name}: unknown column 'colour'"):
        table.arrow([{**example(table), "colour": "red"}])


@every_table
def test_no_rows_make_an_empty_table_of_the_same_schema(table):
    assert table.arrow([]).schema.equals(table.schema)
    assert table.arrow([]).num_rows == 0


@every_table
def test_every_column_has_one_name_and_a_meaning(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert table.grain
    for column in table.columns:
        assert len(column.meaning) >= 5, column.name


@every_table
def test_its_documentation_names_every_column(table):
    text = documentation([table])
    assert f"## {table.name}" in text
    for column in table.columns:
        assert f"| `{column.name}` | {column.type} | {column.unit} | {column.meaning}" in text


def test_wrong_types_are_an_error():
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        FEATURES.arrow([{**example(FEATURES), "vector": "text"}])


def test_sql_sees_float16_as_float32_and_nothing_else_changed():
    for table in TABLES.values():
        for plain, wide in zip(table.schema, table.schema_in_sql, strict=True):
            half = plain.type == pa.list_(pa.float16())
            assert wide.type == (pa.list_(pa.float32()) if half else plain.type)


def test_rows_belong_to_trials_where_they_name_a_commit_and_are_no_trials_themselves():
    apart = {name for name, table in TABLES.items() if not table.ledgered}
    assert apart == {"trials", "trends", "summaries"}
