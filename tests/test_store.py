"""A commit is visible all at once and exactly once, whatever happens in between."""

import errno
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer

from tests.planted_rows import failure, ledger_row, result_row
from tests.storage.planted import TREND
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.queries.connection import connect
from zoo_eval.storage.local_folder import LEAST_FREE_BYTES, LocalFolder
from zoo_eval.store import MARKER, Store
from zoo_eval.tables import COUNT, SCHEMA_VERSION, TEXT, Column, Table, View, trial_table
from zoo_eval.trial import Trial


def trial(model="a"):
    return Trial(
        "accuracy", 1, "standard", model=model, weights_digest="w", transform={}, stimuli_digest="s"
    )


def rows(*models):
    return {"accuracy": [result_row("accuracy", trial(m), top1=0.5) for m in models]}


def ledger(*models, **changes):
    return [ledger_row(trial(m), **changes) for m in models]


def visible(store, table="accuracy"):
    """The models with visible rows, read by a connection of its own."""
    found = connect(Store(store.uri)).rows(f"SELECT model FROM {table} ORDER BY model")
    return [row["model"] for row in found]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def files(store, folder):
    return sorted(path.name for path in Path(store.root, folder).glob("*"))


def test_a_commit_is_read_back(store):
    commit_id = store.commit(rows("a", "b"), ledger("a", "b"))
    (row, _) = connect(store).rows("SELECT * FROM accuracy ORDER BY model")
    assert row == {**rows("a")["accuracy"][0], "commit_id": commit_id}
    assert visible(store, "trials") == ["a", "b"]


def test_rows_are_invisible_until_the_ledger_names_their_commit(store, monkeypatch):
    original = LocalFolder.create

    def crash_before_the_ledger(self, path, content):
        if path.startswith("ledger/"):
            raise KeyboardInterrupt
        return original(self, path, content)

    monkeypatch.setattr(LocalFolder, "create", crash_before_the_ledger)
    with pytest.raises(KeyboardInterrupt):
        store.commit(rows("a"), ledger("a"))
    monkeypatch.undo()
    assert len(files(store, "accuracy")) == 1
    assert visible(store) == []
    assert store.ledger().status == {}
    store.commit(rows("a"), ledger("a"))
    assert visible(store) == ["a"]


def test_the_same_commit_twice_has_its_rows_once_and_the_first_ones_stay(store):
    first = store.commit(rows("a"), ledger("a", seconds=1.0))
    again = Store(store.uri).commit(rows("a"), ledger("a", seconds=2.0))
    assert again != first  # its files are its own, and nobody's rows are mixed with another's
    assert visible(store) == ["a"]
    assert connect(store).rows("SELECT seconds FROM trials") == [{"seconds": 1.0}]


def test_many_writers_of_the_same_commits_leave_each_once(store):
    models = [f"m{i % 5}" for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda m: Store(store.uri).commit(rows(m), ledger(m)), models))
    assert visible(store) == sorted(set(models))
    assert files(store, ".uncommitted") == []


def test_a_trial_committed_in_two_groups_is_visible_once(store):
    # Two sweeps at once may group the same trial differently: two commits, both finished.
    store.commit(rows("a", "b"), ledger("a", "b"))
    store.commit(rows("a"), ledger("a"))
    assert visible(store) == ["a", "b"]
    assert visible(store, "trials") == ["a", "b"]


def test_a_wrong_row_leaves_nothing_behind(store):
    wrong = {**rows("a"), "layers": [{"model": "a", "colour": "red"}]}
    with pytest.raises(ValueError, match="table layers: unknown column 'colour'"):
        store.commit(wrong, ledger("a"))
    assert files(store, "accuracy") == files(store, "trials") == []


def test_the_ledger_has_the_last_status_and_the_number_of_attempts(store):
    store.commit({}, ledger("a", "b", **failure()))
    store.commit(rows("a"), ledger("a", attempt=2))
    store.commit({}, ledger("b", attempt=2, **failure()))
    store.commit({}, ledger("b", attempt=3, **failure()))
    found = store.ledger()
    assert found.status == {trial("a").id: "ok", trial("b").id: "failed"}
    assert found.attempts == {trial("a").id: 2, trial("b").id: 3}


def test_a_failed_attempt_has_no_visible_rows(store):
    store.commit(rows("a"), ledger("a", **failure()))
    assert visible(store) == []


