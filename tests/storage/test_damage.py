"""Every file of a finished store, deleted, cut off, emptied or with one bit changed, is noticed and mended."""

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.storage.planted import TREND, commit, failed, ledger, rows, top1s, trial
from zoo_eval.commands import doctor
from zoo_eval.errors import ZooEvalError
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
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


TABLES = {
    "accuracy": "* EXCLUDE (commit_id)",
    "pairs": "* EXCLUDE (commit_id)",
    "trends": "*",
}


def content(uri):
    """All that a sweep makes, row for row, but for when and under which commit it was made."""
    connection, ledger = connect(Store(uri)), Store(uri).ledger()
    rows = {
        table: connection.rows(f"SELECT {what} FROM {table} ORDER BY ALL")
        for table, what in TABLES.items()
    }
    ok = [one for one, status in ledger.status.items() if status == "ok"]
    assert sorted(ok) == sorted(row["trial_id"] for row in rows["accuracy"])
    return rows, Store(uri).read_input("planted"), dict(ledger.status)


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
