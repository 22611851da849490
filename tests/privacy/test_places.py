"""Places: nothing is written or removed outside a store, whatever its parts are called or link to."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from tests.planted_rows import ledger_row, result_row
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.privacy.places import LeadsOut, check_inside, is_plain, plain
from zoo_eval.queries.connection import connect
from zoo_eval.storage.bucket import Bucket
from zoo_eval.storage.ledger import Commit, Entry, Named
from zoo_eval.storage.records import as_bytes
from zoo_eval.store import Store
from zoo_eval.tables import COUNT, Column, View, trial_table
from zoo_eval.trial import Trial

OUT = ["..", "../x", "a/../../x", "/x", "a//x", "a\\..\\x", "a\0b", ".", "", "a\nb", "C:x"]
TRIAL = Trial("accuracy", 1, "standard", model="a", weights_digest="w", transform={})


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


@pytest.fixture
def outside(tmp_path):
    """A folder beside the store with a file that is not the store's."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious.parquet").write_text("precious")
    return folder


def everything(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", OUT)
def test_what_is_no_plain_name_is_told(name):
    assert not is_plain(name)
    with pytest.raises(LeadsOut, match="leads out"):
        plain(f"trials/{name}")


@pytest.mark.parametrize("name", ["a", "a.parquet", "..a", "0" * 32, "é", ".lock", "a b"])
def test_plain_names_are_taken(name):
    assert is_plain(name)
    assert plain(f"trials/{name}") == f"trials/{name}"


@pytest.mark.parametrize("name", OUT)
def test_an_input_is_written_inside_the_store_alone(name, store, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for act in (
        lambda: store.write_input(name, pa.table({"x": [1]})),
        lambda: store.read_input(name),
    ):
        with pytest.raises(StoreError, match="is no name of an input; rename it") as refused:
            act()
        assert "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", OUT)
def test_no_file_is_looked_for_or_written_outside(name, store, tmp_path):
    bucket = Bucket(MemoryStore())
    before = sorted(tmp_path.rglob("*"))
    for objects in (store.objects, bucket):
        for act in (
            lambda path, of=objects: of.create(path, b"planted"),
            lambda path, of=objects: of.replace(path, b"planted"),
            lambda path, of=objects: of.on_disk([path]),
            lambda path, of=objects: of.part(path, 0, 1),
            *(objects.get, objects.head, objects.delete),
        ):
            with pytest.raises(LeadsOut):
                act(f"trials/{name}")
    assert sorted(tmp_path.rglob("*")) == before
    assert bucket.listed("") == []


@pytest.mark.parametrize("name", OUT)
def test_a_hostile_record_names_no_place_outside(name, store):
    named = Named(f"trials/{name}", 1, "", ("c",))
    forged = Entry([Commit("c", [named], [(TRIAL.id, 1, "ok")])]).as_json()
    store.objects.create("ledger/00000001.json", as_bytes(forged))
    for act in (store.ledger, lambda: connect(store), store.damage, store.compact):
        with pytest.raises(StoreError, match="leads out of it") as refused:
            act()
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", OUT)
def test_a_table_or_view_of_such_a_name_is_refused(name, store):
    table = trial_table(name, "model", Column("n", COUNT, "how many"))
    for tables, views in (([table], []), ([], [View(name, "-- What?\nSELECT 1 AS n")])):
        with pytest.raises(BadInput, match=r"a name has lower-case letters.*; rename it"):
            store.declare(tables, views)
    with pytest.raises(ValueError, match="is declared in this store"):
        store.commit({name: [{"n": 1}]}, [ledger_row(TRIAL)])
    with pytest.raises(ValueError, match="is declared in this store"):
        store.replace(name, [])


@pytest.mark.parametrize("name", OUT)
def test_a_hostile_declaration_names_no_place_outside(name, store):
    good = trial_table("pairs", "model", Column("n", COUNT, "how many"))
    store.declare([good])
    (file,) = Path(store.root, "declared").iterdir()
    escaped = name.replace("\\", "\\\\").replace("\0", "\\u0000").replace("\n", "\\n")
    forged = json.loads(file.read_text().replace('"pairs"', f'"{escaped}"'))
    del forged["digest"]
    file.write_bytes(as_bytes(forged))
    with pytest.raises(StoreError, match=r"declared/pairs\..*\.json ") as refused:
        store.tables()
    assert "\n" not in str(refused.value)


WRITES = {
    "accuracy": lambda store: store.commit(
        {"accuracy": [result_row("accuracy", TRIAL, top1=0.5)]}, [ledger_row(TRIAL)]
    ),
    "trials": lambda store: store.commit({}, [ledger_row(TRIAL)]),
    "inputs": lambda store: store.write_input("a", pa.table({"x": [1]})),
    "trends": lambda store: store.replace("trends", []),
    ".uncommitted": lambda store: store.write_input("a", pa.table({"x": [1]})),
}


@pytest.mark.parametrize("linked", WRITES)
def test_a_folder_that_is_a_symlink_to_elsewhere_is_not_followed(linked, store, outside):
    shutil.rmtree(Path(store.root, linked), ignore_errors=True)
    Path(store.root, linked).symlink_to(outside)
    before = everything(outside)
    with pytest.raises(StoreError, match=rf"{linked}.*leads out of it") as refused:
        WRITES[linked](store)
    assert "\n" not in str(refused.value)
    assert everything(outside) == before


@pytest.mark.parametrize("linked", ["accuracy", "ledger"])
def test_a_compaction_removes_nothing_outside(linked, store, outside):
    # Names of files that a compaction takes for a crash's, or for records that were merged.
    for name in ("0" * 32 + ".parquet", "00000001.json"):
        (outside / name).write_text("precious")
    shutil.rmtree(Path(store.root, linked), ignore_errors=True)
    Path(store.root, linked).symlink_to(outside)
    before = everything(outside)
    with pytest.raises(StoreError) as refused:
        store.compact(grace_s=-1)
    assert "\n" not in str(refused.value)
    assert everything(outside) == before


@pytest.mark.parametrize("at", [".lock", "ledger/00000001.json"])
def test_a_file_that_is_a_symlink_is_not_written_through(at, store, outside):
    file = Path(store.root, at)
    file.parent.mkdir(exist_ok=True)
    file.symlink_to(outside / "precious.parquet")
    before = everything(outside)
    if at == ".lock":
        with pytest.raises(StoreError, match="cannot be written") as refused:
            store.claim().__enter__()
        assert "\n" not in str(refused.value)
    else:
        # The number is taken, and another is made.
        WRITES["trials"](store)
        with pytest.raises(StoreError, match=r"ledger/00000001.json is damaged"):
            store.ledger()
    assert everything(outside) == before


def test_a_link_that_stays_inside_and_a_store_that_is_a_link_are_taken(store, tmp_path):
    Path(store.root, "elsewhere").mkdir()
    Path(store.root, "inputs").symlink_to("elsewhere")
    (tmp_path / "link").symlink_to(store.root)
    linked = Store(str(tmp_path / "link"))
    linked.write_input("a", pa.table({"x": [1]}))
    assert len(list(Path(store.root, "elsewhere").glob("a.*.parquet"))) == 1
    check_inside(tmp_path / "link", Path(os.path.realpath(store.root), "inputs", "a.parquet"))
