"""The planted stores of the report's tests, and a planted zoo of families."""

import pytest

from tests.report.conftest import planted_store, quarantined_store
from tests.trends import zoo
from zoo_eval.queries.connection import connect
from zoo_eval.trends.analysis import analysis

__all__ = ["planted_store", "quarantined_store"]


@pytest.fixture(scope="session")
def zoo_store(tmp_path_factory):
    return zoo.with_ceiling(zoo.made(tmp_path_factory.mktemp("zoo") / "store"))


@pytest.fixture(scope="session")
def zoo_analysis(zoo_store):
    return analysis(connect(zoo_store), [("local/m00", "local/m10"), ("local/m00", "local/m01")])
