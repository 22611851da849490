"""Merged files have the same rows; readers, writers and other compactions go on meanwhile."""

import os
import shutil
import time
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from tests.storage.planted import TREND, as_0_1_0, commit, failed, ledger, rows, top1s, trial, whole
from tests.storage.test_damage import changed, noticed
from zoo_eval import cli
from zoo_eval import store as store_module
from zoo_eval.commands import doctor
from zoo_eval.errors import StoreError
from zoo_eval.queries.connection import connect
from zoo_eval.storage import address, compaction
from zoo_eval.storage.bucket import Bucket
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.store import Store

MODELS = [f"m{i}" for i in range(3)]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def filled(store):
    failed(store, "m0")
    store.commit(rows("m0"), ledger("m0", attempt=2))
    for model in MODELS[1:]:
        commit(store, model)
    return store


def everything(store):
    """All rows of both tables, as queries see them."""
    connection = connect(Store(store.uri))
    found = [connection.rows(f"SELECT * FROM {t} ORDER BY ALL") for t in ("trials", "accuracy")]
    assert {row["model"]: row["top1"] for row in found[1]} == top1s(store)
    return found


def parquet(store):
    return sorted(str(path.relative_to(store.root)) for path in Path(store.root).rglob("*.parquet"))


def test_the_same_rows_are_in_one_file_per_table(store):
    before, status = everything(filled(store)), store.ledger()
    done = store.compact()
    assert (done.n_files, done.n_segments, done.n_removed) == (4 + 3, 2, 0)
    assert everything(store) == before
    assert Store(store.uri).ledger() == status
    assert len(Store(store.uri).contents().paths("accuracy")) == 1
    assert store.damage() is None
    assert store.strays() == []


def test_what_was_replaced_is_removed_after_the_grace_period_and_not_before(store):
    before = everything(filled(store))
    store.compact()
    assert len(parquet(store)) == 7 + 2
    store.compact(grace_s=3600)
    assert len(parquet(store)) == 7 + 2
    assert store.compact(grace_s=-1).n_removed == 7 + 3
    assert len(parquet(store)) == 2
    assert everything(store) == before
    # The last record of the ledger stays: from its number on writers count.
    assert [path.name for path in Path(store.root, "ledger").iterdir()] == ["00000004.json"]
    commit(Store(store.uri), "later")
    assert set(top1s(store)) == {*MODELS, "later"}
    store.compact(grace_s=-1)
    store.compact(grace_s=-1)
    assert set(top1s(store)) == {*MODELS, "later"}
    assert whole(store)


def test_originals_stay_for_the_grace_period_of_the_manifest_that_merged_them(store, monkeypatch):
    """Who opened the store by the manifest before reads them, however old they are."""
    commit(store, "early")
    store.replace("trends", [TREND])
    store.compact()
    commit(store, "late")
    store.replace("trends", [])
    reader = connect(Store(store.uri))
    store.compact()
    hour_ago = time.time() - 3600
    for path in Path(store.root).rglob("*"):
        if path.name not in ("00000002.json", "00000002.json.copy"):
            os.utime(path, (hour_ago, hour_ago))
    read, get = [], LocalFolder.get
    monkeypatch.setattr(LocalFolder, "get", lambda self, path: read.append(path) or get(self, path))
    removed = store.compact(grace_s=1800).n_removed
    # Two files of the first commit, and its record; what "trends" was before a manifest still names.
    assert removed == 3
    assert len(list(Path(store.root, "trends").iterdir())) == 2
    assert len(reader.rows("SELECT * FROM accuracy")) == 2
    assert reader.rows("SELECT * FROM trends") == []
    # Which commits were merged the manifests say: of the records none is read for that.
    assert not [path for path in read if path.startswith("ledger/")]
    assert set(top1s(store)) == {"early", "late"}


def test_a_writer_that_has_seen_nothing_since_commits_after_what_was_merged(store):
    writer = Store(store.uri)
    commit(writer, "first")
    filled(store)
    for _ in range(3):
        store.compact(grace_s=-1)
    commit(writer, "last")
    assert set(top1s(store)) == {"first", *MODELS, "last"}


