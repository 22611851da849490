"""Every file of a finished store, deleted, cut off, emptied or with one bit changed, is noticed and mended."""

import errno
import random
import shutil
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from tests.storage.planted import TREND, commit, failed, ledger, rows, top1s, trial
from zoo_eval.commands import doctor
from zoo_eval.errors import BadInput, StoreError, ZooEvalError
from zoo_eval.queries.connection import connect
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.records import as_bytes
from zoo_eval.store import MARKER, Store
from zoo_eval.tables import COUNT, Column, trial_table

PAIRS = trial_table("pairs", "model x stimulus set", Column("n", COUNT, "pairs of images"))
MODELS = ("a", "b")


def sweep(store):
    """What a sweep does to a store: declares, and commits what is not there."""
    with store.claim():
        store.declare([PAIRS])
        known = store.ledger()
        for model in MODELS:
            if known.status.get(trial(model).id) != "ok":
                attempt = known.attempts.get(trial(model).id, 0) + 1
                own = {"pairs": [{"trial_id": trial(model).id, "model": model, "n": 1}]}
                store.commit({**rows(model), **own}, ledger(model, attempt=attempt))
        if store.read_input("planted") is None:
            store.write_input("planted", pa.table({"x": [1]}))
        if store.read("trends").num_rows == 0:
            store.replace("trends", [TREND])


def finished(folder):
    store = Store(str(folder), create=True)
    failed(store, "b")
    sweep(store)
    return store


def changed(path, change):
    held = path.read_bytes()
    if change == "deleted":
        path.unlink()
    elif change == "emptied":
        path.write_bytes(b"")
    elif change == "cut off":
        path.write_bytes(held[: len(held) // 2])
    else:
        place = random.Random(path.name).randrange(len(held))
        flipped = held[place] ^ (1 << place % 8)
        path.write_bytes(held[:place] + bytes([flipped]) + held[place + 1 :])


def checked(uri):
    """What the doctor says of it: a line or none."""
    found = doctor._store(uri)
    return [] if found.status == "ok" else [found.fix]


def noticed(uri):
    """What is said of it by whoever reads a table, and by the doctor: one line each, or none."""
    said = []
    try:
        Store(uri).read("accuracy")
    except ZooEvalError as error:
        said.append(str(error))
    said += checked(uri)
    assert all("\n" not in line for line in said)
    return said


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("damage") / "store").root


# The lock holds nothing, and of a lease only who was here last: who takes it next makes another.
LOSES_NOTHING = (".lock", "leases")
CHANGES = ("deleted", "emptied", "cut off", "flipped")


def files(root):
    return sorted(p.relative_to(root) for p in Path(root).rglob("*") if p.is_file())


def tries(original, folder, change):
    """Every file that holds something, in a store of its own in which it is changed."""
    for number, path in enumerate(files(original)):
        if path.parts[0] not in LOSES_NOTHING:
            store = folder / str(number)
            shutil.copytree(original, store)
            changed(store / path, change)
            yield path, str(store)


def content(uri):
    """All that a sweep makes, row for row, but for when and under which commit it was made."""
    found, rows = Store(uri).contents(), {}
    trials = found.read("trials").to_pylist()
    ok = {(row["trial_id"], row["commit_id"]) for row in trials if row["status"] == "ok"}
    for table in ("accuracy", "pairs", "trends"):
        visible = found.read(table).to_pylist()
        if "trial_id" in found.tables[table].schema.names:
            visible = [row for row in visible if (row["trial_id"], row.pop("commit_id")) in ok]
        rows[table] = sorted(visible, key=str)
    assert {trial_id for trial_id, _ in ok} == {row["trial_id"] for row in rows["accuracy"]}
    return rows, Store(uri).read_input("planted"), dict(found.ledger.status)


@pytest.mark.parametrize("change", CHANGES)
def test_damage_to_any_file_is_noticed_and_mended(original, change, tmp_path):
    before, tried = content(original), 0
    for path, uri in tries(original, tmp_path, change):
        said = noticed(uri)
        assert any(path.name in line for line in said), f"{path} {change}: {said}"
        # Before the repair no sweep takes it for finished.
        if change != "flipped":
            with pytest.raises(ZooEvalError, match=path.name):
                Store(uri).ledger()
        doctor.repaired(uri)
        sweep(Store(uri))
        # What no longer counts lies there until files are merged.
        assert all("that nothing names are never read" in one for one in checked(uri))
        assert content(uri) == before, f"{path} {change}"
        Store(uri).compact()
        assert content(uri) == before, f"{path} {change}"
        assert Store(uri).damage() is None
        tried += 1
    assert tried == 17


def test_strays_are_named_and_never_read(tmp_path):
    store = finished(tmp_path / "store")
    root = Path(store.root)
    assert store.strays() == []
    strays = [
        root / ".DS_Store",
        root / "accuracy" / ".DS_Store",
        root / "accuracy" / ("0" * 32 + ".parquet"),
        root / "trials" / "00000001 (conflicted copy).parquet",
        root / "ledger" / "00000001 (1).json",
        root / "notes" / "mine.txt",
    ]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"stray")
    assert top1s(store) == dict.fromkeys(MODELS, 0.5)
    said = Store(store.uri).strays()
    assert sorted(said) == sorted([str(s.relative_to(root)) for s in strays[:-1]] + ["notes/"])
    check = doctor._store(store.uri)
    assert check.status == "warn"
    assert "6 that nothing names" in check.fix
    commit(store, "e")
    assert all(stray.exists() for stray in strays)


