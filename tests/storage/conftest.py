"""Shared by the tests of storage."""

import pytest

from tests.storage import s3_server


@pytest.fixture
def s3_keys(monkeypatch):
    """What a server of the S3 protocol is asked with."""
    for name, value in s3_server.KEYS.items():
        monkeypatch.setenv(name, value)
