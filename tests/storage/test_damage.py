"""Every file of a finished store, deleted, cut off, emptied or with one bit changed, is noticed and mended."""

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.storage.planted import commit, failed, ledger, rows, top1s, trial, whole
from zoo_eval.commands import doctor
from zoo_eval.errors import ZooEvalError
from zoo_eval.queries.connection import connect
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


def noticed(uri):
    """What a query, and the doctor, say of it: one line each, or None."""
    said = []
    try:
        connect(Store(uri)).rows("SELECT * FROM accuracy")
    except ZooEvalError as error:
        said.append(str(error))
    checked = doctor._store(uri)
    if checked.status != "ok":
        said.append(checked.fix)
    assert all("\n" not in line for line in said)
    return said


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("damage") / "store").root


# The lock holds nothing, and the record of a lease only who was here last.
LOSES_NOTHING = (".lock", "leases")
# What is made again wherever it is not there.
MADE_AGAIN = ("inputs", "declared")


@pytest.mark.parametrize("change", ["deleted", "emptied", "cut off", "flipped"])
def test_damage_is_noticed_and_mended(original, change, tmp_path):
    paths = sorted(p.relative_to(original) for p in Path(original).rglob("*") if p.is_file())
    assert len(paths) > 12
    tried, seen = 0, set[str]()
    for number, path in enumerate(paths):
        if path.parts[0] in LOSES_NOTHING or path.parts[0] in seen:
            continue
        if path.parts[0] != "ledger":
            seen.add(path.parts[0])
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        changed(folder / path, change)
        said = noticed(str(folder))
        if (change, path.parts[0]) != ("deleted", "inputs"):
            assert said, f"{path} {change}: unseen"
            if path.name != MARKER and path.parts[0] not in MADE_AGAIN:
                assert any(str(path) in line for line in said), said
        doctor.repaired(str(folder))
        sweep(Store(str(folder)))
        # What no longer counts lies there until files are merged.
        assert all("that nothing names are never read" in one for one in noticed(str(folder)))
        store = Store(str(folder))
        assert top1s(store) == dict.fromkeys(MODELS, 0.5)
        assert whole(store)
        assert connect(store).rows("SELECT model, n FROM pairs ORDER BY model") == [
            {"model": model, "n": 1} for model in MODELS
        ]
        tried += 1
    assert tried >= 8


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
