"""Whether two stores hold the same results, row for row."""

import numpy as np

from tests.rounding import SCORE
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.tables import TABLES

RESULTS = ("models", "accuracy", "layers", "features", "neural_scores", "ceilings", "attacks",
           "perturbations", "alignment")  # fmt: skip


def rows(uri, table: str) -> list[dict]:
    """A result table's rows in a fixed order, without timings and the id of the commit."""
    visible = connect(Store(str(uri))).rows(f"SELECT * EXCLUDE (commit_id) FROM {table}")
    for row in visible:
        row.pop("seconds", None)
    keys = [c.name for c in TABLES[table].columns if str(c.type) in ("string", "int64")]
    return sorted(visible, key=lambda row: [str(row[k]) for k in keys if k != "commit_id"])


def assert_same_results(one, other, tables=RESULTS) -> None:
    """Equal row for row: text and counts exactly, numbers to what scores are right to."""
    for table in tables:
        left, right = rows(one, table), rows(other, table)
        assert len(left) == len(right), table
        assert left, f"{table} is empty: nothing was compared"
        for a, b in zip(left, right, strict=True):
            assert a.keys() == b.keys()
            for name in a:
                assert_same_value(a[name], b[name], f"{table}.{name}")


def assert_same_value(a, b, where: str) -> None:
    if isinstance(a, float) or (isinstance(a, list) and a and isinstance(a[0], float)):
        np.testing.assert_allclose(a, b, rtol=SCORE, atol=SCORE, equal_nan=True, err_msg=where)
    else:
        assert a == b, where


def assert_each_trial_once(uri) -> None:
    """No trial has finished twice, and no row stands twice."""
    connection = connect(Store(str(uri)))
    twice = connection.rows(
        "SELECT trial_id FROM trials WHERE status = 'ok' GROUP BY trial_id HAVING count(*) > 1"
    )
    assert twice == []
    for table in RESULTS:
        n, n_distinct = (
            len(connection.rows(f"SELECT {what} FROM {table}")) for what in ("*", "DISTINCT *")
        )
        assert n == n_distinct, table
