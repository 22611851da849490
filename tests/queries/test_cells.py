"""No SELECT ends in a traceback or in another value: what a format has not is text, or is refused."""

import io
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from zoo_eval import cli
from zoo_eval.commands.output import write
from zoo_eval.errors import BadInput
from zoo_eval.notebook.results import Results
from zoo_eval.queries import written
from zoo_eval.queries.cells import ARROW, TEXT
from zoo_eval.store import Store

# SELECT, and what each of table, CSV, JSON, pandas and polars shows.
AS_TEXT = {
    # Arrow drops the offset, and gives bits, BIGNUM and VARIANT as DuckDB's own bytes.
    "SELECT TIMETZ '12:00:00+02' AS x": "12:00:00+02",
    "SELECT [TIMETZ '12:00:00+02'] AS x": "['12:00:00+02']",
    "SELECT '101'::BIT AS x": "101",
    "SELECT {'a': '101'::BIT} AS x": "{'a': 101}",
    "SELECT 123456789012345678901234567890::BIGNUM AS x": "123456789012345678901234567890",
    "SELECT MAP {'k': 3::BIGNUM} AS x": "{k=3}",
    "SELECT 3::VARIANT AS x": "3",
    # Arrow makes -1 of the largest, and polars drops the last digits of the second.
    f"SELECT {2**128 - 1}::UHUGEINT AS x": str(2**128 - 1),
    f"SELECT {2**127 - 1}::HUGEINT AS x": str(2**127 - 1),
    f"SELECT [{2**127 - 1}::HUGEINT] AS x": f"[{2**127 - 1}]",
    # PyArrow makes 00:00:00 of it, and drops nanoseconds.
    "SELECT TIME '24:00:00' AS x": "24:00:00",
    "SELECT TIME_NS '12:00:00.123456789' AS x": "12:00:00.123456789",
    # It has them as moments in 1677 and 2262.
    "SELECT TIMESTAMP_NS 'infinity' AS x": "infinity",
    "SELECT TIMESTAMP_NS '-infinity' AS x": "-infinity",
    "SELECT TIMESTAMP_S 'infinity' AS x": "infinity",
    "SELECT TIMESTAMPTZ 'infinity' AS x": "infinity",
    "SELECT {'a': [MAP {1: TIMESTAMP 'infinity'}]} AS x": "{'a': [{1=infinity}]}",
    "SELECT MAP {DATE 'infinity': 1} AS x": "{infinity=1}",
    "SELECT [INTERVAL 3 MONTH] AS x": "[3 months]",
    "SELECT union_value(num := 2) AS x": "2",
    "SELECT 1 AS y, 2 AS z, INTERVAL 3 MONTH AS x": "3 months",
}
# SELECT, and its cell in JSON.
AS_IT_IS = {
    "SELECT sum(x) AS x FROM (VALUES (9007199254740993), (0)) AS t(x)": 9007199254740993,
    "SELECT 0.5 AS x": 0.5,
    "SELECT 12345678901234567890.5 AS x": "12345678901234567890.5",
    "SELECT {'a': 12.50::DECIMAL(9, 2)} AS x": {"a": 12.5},
    "SELECT TIMESTAMP_NS '2020-01-01 00:00:00.123456789' AS x": "2020-01-01 00:00:00.123456789",
    "SELECT TIMESTAMP '9999-12-31 00:00:00' AS x": "9999-12-31 00:00:00",
    "SELECT TIME '23:59:59' AS x": "23:59:59",
    "SELECT MAP {DATE '2020-01-01': 1} AS x": {"2020-01-01": 1},
    "SELECT NULL::TIMESTAMP AS x": None,
    "SELECT row(1, 'a') AS x": {"element1": 1, "element2": "a"},
}
# What Parquet has no type or no value for.
NOT_PARQUET = [
    "SELECT INTERVAL 3 MONTH AS x",
    "SELECT union_value(num := 2) AS x",
    "SELECT MAP {} AS x",
    "SELECT TIMESTAMP_S 'infinity' AS x",
    "SELECT i AS y, CASE WHEN i = 2 THEN TIMESTAMP_S 'infinity' END AS x FROM range(3) AS t(i)",
]
NO_PARQUET = {
    query for query in AS_TEXT if "INTERVAL" in query or "union" in query or "_S" in query
}
REFUSED = ["", "-- nothing", "SELECT 1; SELECT 2", "CREATE TABLE a (x INT)", "SELECT error('boo')"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(str(tmp_path_factory.mktemp("cells") / "store"), create=True)


@pytest.fixture(scope="module")
def results(store):
    return Results(store)


@pytest.fixture
def asked(results, capfdbinary):
    """What `zoo-eval sql` writes of a SELECT, whose store is opened once."""

    def ask(query, form):
        holder = ARROW if form == "parquet" else TEXT
        write(results._connection.query(query, holder), form)
        return capfdbinary.readouterr().out

    return ask


@pytest.mark.parametrize(("query", "shown"), AS_TEXT.items())
def test_what_a_format_has_not_is_text(results, asked, query, shown):
    for form in ("table", "csv"):
        assert shown in asked(query, form).decode()
    (row,) = json.loads(asked(query, "json"))
    assert row["x"] == shown
    rows = results.sql(query)
    assert rows.df()["x"].tolist() == rows.pl()["x"].to_list() == [shown]
    repr(rows.df())
    assert shown in repr(rows)
    rows.arrow().validate(full=True)


@pytest.mark.parametrize(("query", "shown"), AS_IT_IS.items())
def test_what_a_format_has_stays(results, asked, query, shown):
    (row,) = json.loads(asked(query, "json"))
    assert row == {"x": shown}
    rows = results.sql(query)
    assert len(rows.df()) == len(rows.pl()) == 1


@pytest.mark.parametrize("query", sorted({*AS_TEXT, *AS_IT_IS} - NO_PARQUET))
def test_parquet_holds_it(asked, query):
    assert "x" in pq.read_table(io.BytesIO(asked(query, "parquet"))).column_names


@pytest.mark.parametrize("query", NOT_PARQUET)
def test_what_parquet_cannot_hold_is_named_with_the_cast(asked, query):
    with pytest.raises(BadInput) as said:
        asked(query, "parquet")
    assert "column 'x': Parquet cannot hold it" in str(said.value)
    assert 'CAST("x" AS VARCHAR)' in str(said.value)
    assert asked(f'SELECT CAST("x" AS VARCHAR) AS x FROM ({query})', "parquet")


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_no_select_is_one_line(asked, query):
    with pytest.raises(BadInput) as said:
        asked(query, "table")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
def test_the_command_ends_without_a_traceback(store, capfdbinary, form):
    for query in ("SELECT TIME '24:00:00' AS x", "SELECT error('boo')"):
        code = cli.main(["sql", query, "--store", store.uri, "--format", form])
        out = capfdbinary.readouterr()
        assert (code, out.err.count(b"\n")) == ((0, 0) if b"24:00" in out.out else (2, 1))


def test_rows_stay_in_order_where_a_column_is_text(results):
    rows = results.sql("SELECT i::UHUGEINT AS x FROM range(100000) AS t(i) ORDER BY i DESC")
    assert rows.arrow()["x"].to_pylist() == [str(n) for n in reversed(range(100000))]


def test_decimals_are_numbers_of_json_where_nothing_is_lost():
    kept = [written._of_json(Decimal(text)) for text in ("12", "0.1", "-2.50", "1e30", "0.1" + "0" * 20 + "1")]  # fmt: skip
    assert kept == [12, 0.1, -2.5, 10**30, "0.1000000000000000000001"]


def test_columns_are_aligned_below_a_header_that_is_escaped(asked):
    text = asked("SELECT 'a' AS \"x\x1b\", 'b' AS y", "table").decode()
    header, line, row = text.splitlines()
    assert header == "x\\x1b  y"
    assert line.rindex("-") == row.index("b") == header.index("y")


def test_csv_holds_cells_as_they_are(asked, capfdbinary):
    assert asked("SELECT '=cmd()' AS x", "csv").split() == [b"x", b"=cmd()"]
    with pytest.raises(SystemExit):
        cli.main(["sql", "--help"])
    assert "a formula" in " ".join(capfdbinary.readouterr().out.decode().split())


def test_an_encoding_that_lacks_a_letter_is_said(store, capsys, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", narrow)
    assert cli.main(["sql", "SELECT 'é' AS x", "--store", store.uri]) == 2
    assert "set PYTHONIOENCODING=utf-8" in capsys.readouterr().err


def test_what_the_command_line_refuses_is_escaped(capsys):
    with pytest.raises(SystemExit):
        cli.main(["plan", "a.toml", "--\x1b[31mred"])
    assert "\\x1b[31mred" in capsys.readouterr().err


def test_a_path_that_steers_is_shown_escaped(store, tmp_path, capsys):
    out = tmp_path / "a\x1b[2J.html"
    assert cli.main(["report", "--store", store.uri, "--out", str(out)]) == 0
    assert "a\\x1b[2J.html" in capsys.readouterr().out
