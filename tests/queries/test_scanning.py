"""DuckDB reads the files that count, whole and unchanged, and nothing else, through a file system that only reads."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.planted_rows import ledger_row, result_row
from tests.storage import s3_server
from zoo_eval.errors import StoreError
from zoo_eval.queries.connection import connect
from zoo_eval.queries.scanning import NO_ROWS, Files
from zoo_eval.storage import ranges
from zoo_eval.storage.parquet import parquet
from zoo_eval.store import Store
from zoo_eval.tables import TABLES, VIEWS
from zoo_eval.trial import Trial

N_LAYERS, N_FOLDS, N_TARGETS = 20, 3, 2000
NAMES = [f"target {number}" for number in range(N_TARGETS)]


def fit(layer):
    return Trial(
        "neural_fit", 1, "nested", model="m", weights_digest="w", transform={}, layer=layer,
        readout="ridge", recording="it", recording_digest="r", stimuli="s", stimuli_digest="s",
    )  # fmt: skip


def scores():
    """Float32 (layer, fold, target); some are undefined, of one target all."""
    draw = np.random.default_rng(0)
    found = draw.normal(0.3, 0.15, (N_LAYERS, N_FOLDS, N_TARGETS)).astype(np.float32)
    found[draw.random(found.shape) < 0.1] = np.nan
    found[:, :, 7] = np.nan
    # Of the last layer all are defined.
    found[-1] = 0.5
    return found


def rows(layer, r):
    own = fit(f"layer {layer:02d}")
    return own, [
        result_row(
            "neural_scores", own, recording="it", mode="fit", statistic="pearson_r", fold=fold,
            score=float(np.nanmedian(one)), r=one, target_ids=NAMES,
            undefined=["constant" if np.isnan(value) else "" for value in one],
        )
        for fold, one in enumerate(r)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A store whose scores are one file, too large to be read at once."""
    store = Store(str(tmp_path_factory.mktemp("scanning") / "store"), create=True)
    made = [rows(layer, r) for layer, r in enumerate(scores())]
    store.commit(
        {"neural_scores": [row for _, some in made for row in some]},
        [ledger_row(own) for own, _ in made],
    )
    (file,) = store.contents().files("neural_scores")
    assert file.size > ranges.SMALL_BYTES
    return store


@pytest.fixture
def store(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "copy")
    return Store(str(tmp_path / "copy"))


def test_means_over_folds_are_those_of_numpy(original):
    found = connect(original).query(
        "SELECT r, n_undefined_folds, undefined, n_folds FROM neural_targets "
        "ORDER BY layer, target[8:]::INTEGER"
    )
    shape = (N_LAYERS, N_TARGETS)
    with np.errstate(all="ignore"):
        planted = scores().astype(float)
        missing = np.isnan(planted).sum(axis=1)
        means = np.where(missing < N_FOLDS, np.nansum(planted, 1) / (N_FOLDS - missing), np.nan)
    asked = {
        name: np.array(found[name].to_pylist(), object).reshape(shape)
        for name in ("r", "n_undefined_folds", "undefined", "n_folds")
    }
    assert_allclose(asked["r"].astype(float), means, rtol=1e-12)
    assert_array_equal(asked["n_undefined_folds"].astype(int), missing)
    assert_array_equal(asked["undefined"], np.where(missing > 0, "constant", None))
    assert (asked["n_folds"] == N_FOLDS).all()


def test_a_changed_bit_in_what_is_read_is_one_line_and_elsewhere_unseen(store):
    (named,) = store.contents().files("neural_scores")
    path = Path(store.root, named.path)
    held = bytearray(path.read_bytes())
    told = pq.read_metadata(path).row_group(0)
    columns = {told.column(n).path_in_schema: told.column(n) for n in range(told.num_columns)}
    place = columns["r.list.element"].data_page_offset + 5000
    held[place] ^= 4
    path.write_bytes(held)
    one = connect(store)
    assert one.rows("SELECT count(score) AS n FROM neural_scores") == [{"n": N_LAYERS * N_FOLDS}]
    with pytest.raises(StoreError, match=f"{named.path} is damaged; restore .*--repair") as said:
        one.query("SELECT r FROM neural_scores")
    assert "\n" not in str(said.value)
    with pytest.raises(StoreError, match="is damaged"):
        one.query("SELECT sum(r) FROM neural_targets")


