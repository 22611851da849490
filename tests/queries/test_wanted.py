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
        "WITH x AS (SELECT * FROM _accuracy) SELECT count(*) FROM x",
        "SELECT (SELECT count(*) FROM accuracy)",
        "SELECT count(*) FROM query_table('accu' || 'racy')",
        "SELECT count(*) FROM query('SELECT * FROM acc' || 'uracy')",
        "SELECT count(*)/*x*/FROM/**/accuracy",
    ],
)
def test_rows_are_there_however_a_table_is_named(store, query):
    assert connect(store).query(query).column(0).to_pylist() == [2]


def test_only_what_is_asked_for_is_brought():
    assert wanted("SELECT 1", TABLES, SQL) == set()
    assert wanted("SELECT * FROM models", TABLES, SQL) == {"models"}
    assert wanted("SELECT * FROM x", TABLES, {"x": "SELECT * FROM Y", "y": "FROM trends"}) == {
        "trends"
    }
    assert wanted("SELECT query FROM x", TABLES, {}) == set(TABLES)


def test_views_that_name_each_other_end():
    assert wanted("FROM x", TABLES, {"x": "FROM y, trends", "y": "FROM x"}) == {"trends"}
