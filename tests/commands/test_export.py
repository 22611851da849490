"""What is exported is what counts, in every form, with all its digits; nothing is overwritten."""

import csv
import itertools
import json
import math
import stat

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.queries.zoo import Zoo
from zoo_eval import cli
from zoo_eval.commands import export as exporting
from zoo_eval.commands.export import FORMS, export
from zoo_eval.errors import BadInput
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.tables import TABLES, VIEWS

HOSTILE = '=HYPERLINK("x")\n</script>\x1b[2J\'é'
FLOATS = [0.1, 1 / 3, 1e-300, -0.0, 1.7976931348623157e308, 5e-324, math.nan, math.inf, -math.inf]
SINGLES = np.array([0.1, 1 / 3, 1e-45, -0.0, 3.4e38, math.nan, math.inf, -math.inf], np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A planted model with everything, an image's bytes, a hostile name, and numbers of many digits."""
    zoo = Zoo(Store(str(tmp_path_factory.mktemp("planted") / "store"), create=True))
    zoo.model("m", family=HOSTILE, year=2020)
    zoo.targets()
    zoo.add("features", "features", [{"layer": "x", "vector": SINGLES.tolist()}], model="m")
    rows = [{"layer": f"l{n}", "depth": one} for n, one in enumerate(FLOATS)]
    zoo.add("layers", "layers", rows, model="m", seed=3)
    photo = {"attack": "ddn", "shape": [1], "perturbation": [0.5], "photo": b"\x89PNG\x00"}
    zoo.add("minimal_attack", "perturbations", [photo], model="m", seed=3)
    return zoo.commit()


@pytest.fixture(scope="module")
def connection(store):
    return connect(store)


def everything(connection, name):
    return connection.query(f'SELECT * FROM "{name}"')


def texts(table, name):
    """Rows in no order, NaN equal to NaN; to the last digit, but for what a view reckons anew."""
    rows = table.to_pylist()
    return sorted(map(repr, rows if name in TABLES else map(rounded, rows)))


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_parquet_holds_every_table_and_view(store, connection, tmp_path):
    counts = export(store, tmp_path / "out")
    assert counts.keys() == {*TABLES, *VIEWS}
    assert {one.name for one in (tmp_path / "out").iterdir()} == {
        f"{name}.parquet" for name in counts
    }
    for name, n in counts.items():
        found, expected = (
            pq.read_table(tmp_path / "out" / f"{name}.parquet"),
            everything(connection, name),
        )
        assert found.schema.names == expected.schema.names
        assert found.num_rows == n == expected.num_rows
        assert texts(found, name) == texts(expected.cast(found.schema), name), name


def test_one_database_holds_every_table_and_view(store, connection, tmp_path):
    counts = export(store, tmp_path / "all.duckdb")
    with duckdb.connect(str(tmp_path / "all.duckdb"), read_only=True) as exported:
        for name, n in counts.items():
            expected = everything(connection, name)
            found = exported.sql(f'SELECT * FROM "{name}"').to_arrow_table()
            assert found.num_rows == n == expected.num_rows
            assert texts(found, name) == texts(expected.cast(found.schema), name), name


def test_csv_holds_every_cell_as_it_is_and_all_digits(store, tmp_path):
    counts = export(store, tmp_path / "out", "csv")
    read = {}
    for name, n in counts.items():
        with (tmp_path / "out" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            read[name] = list(csv.DictReader(file))
        assert len(read[name]) == n
    assert read["models"][0]["family"] == HOSTILE
    depths = [float(row["depth"]) for row in read["layers"] if row["layer"].startswith("l") and row["layer"] != "late"]  # fmt: skip
    assert list(map(repr, depths)) == list(map(repr, FLOATS))
    vector = [float(one) for one in json.loads(read["features"][0]["vector"])]
    assert np.float32(vector).tobytes() == SINGLES.tobytes()
    assert read["perturbations"][0]["photo"] == "\\x89PNG\\x00"
    scores = json.loads(read["leaderboard"][0]["neural_scores"])
    assert scores.keys() == {"it", "v4"}


@pytest.mark.parametrize("name", ["out", "out.duckdb"])
@pytest.mark.parametrize("there", ["file", "folder", "dangling link"])
def test_nothing_is_overwritten(store, tmp_path, name, there):
    out = tmp_path / name
    if there == "file":
        out.write_text("mine")
    elif there == "folder":
        (out / "mine").mkdir(parents=True)
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="exists; remove it or choose another --out"):
        export(store, out)
    assert not (tmp_path / "elsewhere").exists()
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("form", ["duckdb", *FORMS])
def test_what_breaks_off_leaves_nothing(store, tmp_path, monkeypatch, form):
    def breaking(connection, holder):
        yield from itertools.islice(real(connection, holder), 3)
        raise OSError("disk is full")

    real = exporting._tables
    monkeypatch.setattr(exporting, "_tables", breaking)
    with pytest.raises(BadInput, match=r"cannot be written: .*disk is full"):
        export(store, tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_name_that_promises_one_file_of_a_folders_form_is_refused(store, tmp_path, suffix):
    with pytest.raises(BadInput, match=f"is a folder of files.*--format {suffix}"):
        export(store, tmp_path / f"out.{suffix}")


@pytest.mark.parametrize("form", [None, "csv", "duckdb"])
def test_nowhere_is_an_error(store, tmp_path, form):
    with pytest.raises(BadInput, match="cannot be written"):
        export(store, tmp_path / "no" / "such", form)


def test_rows_go_through_some_at_a_time(connection):
    rows = connection.batches("SELECT range AS x FROM range(300000)")
    sizes = [batch.num_rows for batch in rows]
    assert sum(sizes) == 300_000
    assert max(sizes) <= 122_880


def test_a_column_that_a_form_has_no_values_for_is_text_or_said(connection):
    (batch,) = connection.batches("SELECT '12:00:00+02'::TIMETZ AS t, 1 AS t, 2 AS t")
    assert batch.to_pylist() == [{"t": "12:00:00+02", "t_1": 1, "t_2": 2}]
    with pytest.raises(Exception, match="CAST it to VARCHAR"):
        list(connection.batches("SELECT '24:00:00'::TIME AS t"))
    with pytest.raises(BadInput, match="unknown column"):
        connection.batches("SELECT nothing FROM accuracy")


def test_what_is_made_is_not_the_worlds(store, tmp_path):
    export(store, tmp_path / "out")
    for one in [tmp_path / "out", *(tmp_path / "out").iterdir()]:
        assert not one.stat().st_mode & stat.S_IRWXO


@pytest.mark.parametrize(("more", "kind"), [((), "parquet"), (("--format", "csv"), "csv")])
def test_the_command_says_how_many_rows(store, tmp_path, capsys, more, kind):
    out = tmp_path / "new"
    assert cli.main(["export", "--store", store.uri, "--out", f"{out}/", *more]) == 0
    assert f"{out}: " in capsys.readouterr().out
    assert (out / f"accuracy.{kind}").exists()