def failing(monkeypatch, error, *starts):
    """From now on whatever is asked of these files ends in an error."""
    get = LocalFolder.get

    def broken(self, path):
        if path.startswith(starts):
            raise error
        return get(self, path)

    monkeypatch.setattr(LocalFolder, "get", broken)


@pytest.mark.parametrize("starts", ["accuracy/", "ledger/", "inputs/", "declared/"])
def test_what_may_pass_is_no_damage_and_repairs_nothing(tmp_path, monkeypatch, starts):
    store = finished(tmp_path / "store")
    before, there = content(store.uri), files(store.root)
    with monkeypatch.context() as patched:
        failing(patched, PermissionError(errno.EACCES, "Permission denied"), starts)
        for act in (
            lambda: Store(store.uri).damage(),
            lambda: Store(store.uri).repair(),
            lambda: doctor.repaired(store.uri),
        ):
            with pytest.raises(StoreError, match="Permission denied") as said:
                act()
            assert "\n" not in str(said.value)
        assert doctor._store(store.uri).status == "missing"
    assert files(store.root) == there
    assert content(store.uri) == before


def test_a_disk_that_cannot_read_a_file_any_more_is_damage(tmp_path, monkeypatch):
    store = finished(tmp_path / "store")
    failing(monkeypatch, OSError(errno.EIO, "Input/output error"), "accuracy/")
    assert "cannot be read from its disk" in Store(store.uri).damage()


@pytest.mark.parametrize(
    ("change", "grace_s"), [*((one, 3600) for one in CHANGES), ("deleted", -1), ("flipped", -1)]
)
def test_damage_to_any_file_of_a_merged_store_is_noticed_and_mended(tmp_path, change, grace_s):
    original = finished(tmp_path / "store")
    for _ in range(2):
        original.compact(grace_s=grace_s)
    failed(original, "c")
    original.compact(grace_s=3600)
    before, named = content(original.uri), original.contents().snapshot.named()
    for path, uri in tries(original.root, tmp_path / "tries", change):
        # Of what was merged or replaced nothing is read, should it be there or not.
        is_of_the_past = str(path) not in named and path.suffix == ".parquet"
        said = noticed(uri)
        gone = change == "deleted" and path.parts[0] in ("ledger", "manifest")
        if not is_of_the_past and not gone:
            assert any(path.name in line for line in said), f"{path} {change}: {said}"
        doctor.repaired(uri)
        sweep(Store(uri))
        assert content(uri)[0] == before[0], f"{path} {change}"
        Store(uri).compact()
        assert content(uri)[0] == before[0], f"{path} {change}"
        assert all("that nothing names are never read" in one for one in checked(uri))


def test_the_last_record_that_was_merged_is_missed(tmp_path):
    """From its number on writers count: without it a commit would take one that was merged."""
    store = finished(tmp_path / "store")
    for _ in range(2):
        store.compact(grace_s=-1)
    (last,) = Path(store.root, "ledger").iterdir()
    last.unlink()
    assert f"ledger/{last.name} is gone" in Store(store.uri).damage()
    # Whoever does not look loses nothing either.
    late = Store(store.uri)
    late.commit(rows("late"), ledger("late"))
    doctor.repaired(store.uri)
    assert top1s(store) == {**dict.fromkeys(MODELS, 0.5), "late": 0.5}
    assert Store(store.uri).damage() is None


