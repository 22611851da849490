"""Places: nothing is written or removed outside a store, whatever its parts are called or link to."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.planted_rows import ledger_row, result_row
from zoo_eval.errors import BadInput, StoreError
from zoo_eval.privacy.places import LeadsOut, check_inside, is_plain, plain
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
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="leads out of it"):
        store._written(f"trials/{name}", b"planted", replace=True)
    with pytest.raises(LeadsOut):
        store._exists(f"trials/{name}")
    assert sorted(tmp_path.rglob("*")) == before


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
    file = Path(store.root, "declared", "pairs.json")
    escaped = name.replace("\\", "\\\\").replace("\0", "\\u0000").replace("\n", "\\n")
    file.write_text(file.read_text().replace('"pairs"', f'"{escaped}"'))
    with pytest.raises(BadInput, match=r"declared/pairs.json is damaged") as refused:
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


@pytest.mark.parametrize("linked", ["accuracy", ".uncommitted"])
def test_a_claim_removes_nothing_outside(linked, store, outside):
    shutil.rmtree(Path(store.root, linked), ignore_errors=True)
    Path(store.root, linked).symlink_to(outside)
    with pytest.raises(StoreError, match="leads out of it"), store.claim():
        pass
    assert (outside / "precious.parquet").read_text() == "precious"


@pytest.mark.parametrize("at", ["trends/derived.parquet", ".lock"])
def test_a_file_that_is_a_symlink_is_not_written_through(at, store, outside):
    file = Path(store.root, at)
    file.parent.mkdir(exist_ok=True)
    file.symlink_to(outside / "precious.parquet")
    before = everything(outside)
    if at == ".lock":
        with pytest.raises(StoreError, match="cannot be written"), store.claim():
            pass
    else:
        store.replace("trends", [])
        assert not file.is_symlink()
    assert everything(outside) == before


def test_a_link_that_stays_inside_and_a_store_that_is_a_link_are_taken(store, tmp_path):
    Path(store.root, "elsewhere").mkdir()
    Path(store.root, "inputs").symlink_to("elsewhere")
    (tmp_path / "link").symlink_to(store.root)
    linked = Store(str(tmp_path / "link"))
    linked.write_input("a", pa.table({"x": [1]}))
    assert Path(store.root, "elsewhere", "a.parquet").is_file()
    check_inside(tmp_path / "link", Path(os.path.realpath(store.root), "inputs", "a.parquet"))