def test_a_commit_of_what_was_merged_does_not_count(store):
    before = everything(filled(store))
    store.compact()
    commit(Store(store.uri), "m2", top1=0.9)
    failed(Store(store.uri), "m2", attempt=2)
    assert everything(store) == before
    store.compact(grace_s=-1)
    store.compact(grace_s=-1)
    assert everything(store) == before


def test_a_reader_goes_on_with_what_it_opened(store):
    filled(store)
    reader = connect(Store(store.uri))
    store.compact(grace_s=3600)
    commit(store, "later")
    assert len(reader.rows("SELECT * FROM accuracy")) == 3


def test_a_reader_that_outlived_the_grace_period_is_told_to_open_again(store):
    filled(store)
    reader = connect(Store(store.uri))
    for _ in range(2):
        store.compact(grace_s=-1)
    with pytest.raises(StoreError, match=r"were merged since it was opened.*open it again") as said:
        reader.rows("SELECT * FROM accuracy")
    assert "\n" not in str(said.value)


def test_of_two_compactions_one_wins_and_the_other_leaves_no_trace(store):
    before = everything(filled(store))
    one, other = Store(store.uri).contents(), Store(store.uri).contents()
    assert not compaction.compact(one).is_other
    after_one = parquet(store)
    assert compaction.compact(other).is_other
    assert parquet(store) == after_one
    assert everything(store) == before
    assert len([p for p in Path(store.root, "manifest").iterdir() if p.suffix == ".json"]) == 1


def test_a_commit_between_reading_and_merging_stays(store):
    filled(store)
    seen = Store(store.uri).contents()
    commit(store, "meanwhile")
    compaction.compact(seen, grace_s=-1)
    assert set(top1s(store)) == {*MODELS, "meanwhile"}
    store.compact(grace_s=-1)
    assert set(top1s(store)) == {*MODELS, "meanwhile"}


def test_a_file_swept_up_while_its_writer_slept_does_not_count(store, monkeypatch):
    filled(store)
    create = LocalFolder.create

    def sleeping(self, path, content):
        if path.startswith("ledger/"):
            # It sleeps before its record, and meanwhile its files are taken for a crash's.
            monkeypatch.setattr(LocalFolder, "create", create)
            removed = Store(store.uri).compact(grace_s=-1).n_removed
            assert removed >= 2
        return create(self, path, content)

    monkeypatch.setattr(LocalFolder, "create", sleeping)
    commit(Store(store.uri), "sleeper")
    assert trial("sleeper").id not in Store(store.uri).ledger().status
    assert whole(store)
    assert store.damage() is None
    commit(Store(store.uri), "sleeper")
    assert set(top1s(store)) == {*MODELS, "sleeper"}


def test_a_writer_that_wakes_while_it_is_swept_up_keeps_what_it_has_committed(store, monkeypatch):
    """Its record comes after the ledger was looked at, and before the one that would void it."""
    filled(store)
    create, looked = LocalFolder.create, compaction._Sweeping._entries
    asleep = []

    def sleeping(self, path, content):
        if path.startswith("ledger/") and not asleep:
            asleep.append((path, content))
            return True
        return create(self, path, content)

    monkeypatch.setattr(LocalFolder, "create", sleeping)
    commit(Store(store.uri), "sleeper")
    monkeypatch.setattr(LocalFolder, "create", create)

    def waking(self, *told):
        monkeypatch.setattr(compaction._Sweeping, "_entries", looked)
        found = looked(self, *told)
        assert create(store.objects, *asleep[0])
        return found

    monkeypatch.setattr(compaction._Sweeping, "_entries", waking)
    compaction._Sweeping(Store(store.uri).contents(), grace_s=-1).removed()
    monkeypatch.undo()
    assert set(top1s(store)) == {*MODELS, "sleeper"}
    assert whole(store)
    assert store.damage() is None


def test_a_commit_counts_whatever_became_of_the_merging_after_it(store, monkeypatch):
    def broken(contents):
        raise ValueError("planted")

    monkeypatch.setattr(compaction, "keep_up", broken)
    monkeypatch.setattr(store_module, "MERGED_EVERY", 1)
    commit(store, "a")
    assert top1s(store) == {"a": 0.5}


