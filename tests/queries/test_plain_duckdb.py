"""The one line of docs/store.md that reads a store with DuckDB alone: when it is right, and when not."""

import re
from pathlib import Path

import duckdb
import pytest

from tests.planted_rows import failure
from tests.queries.zoo import Zoo
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "store.md"
LINE = re.search(r'^duckdb -c "(.* SEMI JOIN .*)"$', PAGE.read_text(), re.MULTILINE)


@pytest.fixture
def store(tmp_path):
    """Twelve commits, one of a failed trial."""
    store = Store(str(tmp_path / "store"), create=True)
    for n in range(12):
        zoo = Zoo(store, seed=n)
        zoo.accuracy(f"m{n}")
        zoo.commit()
    zoo = Zoo(store)
    zoo.add("accuracy", "accuracy", model="broken", ledger=failure())
    return zoo.commit()


def alone(store):
    return sorted(duckdb.sql(LINE[1].replace("results/demo", store.root)).fetchall())


def counting(store):
    rows = connect(store).rows("SELECT model, top1 FROM accuracy")
    return sorted((row["model"], row["top1"]) for row in rows)


def test_it_reads_what_counts_of_a_store_that_was_not_merged(store):
    assert alone(store) == counting(store)
    assert len(counting(store)) == 12


def test_in_the_hours_of_grace_it_counts_merged_rows_twice_and_after_them_once(store):
    store.compact()
    assert alone(store) == sorted(2 * counting(store))
    store.compact(grace_s=0)
    assert alone(store) == counting(store)
    assert len(counting(store)) == 12
