"""Whatever a query reads is brought before it runs, however it names it; nothing else is."""

import pytest

from tests.storage.planted import commit
from zoo_eval.queries.connection import VIEWS, connect, view_sql
from zoo_eval.queries.wanted import wanted
from zoo_eval.store import Store
from zoo_eval.tables import TABLES

SQL = {name: view_sql(name) for name in VIEWS}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("wanted") / "store"), create=True)
    commit(store, "a", "b")
    return store


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM accuracy",
        "FROM ACCURACY SELECT count(*)",
        'SELECT count(*) FROM "Accuracy"',
        "SELECT count(*) FROM memory.main.accuracy",
        "SELECT (SELECT count(*) FROM accuracy)",
        "SELECT count(*) FROM query_table('accu' || 'racy')",
        "SELECT count(*) FROM query('SELECT * FROM acc' || 'uracy')",
        "SELECT count(*)/*x*/FROM/**/accuracy",
    ],
)
def test_rows_are_there_however_a_table_is_named(store, query):
    assert connect(store).query(query).column(0).to_pylist() == [2]


def test_only_what_is_asked_for_is_brought():
    assert wanted("SELECT 1", TABLES, SQL) == (set(), [])
    assert wanted("SELECT * FROM models", TABLES, SQL) == ({"models"}, [])
    views = {"y": "FROM trends", "z": "FROM models", "x": "SELECT * FROM Y"}
    assert wanted("SELECT * FROM x", TABLES, views) == ({"trends"}, ["y", "x"])
    assert wanted("SELECT query FROM x", TABLES, views) == (set(TABLES), ["y", "z", "x"])


def test_views_that_name_each_other_end():
    views = {"x": "FROM y, trends", "y": "FROM x"}
    assert wanted("FROM x", TABLES, views) == ({"trends"}, ["x", "y"])


@pytest.mark.parametrize(
    "query",
    [
        "SELECT view_name FROM duckdb_views() WHERE NOT internal",
        "SELECT table_name FROM information_schema.tables",
        "SELECT name FROM (SHOW TABLES)",
    ],
)
def test_a_list_of_all_names_has_all(store, query):
    found = connect(store).query(query).column(0).to_pylist()
    assert set(VIEWS) | set(TABLES) <= set(found)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_asked_for_first(store, view):
    assert connect(store).columns(f"SELECT * FROM {view}")
    assert connect(store).query(f'SELECT * FROM "{view.upper()}"') is not None