def test_commits_merge_what_is_new_and_small_segments_now_and_then(store, monkeypatch):
    monkeypatch.setattr(store_module, "MERGED_EVERY", 2)
    monkeypatch.setattr(compaction, "MOST_SMALL", 3)
    for number in range(12):
        commit(store, f"m{number}")
        assert len(top1s(store)) == number + 1
        assert len(Store(store.uri).contents().paths("accuracy")) <= 4
    assert whole(store)
    assert store.damage() is None


def test_a_failed_attempt_is_not_taken_for_the_last_wherever_it_was_merged(store, monkeypatch):
    """Large segments are not merged again, so a later attempt may lie in an earlier segment."""
    failed(store, "a")
    store.compact()
    store.commit(rows("a"), ledger("a", attempt=2))
    store.compact()
    first, second = (Store(store.uri).contents() for _ in range(2))
    found = first.snapshot
    assert found.count.attempts[trial("a").id] == 2
    monkeypatch.setattr(compaction, "LARGE_BYTES", 1)
    failed(store, "b")
    store.compact()
    ledger_ = Store(store.uri).ledger()
    assert ledger_.status[trial("a").id] == "ok"
    assert len(everything(store)[0]) == 3
    assert second.ledger.status[trial("a").id] == "ok"


class KilledError(BaseException):
    pass


def killing(patched, objects, at):
    """Ends the process, as it were, before its `at`-th write or removal; counts them."""
    count, kind = [0], type(objects)
    originals = {name: getattr(kind, name) for name in ("create", "replace", "delete")}

    def step(name, self, *told):
        count[0] += 1
        if count[0] == at:
            raise KilledError
        return originals[name](self, *told)

    for name in ("create", "replace"):
        patched.setattr(kind, name, lambda *told, name=name: step(name, *told))
    patched.setattr(
        kind, "delete", lambda self, *paths: [step("delete", self, path) for path in paths]
    )
    return count


@pytest.fixture(params=["folder", "bucket"])
def new(request, tmp_path, monkeypatch):
    """Makes a new store, in a folder or in a bucket."""
    buckets = {}
    if request.param == "bucket":
        monkeypatch.setattr(
            address, "opened", lambda uri: Bucket(buckets.setdefault(uri, MemoryStore()))
        )
    return lambda name: Store(str(tmp_path / str(name)), create=True)


def test_merged_files_swept_up_while_their_compaction_slept_are_never_named(store, monkeypatch):
    before = everything(filled(store))
    create = LocalFolder.create

    def sleeping(self, path, content):
        if path.startswith("manifest/"):
            monkeypatch.setattr(LocalFolder, "create", create)
            # Another finds its files, which nothing names yet, and takes them for a crash's.
            found = Store(store.uri).contents()
            compaction._Sweeping(found, grace_s=-1).removed()
            assert not list(Path(store.root).rglob("segment-*"))
        return create(self, path, content)

    monkeypatch.setattr(LocalFolder, "create", sleeping)
    assert Store(store.uri).compact().is_other
    assert everything(store) == before
    store.compact(grace_s=-1)
    assert everything(store) == before


def killed_at_each_step(new, before, act):
    """A store for each step that the act was killed before, and for none of them."""
    at, done = 0, False
    while not done:
        at += 1
        store = before(new(at))
        with pytest.MonkeyPatch.context() as patched:
            count = killing(patched, store.objects, at)
            try:
                act(Store(store.uri))
                done = count[0] < at
            except KilledError:
                pass
        yield store


def test_a_compaction_killed_at_any_step_loses_nothing(new):
    def before(store):
        commit(store, "a")
        store.compact(grace_s=3600)
        commit(store, "later")
        return store

    tried = 0
    for store in killed_at_each_step(new, before, lambda store: store.compact(grace_s=-1)):
        for _ in range(3):
            assert top1s(store) == {"a": 0.5, "later": 0.5}
            assert whole(store)
            Store(store.uri).compact(grace_s=-1)
        tried += 1
    assert tried > 8


