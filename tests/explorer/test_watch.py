"""A store that grows, vanishes or is damaged while it is served: what was read last stays, and it is said."""

import json
import shutil
import threading
import time

import pytest

from tests.explorer.planted import BOUNDS, NAMES, add, renew, served, store_at
from tests.storage import s3_server
from tests.storage.conftest import s3_keys as s3_keys
from zoo_eval.explorer import watch as watching
from zoo_eval.explorer.serving import Serving
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page
from zoo_eval.store import Store


def models(client) -> list[str]:
    return [row["model"] for row in client.get("/leaderboard.json").json()]


def test_what_is_committed_is_shown_and_what_was_read_is_not_read_again(tmp_path, monkeypatch):
    store = store_at(tmp_path / "store")
    with served(tmp_path / "store") as client:
        before = client.watch.moment
        renew(client)
        assert client.watch.moment is before
        old = client.watch.report.html
        add(store, "local/new", 0.1)
        assert models(client) == NAMES
        renew(client)
        assert models(client) == [*NAMES, "local/new"]
        assert "It has moved since" in client.get("/").text
        assert client.watch.report.html == old
        renew(client)
        assert "It has moved since" not in client.get("/").text
        assert client.watch.report.html == page(connect(store), store.uri) != old
        monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 60)
        found = client.post("/sql.csv", data={"q": "SELECT count(*) AS n FROM models"})
        assert found.text == "n\r\n4\r\n"


def test_a_bucket_is_looked_at_in_the_same_way(s3_keys):
    with s3_server.running() as server:
        store = Store(server.uri("prefix"), create=True)
        before = store.contents()
        assert not before.is_past()
        add(store, "local/new", 0.1)
        assert before.is_past()
        assert not (now := store.contents()).is_past()
        store.compact(grace_s=0.0)
        assert now.is_past()
        assert not store.contents().is_past()


def test_a_merged_store_says_the_same(tmp_path):
    store = store_at(tmp_path / "store")
    with served(tmp_path / "store") as client:
        store.compact(grace_s=0.0)
        assert client.watch.moment.contents.is_past()
        renew(client)
        assert not client.watch.moment.contents.is_past()
        assert (models(client), client.watch.trouble) == (NAMES, None)
        # The processes had opened the files that are gone now.
        found = client.post("/sql.csv", data={"q": "SELECT count(*) AS n FROM models"})
        assert found.text == "n\r\n3\r\n"


def test_a_store_that_vanishes_is_still_shown_and_comes_back(tmp_path):
    store_at(tmp_path / "store")
    with served(tmp_path / "store") as client:
        renew(client)
        (tmp_path / "store").rename(tmp_path / "away")
        renew(client)
        assert models(client) == NAMES
        assert "Warning" in client.get("/leaderboard.json").headers
        shown = client.get("/").text
        assert "It cannot be read now: store" in shown
        assert "is gone" in shown
        assert "is gone" in client.get("/sql").text
        (tmp_path / "away").rename(tmp_path / "store")
        renew(client)
        assert "Warning" not in client.get("/leaderboard.json").headers
        assert "cannot be read" not in client.get("/").text


def test_a_store_that_is_damaged_is_said_to_be(tmp_path):
    store = store_at(tmp_path / "store")
    with served(tmp_path / "store") as client:
        add(store, "local/new", 0.1)
        for part in (tmp_path / "store" / "accuracy").glob("*.parquet"):
            part.write_bytes(b"x")
        renew(client)
        assert models(client) == NAMES
        assert "doctor" in client.watch.trouble
        assert "\n" not in client.watch.trouble
        found = client.post("/sql", data={"q": "SELECT * FROM accuracy"})
        assert (found.status_code, "doctor" in found.text) == (503, True)
        assert client.get("/tables").status_code == 200


def test_a_store_made_anew_at_the_same_place_is_read_anew(tmp_path):
    store_at(tmp_path / "store")
    with served(tmp_path / "store") as client:
        shutil.rmtree(tmp_path / "store")
        store_at(tmp_path / "store", ["local/other"])
        renew(client)
        assert (models(client), client.watch.trouble) == (["local/other"], None)


def test_readers_do_not_wait_while_the_store_is_read(tmp_path, monkeypatch):
    store = store_at(tmp_path / "store")
    entered, go_on = threading.Event(), threading.Event()
    read = watching.Moment.of

    def slowly(*given):
        entered.set()
        assert go_on.wait(300)
        return read(*given)

    with served(tmp_path / "store") as client:
        add(store, "local/new", 0.1)
        monkeypatch.setattr(watching.Moment, "of", slowly)
        renewing = threading.Thread(target=client.watch.look)
        renewing.start()
        assert entered.wait(300)
        # It is being read, and will be until this test says so.
        assert models(client) == NAMES
        assert client.get("/sql").status_code == 200
        go_on.set()
        renewing.join()
        assert models(client) == [*NAMES, "local/new"]


def test_a_report_that_cannot_be_made_is_said_and_the_rest_goes_on(tmp_path, monkeypatch):
    store_at(tmp_path / "store")

    def broken(*given):
        raise ValueError("planted\nerror")

    monkeypatch.setattr(watching, "page", broken)
    with served(tmp_path / "store") as client:
        assert "is being made" in client.get("/").text
        renew(client)
        found = client.get("/")
        assert found.status_code == 503
        assert found.text.count("\n") == 1
        assert "ValueError: planted error" in found.text
        assert models(client) == NAMES


def test_readers_and_a_writer_at_once(tmp_path):
    """A short part of `python -m benchmarks.serve`."""
    import httpx

    store = store_at(tmp_path / "store", [])
    serving = Serving(str(tmp_path / "store"), BOUNDS, port=0).start()
    found: list[tuple[int, int]] = []

    def reading() -> None:
        with httpx.Client(base_url=serving.url, timeout=300, trust_env=False) as client:
            for _ in range(10):
                answer = client.get("leaderboard.json")
                found.append((answer.status_code, len(answer.json())))

    readers = [threading.Thread(target=reading) for _ in range(8)]
    try:
        for one in readers:
            one.start()
        for number in range(10):
            add(store, f"local/{number}", 0.5)
        for one in readers:
            one.join()
        until = time.monotonic() + 300
        with httpx.Client(base_url=serving.url, timeout=300, trust_env=False) as client:
            while len(rows := client.get("leaderboard.json").json()) < 10:
                assert time.monotonic() < until
                time.sleep(0.1)
    finally:
        serving.stop()
    assert len(found) == 80
    assert {status for status, _ in found} == {200}
    assert json.dumps([row["model"] for row in rows]) == json.dumps(
        [f"local/{n}" for n in range(10)]
    )
    assert not Store(str(tmp_path / "store")).strays()


@pytest.mark.parametrize("wrong", ["none", "file"])
def test_a_store_that_is_none_is_said_at_once(tmp_path, wrong):
    from zoo_eval.errors import BadInput

    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match=r"store|folder"):
        Serving(str(tmp_path / wrong), BOUNDS, port=0)