def test_a_store_must_exist_or_be_created(tmp_path):
    with pytest.raises(BadInput, match=r"no store at .*; run a sweep first or correct --store"):
        Store(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_a_newer_schema_is_refused(store):
    marker = Path(store.root, MARKER)
    marker.write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    for create in (False, True):
        with pytest.raises(BadInput, match=f"has schema {SCHEMA_VERSION + 1}, newer than"):
            Store(store.uri, create=create)


@pytest.mark.parametrize("uri", ["zebra://bucket/prefix", "file://"])
def test_an_address_of_no_known_kind_is_an_error(uri):
    with pytest.raises(BadInput, match="is no folder or object-store address"):
        Store(uri, create=True)


def test_an_address_without_a_bucket_is_an_error():
    with pytest.raises(BadInput, match="no bucket or folder is named"):
        Store("s3://", create=True)


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_marker_of_another_kind_is_an_error(store, content):
    Path(store.root, MARKER).write_text(content)
    with pytest.raises(BadInput, match="is damaged; restore it"):
        Store(store.uri)


def test_a_file_in_place_of_the_store_is_an_error(tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(BadInput, match="cannot be opened"):
        Store(str(tmp_path / "store"), create=True)


def test_a_claim_is_held_by_one_sweep_and_free_afterwards(store):
    other = Store(store.uri)
    with store.claim():
        with pytest.raises(BadInput, match="is being written by another sweep"), other.claim():
            pass
        store.commit(rows("a"), ledger("a"))  # the holder writes, and so do its workers
        other.commit(rows("b"), ledger("b"))
    with other.claim():
        assert visible(store) == ["a", "b"]


def test_a_claim_ends_with_an_error_and_with_a_killed_process(store):
    with pytest.raises(RuntimeError), store.claim():
        raise RuntimeError
    code = (
        "import sys; from zoo_eval.store import Store\n"
        "with Store(sys.argv[1]).claim():\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, store.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BadInput, match="another sweep"), store.claim():
            pass
        holder.send_signal(signal.SIGKILL)
    with store.claim():
        pass


def test_a_claim_removes_nothing_for_a_commit_may_be_in_flight(store):
    store.commit(rows("a"), ledger("a"))
    orphan = Path(store.root, "accuracy", "0" * 32 + ".parquet")
    orphan.write_bytes(b"half a file")
    aside = Path(store.root, ".uncommitted", "abc")
    aside.write_bytes(b"half a file")
    store.replace("trends", [])
    store.write_input("kept", pa.table({"x": [1]}))
    assert visible(Store(store.uri)) == ["a"]  # reading neither sees nor removes it
    assert orphan.exists()
    with store.claim():
        assert visible(store) == ["a"]
    assert orphan.exists()
    assert aside.exists()
    assert visible(store) == ["a"]
    assert len(files(store, "trends")) == 1
    assert store.read_input("kept") is not None


def test_a_full_disk_is_one_line_and_keeps_what_was_committed(store, monkeypatch):
    store.commit(rows("a"), ledger("a"))

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError) as refused:
        store.commit(rows("b"), ledger("b"))
    monkeypatch.undo()
    said = str(refused.value)
    assert "no space is left; what was committed is kept: free space and run the same" in said
    assert "\n" not in said
    assert visible(store) == ["a"]
    assert files(store, ".uncommitted") == []
    store.commit(rows("b"), ledger("b"))
    assert visible(store) == ["a", "b"]


def test_another_write_error_says_what_it_was(store, monkeypatch):
    def broken(_descriptor):
        raise OSError(errno.EIO, "planted input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StoreError, match=r"planted input/output error.*mend it and run the same"):
        store.commit(rows("a"), ledger("a"))


def test_a_nearly_full_disk_is_refused_before_anything_runs(store, monkeypatch):
    store.check_space()
    usage = os.statvfs(store.root)

    def nearly_full(_path):
        free = LEAST_FREE_BYTES // usage.f_frsize - 1
        return os.statvfs_result([*usage[:4], free, *usage[5:]])

    monkeypatch.setattr(os, "statvfs", nearly_full)
    with pytest.raises(BadInput, match="less than 64 MiB free"):
        store.check_space()


def test_a_derived_table_is_replaced_as_a_whole(store):
    store.replace("trends", [TREND, {**TREND, "trend": "y"}])
    store.replace("trends", [{**TREND, "trend": "z", "estimate": None}])
    found = connect(store).rows("SELECT trend, estimate FROM trends")
    assert found == [{"trend": "z", "estimate": None}]


PAIRS = trial_table("pairs", "model x stimulus set", Column("n", COUNT, "pairs of images"))
NOTES = Table("notes", "thing noted", (Column("text", TEXT, "what it says"),))


def pairs(*models, n=1):
    return {"pairs": [{"trial_id": trial(m).id, "model": m, "n": n} for m in models]}


def test_rows_of_a_table_that_belongs_to_no_trial_are_seen_and_stay(store):
    store.declare([NOTES])
    store.replace("notes", [{"text": "kept"}])
    assert connect(Store(store.uri)).rows("FROM notes") == [{"text": "kept"}]
    with store.claim():
        pass
    assert connect(Store(store.uri)).rows("FROM notes") == [{"text": "kept"}]


def test_a_declared_table_that_belongs_to_trials_is_treated_as_the_built_in_ones(store):
    store.declare([PAIRS])
    Store(store.uri).commit(pairs("a", n=7), ledger("a"))
    orphan = Path(store.root, "pairs", "0" * 32 + ".parquet")
    orphan.write_bytes(b"half a file")
    assert connect(store).rows("SELECT model, n FROM pairs") == [{"model": "a", "n": 7}]
    with store.claim():
        assert visible(store, "pairs") == ["a"]


def test_rows_of_an_unknown_table_are_refused_before_anything_is_written(store):
    with pytest.raises(ValueError, match="no table 'pairs' is declared in this store"):
        store.commit(rows("a") | pairs("a"), ledger("a"))
    assert files(store, "accuracy") == []


def test_a_declaration_is_written_once_and_another_of_that_name_is_refused(store):
    question = View("many_pairs", "-- Which models have many pairs?\nSELECT model FROM pairs")
    for _ in range(2):
        store.declare([PAIRS], [question])
    assert [name.partition(".")[0] for name in files(store, "declared")] == ["many_pairs", "pairs"]
    again = Store(store.uri)
    assert again.tables()["pairs"] == PAIRS
    assert list(again.contents().views) == [question]
    other = trial_table("pairs", "model x pair", Column("distance", COUNT, "between the two"))
    with pytest.raises(BadInput) as refused:
        again.declare([other])
    said = str(refused.value)
    assert "one row per model x pair: trial_id, model, distance" in said
    assert "one row per model x stimulus set: trial_id, model, n" in said
    assert Store(store.uri).tables()["pairs"] == PAIRS
    with pytest.raises(BadInput, match=r"view 'pairs' .* and the table 'pairs' .* differ"):
        again.declare([], [View("pairs", "-- What?\nSELECT 1 AS n")])


def test_a_damaged_declaration_is_one_line(store):
    store.declare([PAIRS])
    (file,) = Path(store.root, "declared").iterdir()
    file.write_text("{}")
    with pytest.raises(
        StoreError, match=r"declared/pairs\..*\.json has 2 bytes .*; restore"
    ) as refused:
        connect(store)
    assert "\n" not in str(refused.value)


def test_an_input_is_kept_as_first_written(store):
    assert store.read_input("planted") is None
    store.write_input("planted", pa.table({"x": [1]}))
    store.write_input("planted", pa.table({"x": [2]}))
    assert store.read_input("planted").to_pydict() == {"x": [1]}


@pytest.fixture(scope="module")
def object_store():
    """The address of an object store on this machine, with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys
    ).create_bucket(Bucket="bucket")
    query = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name.upper(), value)
        yield lambda prefix: f"s3://bucket/{prefix}?{query}"
    server.stop()


def test_an_object_store_holds_the_same_as_a_folder(object_store):
    store = Store(object_store("some/results"), create=True)
    assert not store.is_local
    with store.claim():
        store.commit(rows("a"), ledger("a"))
        store.commit(rows("a"), ledger("a"))
        store.commit({}, ledger("b", **failure()))
        store.write_input("planted", pa.table({"x": [1]}))
    again = Store(object_store("some/results"))
    assert visible(again) == ["a"]
    assert again.ledger().status == {trial("a").id: "ok", trial("b").id: "failed"}
    assert again.read_input("planted").to_pydict() == {"x": [1]}
    again.declare([PAIRS])
    assert Store(again.uri).tables()["pairs"] == PAIRS
    assert connect(again).rows("SELECT model, top1 FROM model_accuracy") == [
        {"model": "a", "top1": 0.5}
    ]


def test_prefixes_of_one_bucket_are_stores_of_their_own(object_store):
    one, other = (Store(object_store(prefix), create=True) for prefix in ("one", "one/more"))
    one.commit(rows("a"), ledger("a"))
    other.commit(rows("b"), ledger("b"))
    assert (visible(one), visible(other)) == (["a"], ["b"])


def test_an_object_store_without_a_bucket_or_a_store_is_an_error(object_store):
    with pytest.raises(BadInput, match="no store at s3://"):
        Store(object_store("nothing/here"))
    absent = object_store("x").replace("//bucket/", "//absent/")
    with pytest.raises(BadInput, match="cannot be opened"):
        Store(absent, create=True)
