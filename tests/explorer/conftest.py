"""A served store with planted rows, asked without a network: one server for all tests of a file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.explorer.planted import served, store_at


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A store's folder, with what a careless hand may have left in it."""
    made = tmp_path_factory.mktemp("served")
    store_at(made / "store")
    outside = made / "outside"
    outside.mkdir()
    part = next((made / "store" / "accuracy").glob("*.parquet"))
    shutil.copy(part, made / "outside.parquet")
    shutil.copy(part, outside / "outside.parquet")
    (made / "store" / "accuracy" / "link.parquet").symlink_to(made / "outside.parquet")
    (made / "store" / "out").symlink_to(outside)
    return made


@pytest.fixture(scope="module")
def client(folder) -> Iterator[TestClient]:
    with served(folder / "store") as one:
        yield one
