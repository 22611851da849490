"""The process that watches a store says what it sees, is replaced where it ends, and ends with the server."""

import json
import time

import psutil
import pytest

from tests.explorer.planted import NAMES, add, store_at
from zoo_eval.errors import BadInput
from zoo_eval.explorer import lookout
from zoo_eval.explorer.lookout import Lookout
from zoo_eval.queries.limits import Limits


def until(holds):
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def models(watched) -> list[str]:
    return [row["model"] for row in json.loads(watched.seen.shown.leaderboard)]


def test_a_process_that_ends_is_said_and_replaced_and_ends_when_it_is_told_to(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lookout, "AGAIN_AFTER_S", 1.0)
    store = store_at(tmp_path / "store")
    watched = Lookout(store.uri, Limits())
    assert (models(watched), watched.seen.trouble) == (NAMES, None)
    sources = watched.seen.shown.sources
    watched.start()
    try:
        until(lambda: watched.seen.report is not None)
        assert "planted" in watched.seen.report.html
        first = watched._process.pid
        psutil.Process(first).kill()
        until(lambda: watched.seen.trouble == lookout.ENDED)
        assert models(watched) == NAMES
        add(store, "local/new", 0.1)
        until(lambda: watched.seen.trouble is None and len(models(watched)) == 4)
        assert watched._process.pid != first
        # What others are shown is of the same store, whichever process has read it.
        assert [one.name for one in watched.seen.shown.sources] == [one.name for one in sources]
    finally:
        watched.stop()
    watched._thread.join(300)
    assert not watched._thread.is_alive()
    assert not psutil.pid_exists(watched._process.pid)


def test_a_store_that_is_none_is_said_and_no_process_is_left(tmp_path):
    before = {one.pid for one in psutil.Process().children()}
    with pytest.raises(BadInput, match="no store at"):
        Lookout(str(tmp_path / "none"), Limits())
    assert {one.pid for one in psutil.Process().children()} <= before
