"""A sweep waits for a store that is full or away; a question is answered, or is an error, at once."""

import errno
import os
import urllib.request

import pytest

from tests.storage import s3_server
from zoo_eval.storage import address, bucket, objects
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.objects import waits


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(objects, "LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(bucket, "WAITS_S", (0.01,))


def test_the_waits_are_as_long_as_it_is_patient():
    assert list(waits((0.1, 0.2), 0)) == [0.1, 0.2, None]
    *some, last = waits((0.1,), 0.12)
    assert last is None
    assert some == pytest.approx([0.1, 0.05, 0.05, 0.02])


@pytest.mark.parametrize("act", ["create", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.ESTALE])
def test_a_disk_that_is_full_for_a_while_costs_a_patient_writer_nothing(
    tmp_path, monkeypatch, act, number
):
    folder, left, fsync = LocalFolder(tmp_path), [3], os.fsync

    def full(descriptor):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(number)):
        getattr(folder, act)("a/b", b"held")
    folder.patience_s = 60.0
    getattr(folder, act)("a/b", b"held")
    assert folder.get("a/b") == b"held"
    assert folder.leftovers() == []


def test_what_does_not_pass_is_not_waited_for(tmp_path, monkeypatch):
    folder = LocalFolder(tmp_path)
    folder.patience_s = 3600.0

    def refused(descriptor):
        raise OSError(errno.EACCES, "not yours")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OSError, match="not yours"):
        folder.create("a", b"held")


def test_a_server_that_is_away_for_a_while_costs_a_patient_one_nothing(s3_keys):
    with s3_server.running() as server:
        away = f"http://127.0.0.1:{server.port}/away/2"
        urllib.request.urlopen(away).close()
        store = address.opened(server.uri("s"))
        with pytest.raises(OSError, match="error"):
            store.create("a", b"held")
        urllib.request.urlopen(away).close()
        store.patience_s = 600.0
        assert store.create("a", b"held")
        assert store.get("a") == b"held"