@pytest.mark.parametrize("held", [None, b"", b"{}"])
def test_a_lost_copy_of_a_manifest_loses_nothing_and_is_said_to(tmp_path, held):
    store = finished(tmp_path / "store")
    store.compact()
    copy = Path(store.root, "manifest", "00000001.json.copy")
    copy.unlink() if held is None else copy.write_bytes(held)
    said = Store(store.uri).damage()
    assert f"{copy.name} is {'gone' if held is None else 'damaged'}; nothing is lost" in said
    assert "run again" not in said
    assert top1s(store) == dict.fromkeys(MODELS, 0.5)
    assert "0 trials that were ok are pending" in doctor.repaired(store.uri)
    assert Store(store.uri).damage() is None
    # Beside what is lost it is one more file.
    copy.unlink()
    segment = next(one for one in store.look().snapshot.named() if one.startswith("accuracy/"))
    Path(store.root, segment).write_bytes(b"")
    said = Store(store.uri).damage()
    assert segment in said
    assert "1 more files" in said
    assert "run again" in said


def test_strays_among_the_manifests_are_never_read(tmp_path):
    store = finished(tmp_path / "store")
    store.compact()
    before = content(store.uri)
    for name in ("00000009.json.bak", "00000009 (1).json", "00000009.copy", "9.json"):
        Path(store.root, "manifest", name).write_bytes(b"stray")
    assert content(store.uri) == before
    assert len(Store(store.uri).strays()) == 4
    assert Store(store.uri).damage() is None


def test_of_two_lost_copies_of_a_manifest_the_one_before_says_the_same(tmp_path):
    store = finished(tmp_path / "store")
    store.compact()
    commit(store, "later")
    store.compact()
    before = content(store.uri)
    for file in Path(store.root, "manifest").glob("00000002.json*"):
        file.write_bytes(b"")
    with pytest.raises(StoreError, match=r"manifest/00000002\.json"):
        Store(store.uri).ledger()
    doctor.repaired(store.uri)
    assert content(store.uri) == before


@pytest.mark.parametrize(
    "held", [b"", b"{", b'{"schema_version": 0}', b'{"schema_version": Infinity}']
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_damaged_marker_is_mended_in_an_empty_store_too(tmp_path, held, is_empty):
    store = Store(str(tmp_path / "store"), create=True)
    if not is_empty:
        commit(store, "a")
    Path(store.root, MARKER).write_bytes(held)
    with pytest.raises(BadInput, match="is damaged"):
        Store(store.uri)
    doctor.repaired(store.uri)
    assert top1s(Store(store.uri)) == ({} if is_empty else {"a": 0.5})


def forged(**changes):
    commit = {"commit": "c", "files": {"trials/c.parquet": [1, ""]}, "trials": [["t", 1, "ok"]]}
    return {"commits": [{**commit, **changes}], "void": [], "kept": {}}


@pytest.mark.parametrize(
    "content",
    [
        [], {}, forged(commit=1), forged(files={"x": 1}), forged(files={"x": [1, 2]}), forged(files=[]),
        forged(trials=[[["t"], 1, "ok"]]), forged(trials=[["t", "x", "ok"]]), forged(trials=[["t"]]),
        {**forged(), "void": 1}, {**forged(), "void": [1]}, {**forged(), "kept": []},
        {**forged(), "kept": {"x": [1, 2, 3]}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["ledger", "manifest", "leases"])
def test_a_forged_record_of_a_right_digest_is_damage_in_one_line(tmp_path, content, folder):
    store = Store(str(tmp_path / "store"), create=True)
    commit(store, "a")
    file = Path(store.root, folder, "00000002.json")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(as_bytes(content) if isinstance(content, dict) else b"[]")
    for act in (store.ledger, store.compact, lambda: connect(Store(store.uri))):
        with pytest.raises(StoreError, match=file.name) if folder != "leases" else nullcontext():
            act()
    assert file.name in Store(store.uri).damage()
    doctor.repaired(store.uri)
    assert Store(store.uri).damage() is None
    assert top1s(store) == {"a": 0.5}


def test_a_number_far_beyond_the_others_is_one_line(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    commit(store, "a")
    Path(store.root, "ledger", "99999999.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"99999999.json is far beyond .* move it away"):
        store.ledger()
