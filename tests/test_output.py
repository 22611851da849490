"""Results of valid SELECTs that Python cannot hold are text, in every format; what Parquet has not is said."""

import io
import json

import pyarrow.parquet as pq
import pytest

from zoo_eval import cli
from zoo_eval.notebook.results import Results
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

# SELECT, and how each format shows its cell.
ODD = {
    "SELECT 'infinity'::DATE AS x": "infinity",
    "SELECT '-infinity'::TIMESTAMP AS x": "-infinity",
    "SELECT DATE '12000-01-01' AS x": "12000-01-01",
    "SELECT DATE '0044-03-15 (BC)' AS x": "0044-03-15 (BC)",
    "SELECT TIMESTAMP '290000-01-01 00:00:00' AS x": "290000-01-01 00:00:00",
    "SELECT MAP {[1, 2]: 'a'} AS x": "{[1, 2]=a}",
    "SELECT [DATE '12000-01-01'] AS x": "[12000-01-01]",
    "SELECT {'when': 'infinity'::DATE} AS x": "{'when': infinity}",
    "SELECT '\\xFF\\x00'::BLOB AS x": "\\xFF\\x00",
}
FINE = [
    "SELECT INTERVAL 3 MONTH AS x",
    "SELECT union_value(num := 2) AS x",
    "SELECT 170141183460469231731687303715884105727::HUGEINT AS x",
    "SELECT uuid() AS x",
    "SELECT TIME '12:00:00' AS x",
    "SELECT TIMETZ '12:00:00+02' AS x",
    "SELECT 'a'::ENUM ('a', 'b') AS x",
    "SELECT 12.50::DECIMAL(9, 2) AS x",
    "SELECT NULL AS x",
    "SELECT [1, NULL] AS x",
    "SELECT {'a': [1]} AS x",
    "SELECT 1 AS x, 2 AS x",
    "SELECT 1 AS x WHERE false",
    "SELECT '101'::BIT AS x",
    "SELECT 'nan'::DOUBLE AS x, 'infinity'::DOUBLE AS y, [-'infinity'::DOUBLE] AS z",
]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def printed(store, capsys, query, form):
    code = cli.main(["sql", query, "--store", store.uri, "--format", form])
    return code, capsys.readouterr()


@pytest.mark.parametrize(("query", "shown"), ODD.items())
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_what_python_cannot_hold_is_text(store, capsys, query, shown, form):
    code, out = printed(store, capsys, query, form)
    assert code == 0, out.err
    if form == "json":
        assert json.loads(out.out) == [{"x": shown}]
    else:
        assert shown in out.out


@pytest.mark.parametrize("query", FINE)
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_everything_else_is_shown(store, capsys, query, form):
    code, out = printed(store, capsys, query, form)
    assert code == 0, out.err
    assert "Traceback" not in out.err
    if form == "json":
        json.loads(out.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("query", [*ODD, *FINE])
def test_parquet_holds_it_or_says_how_to_ask(store, capfdbinary, query):
    code = cli.main(["sql", query, "--store", store.uri, "--format", "parquet"])
    out = capfdbinary.readouterr()
    if code == 0:
        assert pq.read_table(io.BytesIO(out.out)).column_names[0] == "x"
    else:
        assert out.err.decode().count("\n") == 1
        assert b"AS VARCHAR)" in out.err


@pytest.mark.parametrize("query", [*ODD, *FINE])
def test_python_gets_it_too(store, query):
    rows = Results(store).sql(query)
    for found in (rows.df(), rows.pl()):
        assert next(iter(found.columns)) == "x"
    assert "x" in repr(rows)
    assert "<table>" in rows._repr_html_()


def test_numbers_that_json_has_not_are_text(store, capsys):
    query = "SELECT 'nan'::DOUBLE AS x, 'infinity'::DOUBLE AS y, ['-infinity'::DOUBLE] AS z"
    _, out = printed(store, capsys, query, "json")
    assert json.loads(out.out) == [{"x": "NaN", "y": "Infinity", "z": ["-Infinity"]}]


def test_names_in_cells_and_headers_are_escaped_on_a_terminal(store, capsys):
    query = "SELECT 'a\u202eb\x1b[2J' AS \"c\x07\""
    _, out = printed(store, capsys, query, "table")
    assert "\\u202e" in out.out
    assert "\\x1b[2J" in out.out
    assert not {"\x1b", "\u202e", "\x07"} & set(out.out)
    (row,) = connect(store).rows(query)
    assert row == {"c\x07": "a\u202eb\x1b[2J"}
