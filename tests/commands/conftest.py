"""Shared by the tests of commands."""

import pytest

from tests.storage import s3_server
from tests.storage.conftest import s3_keys as s3_keys
from zoo_eval.store import Store


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path, s3_keys):
    """A new store, in a folder and on a server of the S3 protocol."""
    if request.param == "folder":
        yield Store(str(tmp_path / "store"), create=True)
        return
    with s3_server.running() as server:
        yield Store(server.uri("prefix"), create=True)