def test_a_column_that_older_files_lack_is_null(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "store"), create=True)
    older = {"n_sets", "undefined"}

    def as_before(table):
        return parquet(table.drop_columns([n for n in table.column_names if n in older]))

    with monkeypatch.context() as before:
        before.setattr("zoo_eval.store.parquet", as_before)
        own, made = rows(0, scores()[0])
        store.commit({"neural_scores": made}, [ledger_row(own)])
    own, made = rows(1, scores()[1])
    store.commit({"neural_scores": [{**one, "n_sets": 4} for one in made]}, [ledger_row(own)])
    sets = "SELECT layer, min(n_sets) AS n FROM neural_scores GROUP BY layer ORDER BY layer"
    expected = [{"layer": "layer 00", "n": None}, {"layer": "layer 01", "n": 4}]
    assert connect(store).rows(sets) == expected
    store.compact(0.0)
    assert connect(store).rows(sets) == expected
    columns = connect(store).columns("FROM neural_scores")
    assert list(columns) == TABLES["neural_scores"].schema.names


def test_halves_are_widened(tmp_path):
    store = Store(str(tmp_path / "store"), create=True)
    own = fit("a layer")
    halves = np.array([0.5, -0.125, 0.099976], np.float16)
    row = result_row("perturbations", own, shape=[3], perturbation=halves)
    store.commit({"perturbations": [row]}, [ledger_row(own)])
    found = connect(store).query("SELECT perturbation FROM perturbations")
    assert found.schema.field(0).type == pa.list_(pa.float32())
    assert found[0][0].as_py() == halves.astype(np.float32).tolist()


def test_there_is_nothing_to_write_with_and_no_name_leads_elsewhere(original):
    files = Files(original.contents())
    files.announce("accuracy", TABLES["accuracy"].schema_in_sql)
    with pytest.raises(PermissionError, match="read-only"):
        files.open(f"zoo://accuracy/{NO_ROWS}", "wb")
    for name in ("zoo_eval_store.json", "../outside", "/etc/hostname", "accuracy/../trials/x"):
        assert files.glob(f"zoo://{name}") == []
        assert not files.exists(f"zoo://{name}")
        with pytest.raises(FileNotFoundError, match="no file of this store"):
            files.open(f"zoo://{name}")
    assert files.glob("zoo://accuracy/*") == [f"zoo://accuracy/{NO_ROWS}"]
    assert files.glob("zoo://no_such_table/*") == []


def test_threads_that_share_an_open_file_do_not_move_each_other(original):
    files = Files(original.contents())
    files.announce("accuracy", TABLES["accuracy"].schema_in_sql)
    one = files.open(f"zoo://accuracy/{NO_ROWS}")
    held = one.read()

    def part(place):
        found = []
        for start in range(place, len(held), 7):
            one.seek(start)
            found.append(one.read(3) == held[start : start + 3] and one.tell() >= start)
        return all(found)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(part, range(8)))


def test_of_a_bucket_only_columns_that_are_wanted_are_fetched(original, monkeypatch):
    for name, value in s3_server.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zoo_eval.queries.scanning.FETCHED_BYTES", ranges.SMALL_BYTES)
    with s3_server.running() as server:
        store = Store(server.uri("scanning"), create=True)
        for one in Path(original.root).rglob("*"):
            if one.is_file() and one.name != ".lock":
                store.objects.replace(one.relative_to(original.root).as_posix(), one.read_bytes())
        there, here = connect(Store(server.uri("scanning"))), connect(original)
        asked = "SELECT * FROM neural_folds ORDER BY ALL"
        assert there.query(asked).equals(here.query(asked))
        (named,) = store.contents().files("neural_scores")
        told = pq.read_metadata(Path(original.root, named.path)).row_group(0)
        sizes = {
            told.column(place).path_in_schema: told.column(place).total_compressed_size
            for place in range(told.num_columns)
        }
        fetched = sum(end - start for start, end in there._contents.objects._parts[named.path])
        assert sizes["r.list.element"] > named.size / 2
        assert fetched < sizes["r.list.element"] / 2


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_there_in_an_empty_store(name, tmp_path):
    connection = connect(Store(str(tmp_path / "empty"), create=True))
    assert connection.query(f"SELECT * FROM {name}").num_rows == 0
    assert len(connection.columns(f"SELECT * FROM {name}")) > 1
