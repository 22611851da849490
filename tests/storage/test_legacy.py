"""Stores of version 0.1.0 are read, resumed and named by a ledger; their files stay as they are."""

import fcntl
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.planted_rows import failure
from tests.storage.planted import TREND, as_0_1_0, commit, ledger, rows, top1s, trial, whole
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.queries.connection import connect
from zoo_eval.storage.versions import VERSIONS
from zoo_eval.store import Store
from zoo_eval.tables import COUNT, SCHEMA_VERSION, TABLES, Column, View, declared, trial_table


@pytest.fixture
def old(tmp_path):
    return as_0_1_0(
        tmp_path / "old",
        (rows("a", "b"), ledger("a", "b")),
        (rows("c"), ledger("c", **failure())),
        (rows("c", top1=0.25), ledger("c", attempt=2)),
    )


def held(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*.parquet")
    }


def test_it_is_read_and_nothing_is_written(old):
    before = held(old)
    store = Store(old)
    assert top1s(store) == {"a": 0.5, "b": 0.5, "c": 0.25}
    assert store.ledger().attempts == {trial("a").id: 1, trial("b").id: 1, trial("c").id: 2}
    assert held(old) == before
    assert not Path(old, "ledger").exists()


def test_it_is_resumed_and_then_of_this_version(old):
    before = held(old)
    with Store(old).claim():
        commit(Store(old), "a", "d", top1=0.75)
    store = Store(old)
    # What was ok stays as it was.
    assert top1s(store) == {"a": 0.5, "b": 0.5, "c": 0.25, "d": 0.75}
    assert whole(store)
    assert before.items() <= held(old).items()
    assert sorted(path.name for path in Path(old, "ledger").iterdir()) == [
        "00000001.json",
        "00000002.json",
    ]


def test_what_its_ledger_does_not_name_is_not_read(old):
    Path(old, "accuracy", "0" * 32 + ".parquet").write_bytes(b"half a file")
    Path(old, "trials", "copy (1).parquet").write_bytes(b"half a file")
    assert top1s(Store(old)) == {"a": 0.5, "b": 0.5, "c": 0.25}


def test_an_upgrade_that_is_cut_off_is_finished(old, monkeypatch):
    from zoo_eval.storage.local_folder import LocalFolder

    def killed(self, path, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            commit(Store(old), "d")
    assert top1s(Store(old)) == {"a": 0.5, "b": 0.5, "c": 0.25}
    commit(Store(old), "d", top1=0.75)
    assert top1s(Store(old)) == {"a": 0.5, "b": 0.5, "c": 0.25, "d": 0.75}


def test_damage_is_said_and_repaired(old):
    (first, *_) = sorted(Path(old, "trials").iterdir())
    first.write_bytes(first.read_bytes()[:100])
    with pytest.raises(StoreError, match=rf"trials/{first.name} cannot be read .*--repair"):
        Store(old).ledger()
    with pytest.raises(StoreError, match=first.name):
        commit(Store(old), "d")
    n_files, _ = Store(old).repair()
    assert n_files == 1
    assert whole(Store(old))
    left = set(top1s(Store(old)))
    assert left < {"a", "b", "c"}
    known = Store(old).ledger().attempts
    for model in {"a", "b", "c"} - left:
        attempt = known.get(trial(model).id, 0) + 1
        Store(old).commit(rows(model), ledger(model, attempt=attempt))
    assert set(top1s(Store(old))) == {"a", "b", "c"}


def test_every_schema_is_declared_with_its_migration():
    assert [one.number for one in VERSIONS] == list(range(2, SCHEMA_VERSION + 1))
    assert all(one.what for one in VERSIONS)


def test_another_version_is_refused(old):
    Path(old, "zoo_eval_store.json").write_text('{"schema_version": 3}')
    with pytest.raises(BadInput, match="newer than this version's 2"):
        Store(old)


def test_what_belongs_to_no_trial_is_read_resumed_and_merged(old):
    pairs = trial_table("pairs", "model", Column("n", COUNT, "pairs of images"))
    view = View("many_pairs", "-- Which models?\nSELECT DISTINCT model FROM trials")
    for one in (pairs, view):
        file = Path(old, "declared", f"{one.name}.json")
        file.parent.mkdir(exist_ok=True)
        file.write_text(declared.to_json(one))
    for path, table in (
        ("inputs/planted.parquet", pa.table({"x": [1, 2]})),
        ("trends/derived.parquet", TABLES["trends"].arrow([TREND])),
    ):
        Path(old, path).parent.mkdir(exist_ok=True)
        pq.write_table(table, Path(old, path), write_page_checksum=True)

    def content():
        found = connect(Store(old))
        rows = [
            found.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in ("many_pairs", "trends")
        ]
        assert Store(old).damage() is None
        assert Store(old).strays() == []
        return rows, Store(old).tables()["pairs"], Store(old).read_input("planted").to_pylist()

    before = content()
    assert before[1:] == (pairs, [{"x": 1}, {"x": 2}])
    with Store(old).claim():
        Store(old).declare([pairs], [view])
        Store(old).write_input("planted", pa.table({"x": [3]}))  # the first stays
    assert content() == before
    for _ in range(2):
        Store(old).compact(grace_s=-1)
        assert content() == before
    Store(old).replace("trends", [])
    assert content()[0][1] == []
    Store(old).compact(grace_s=-1)
    Store(old).compact(grace_s=-1)
    assert [path.name for path in Path(old, "trends").iterdir()] != ["derived.parquet"]


@pytest.mark.parametrize(
    "act",
    [
        lambda store: commit(store, "d"),
        lambda store: store.compact(),
        lambda store: store.replace("trends", []),
        lambda store: store.claim().__enter__(),
    ],
)
def test_nothing_is_upgraded_while_a_sweep_of_0_1_0_holds_the_store(old, act):
    """It would go on as before, and nothing would name what it writes."""
    with (Path(old) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match="being written by another sweep"):
            act(Store(old))
    assert not Path(old, "ledger").exists()
    assert top1s(Store(old)) == {"a": 0.5, "b": 0.5, "c": 0.25}


def test_changed_bytes_of_the_same_length_are_damage_to_a_compaction_too(old):
    (first, *_) = sorted(Path(old, "accuracy").iterdir())
    held = first.read_bytes()
    first.write_bytes(held[:4] + bytes(20) + held[24:])
    with pytest.raises(StoreError, match=rf"{first.name} is damaged.*--repair"):
        Store(old).compact()
