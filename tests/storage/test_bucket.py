"""Requests that fail, or whose answers are lost, neither lose nor double anything."""

import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError

from tests.storage import s3_server
from tests.storage.planted import commit
from zoo_eval.errors import BadInput, ZooEvalError
from zoo_eval.queries.connection import connect
from zoo_eval.storage import address, bucket
from zoo_eval.storage.bucket import Bucket
from zoo_eval.storage.objects import NotExclusive
from zoo_eval.storage.records import Records
from zoo_eval.store import Store


class Held:
    """What a get answers with."""

    def __init__(self, content):
        self.content = content

    def bytes(self):
        return self.content


class Planted:
    """An object store in memory, whose next answers are planted."""

    def __init__(self, *answers, ignores_conditions=False):
        self.held = {}
        self.answers = list(answers)
        self.ignores_conditions = ignores_conditions

    def put(self, path, content, mode):
        answer = self.answers.pop(0) if self.answers else None
        if answer == "refused":
            raise GenericError("planted 500 http://host/key?signature=secret")
        if answer == "conflict":
            raise AlreadyExistsError("planted 409")
        if answer == "denied":
            raise PermissionDeniedError("planted 403")
        if mode == "create" and path in self.held and not self.ignores_conditions:
            raise AlreadyExistsError("planted 412")
        self.held[path] = content
        if answer == "lost":
            raise GenericError("planted timeout")

    def get(self, path):
        if path not in self.held:
            raise FileNotFoundError(path)
        return Held(self.held[path])

    def delete(self, paths):
        for path in paths:
            self.held.pop(path, None)

    def list(self, folder, offset=None, chunk_size=1000):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(bucket, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "answers", [(), ("lost",), ("refused", "lost"), ("conflict",), ("refused",)]
)
def test_an_object_is_ours_whatever_became_of_the_answer(answers):
    store = Planted(*answers)
    assert Bucket(store).create("a", b"ours") is True
    assert store.held == {"a": b"ours"}


@pytest.mark.parametrize("answers", [(), ("refused",), ("conflict",)])
def test_an_object_that_was_there_stays_and_is_anothers(answers):
    store = Planted(*answers)
    store.held["a"] = b"another's"
    assert Bucket(store).create("a", b"ours") is False
    assert store.held == {"a": b"another's"}


def test_errors_that_stay_are_said_without_addresses():
    with pytest.raises(OSError, match="planted 500") as said:
        Bucket(Planted(*["refused"] * 9)).create("a", b"ours")
    assert "secret" not in str(said.value)
    with pytest.raises(PermissionError, match=r"credentials are .* expired .*planted 403"):
        Bucket(Planted("denied")).create("a", b"ours")


def test_a_bucket_that_ignores_conditions_is_found_out():
    Bucket(Planted()).check_exclusive()
    with pytest.raises(NotExclusive, match="ignores If-None-Match"):
        Bucket(Planted(ignores_conditions=True)).check_exclusive()


def test_a_record_whose_answer_was_lost_is_made_once(monkeypatch):
    store = Planted("lost")
    made = Records(Bucket(store), "ledger")
    monkeypatch.setattr(Records, "found", lambda self, after=0: {})
    assert made.append({"n": 1}) == 1
    assert list(store.held) == ["ledger/00000001.json"]


@pytest.mark.parametrize("kind", ["s3", "gs", "az", "zebra"])
def test_keys_in_an_address_are_refused_and_not_shown(kind):
    with pytest.raises(BadInput, match="credentials come from") as said:
        address.opened(f"{kind}://key:secret@bucket/prefix")
    assert "secret" not in str(said.value)


@pytest.mark.parametrize("uri", ["gs://bucket/prefix", "s3://bucket/prefix?colour=red"])
def test_addresses_are_told_by_their_kind(uri, monkeypatch):
    if "colour" in uri:
        with pytest.raises(BadInput, match="option 'colour'"):
            address.opened(uri)
    else:
        monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
        assert not address.opened(uri).is_local


def test_a_bucket_that_answers_no_more_is_one_line(s3_keys):
    with s3_server.running() as server:
        store = Store(server.uri("prefix"), create=True)
        commit(store, "a")
        connection = connect(Store(store.uri))
    for act in (
        lambda: connection.rows("SELECT * FROM accuracy"),
        lambda: connect(store),
        store.ledger,
        lambda: commit(store, "b"),
        lambda: Store(store.uri),
        store.compact,
        lambda: store.claim().__enter__(),
    ):
        with pytest.raises(ZooEvalError, match=r"cannot be|could not be read") as said:
            act()
        assert "\n" not in str(said.value)
        assert len(str(said.value)) < 500


def test_a_bucket_that_ignores_conditions_is_refused_before_anything_is_committed(s3_keys):
    with (
        s3_server.running(ignores_conditions=True) as server,
        pytest.raises(BadInput, match="ignores If-None-Match") as said,
    ):
        Store(server.uri("prefix"), create=True)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("uri", ["az://container/prefix", "gs://bucket/prefix"])
def test_a_cloud_that_lacks_its_environment_is_one_line(uri, monkeypatch):
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "GOOGLE_SKIP_SIGNATURE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(BadInput, match=r"cannot be asked .*set what the cloud's own") as said:
        Store(uri)
    assert "\n" not in str(said.value)


def test_a_long_list_is_whole_where_its_pages_fail(s3_keys, monkeypatch):
    """Forty pages, of which one in seven fails: begun anew each time, it would never end."""
    with s3_server.running(faults=0.15, most_keys=5) as server:
        objects = address.opened(server.uri("prefix"))
        monkeypatch.setattr(bucket, "WAITS_S", (0.0,) * 20)
        monkeypatch.setattr(bucket, "PAGE", 5)
        for number in range(200):
            objects.create(f"ledger/{number:08d}.json", b"x")
        assert [one.name for one in objects.listed("ledger")] == [
            f"{number:08d}.json" for number in range(200)
        ]
        assert len(objects.listed("ledger", "00000149.json")) == 50
