"""Views that other packages declare: asked like the built-in ones, and no way out of the store."""

import duckdb
import pytest

from tests.planted_rows import ledger_row, result_row
from zoo_eval.commands.export import export
from zoo_eval.errors import BadInput
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.tables import COUNT, TABLES, VIEWS, Column, View, trial_table
from zoo_eval.trial import Trial

PAIRS = trial_table("pairs", "model", Column("n", COUNT, "pairs of images"))
# Each builds on the one after it.
DOUBLED = View("a_doubled", "-- How many, twice?\nSELECT model, 2 * n AS n FROM plain")
PLAIN = View(
    "plain", "-- How many?\nSELECT model, n, top1 FROM pairs JOIN model_accuracy USING (model);"
)
TRIAL = Trial("accuracy", 1, "standard", model="a", weights_digest="w", transform={}, stimuli_digest="s")  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    store.declare([PAIRS], [DOUBLED, PLAIN])
    pairs = [{"trial_id": TRIAL.id, "model": "a", "n": 4}]
    store.commit(
        {"accuracy": [result_row("accuracy", TRIAL, top1=0.5)], "pairs": pairs}, [ledger_row(TRIAL)]
    )
    return store


def test_declared_views_build_on_tables_built_in_views_and_each_other_in_any_order(store):
    connection = connect(Store(store.uri))
    assert connection.rows("FROM plain") == [{"model": "a", "n": 4, "top1": 0.5}]
    assert connection.rows("FROM a_doubled") == [{"model": "a", "n": 8}]
    assert connection.names == (*TABLES, "pairs", *VIEWS, "a_doubled", "plain")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("SELECT 1 AS n; DROP VIEW accuracy", "only one SELECT"),
        ("DELETE FROM pairs", "only one SELECT"),
        ("SELECT * FROM read_csv('/etc/hostname')", "tables and views"),
        ("COPY (SELECT 1) TO 'out.csv'", "only one SELECT"),
        ("SELECT", "SELECT clause"),
        ("FROM also_wrong", "also_wrong"),
    ],
)
def test_a_view_that_cannot_be_is_left_out_with_its_reason_and_the_rest_works(store, sql, reason):
    store.declare([], [View("wrong", f"-- What?\n{sql}"), View("also_wrong", "FROM wrong")])
    connection = connect(store)
    assert connection.rows("FROM plain")
    assert connection.rows("SELECT model FROM accuracy") == [{"model": "a"}]
    assert connection.left_out.keys() == {"wrong", "also_wrong"}
    assert "wrong" not in connection.names
    with pytest.raises(
        BadInput, match=rf"the declared view 'wrong' is left out: .*{reason}"
    ) as why:
        connection.query("SELECT * FROM wrong")
    assert "\n" not in str(why.value)


def test_an_export_holds_what_was_declared_too(store, tmp_path):
    store.declare([], [View("wrong", "-- What?\nFROM nothing")])
    counts = export(store, tmp_path / "all.duckdb")
    assert counts.keys() == {*TABLES, *VIEWS, "pairs", "a_doubled", "plain"}
    with duckdb.connect(str(tmp_path / "all.duckdb"), read_only=True) as exported:
        assert exported.execute("SELECT n FROM a_doubled").fetchall() == [(8,)]