def test_a_commit_killed_at_any_step_is_there_or_not_and_runs_again(new):
    tried = 0
    for store in killed_at_each_step(new, filled, lambda store: commit(store, "x", "y")):
        with store.claim():
            assert set(top1s(store)) in ({*MODELS}, {*MODELS, "x", "y"})
            assert whole(store)
            commit(Store(store.uri), "x", "y")
        assert set(top1s(store)) == {*MODELS, "x", "y"}
        assert whole(store)
        tried += 1
    # Two tables and the ledger.
    assert tried == 3 + 1


def test_a_commit_in_flight_while_another_claims_is_there_whole_or_not_at_all(new):
    """A live worker of a dead driver: a claim is taken before each of its steps."""
    tried, done = 0, False
    while not done:
        tried += 1
        store = filled(new(tried))
        with pytest.MonkeyPatch.context() as patched:
            count = claiming(patched, store, tried)
            commit(Store(store.uri), "x", "y", top1=0.25)
            done = count[0] < tried
        assert top1s(store) == dict.fromkeys(MODELS, 0.5) | {"x": 0.25, "y": 0.25}
        assert whole(store)
    assert tried == 3 + 1


def claiming(patched, store, at):
    """Has another driver claim the store, and look at it, before the `at`-th write."""
    kind, count = type(store.objects), [0]
    create = kind.create

    def step(self, *told):
        count[0] += 1
        if count[0] == at:
            with pytest.MonkeyPatch.context() as again:
                again.setattr(kind, "create", create)
                with Store(store.uri).claim():
                    assert whole(store)
        return create(self, *told)

    patched.setattr(kind, "create", step)
    return count


def test_a_damaged_file_is_said_and_nothing_is_merged(store):
    filled(store)
    path = Path(store.root, store.contents().paths("accuracy")[0])
    held = bytearray(path.read_bytes())
    held[10] ^= 1
    path.write_bytes(held)
    with pytest.raises(StoreError, match=rf"{path.name} is damaged.*--repair"):
        Store(store.uri).compact()
    assert not list(Path(store.root).rglob("segment-*"))
    assert not Path(store.root, "manifest").exists()


@pytest.mark.parametrize("change", ["deleted", "emptied", "flipped"])
def test_damage_to_what_was_merged_is_noticed_and_mended(store, change, tmp_path):
    filled(store)
    store.compact(grace_s=-1)
    commit(store, "later")
    store.compact(grace_s=-1)
    store.compact(grace_s=-1)
    commit(store, "last")
    models = {*MODELS, "later", "last"}
    paths = [p for p in Path(store.root).rglob("*") if p.is_file()]
    merged = [p for p in paths if "segment-" in p.name or p.parent.name == "manifest"]
    assert len(merged) == 2 + 2
    for number, path in enumerate(merged):
        folder = tmp_path / str(number)
        shutil.copytree(store.root, folder)
        changed(folder / path.relative_to(store.root), change)
        said = noticed(str(folder))
        assert any(str(path.relative_to(store.root)) in line for line in said), said
        doctor.repaired(str(folder))
        again = Store(str(folder))
        assert whole(again)
        known = again.ledger()
        for model in sorted(models):
            if known.status.get(trial(model).id) != "ok":
                attempt = known.attempts.get(trial(model).id, 0) + 1
                again.commit(rows(model), ledger(model, attempt=attempt))
        assert set(top1s(again)) == models
        assert whole(again)


def test_a_store_of_0_1_0_is_merged(tmp_path):
    old = as_0_1_0(tmp_path / "old", (rows("a", "b"), ledger("a", "b")), (rows("a"), ledger("a")))
    store = Store(old)
    before = top1s(store)
    store.compact(grace_s=-1)
    store.compact(grace_s=-1)
    assert top1s(store) == before == {"a": 0.5, "b": 0.5}
    assert len(list(Path(old).rglob("*.parquet"))) == 2


def test_the_command_says_what_was_done(store, capsys):
    filled(store)
    assert cli.main(["compact", "--store", store.uri]) == 0
    assert "7 files merged into 2, 0 removed" in capsys.readouterr().out
    assert cli.main(["compact", "--store", store.uri, "--grace-hours", "0"]) == 2
    assert "too short" in capsys.readouterr().err
