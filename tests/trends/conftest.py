"""The planted stores of the report's tests."""

from tests.report.conftest import planted_store, quarantined_store

__all__ = ["planted_store", "quarantined_store"]
