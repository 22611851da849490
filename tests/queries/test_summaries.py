"""What compaction keeps of views is what rows say, and where it is not, the rows win."""

import math
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from tests.queries.zoo import TARGETS, Zoo
from zoo_eval import cli
from zoo_eval.commands import compact
from zoo_eval.queries import compacting, summaries
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.queries.definitions import view_sql
from zoo_eval.queries.questions import questions
from zoo_eval.queries.running import TooLarge
from zoo_eval.queries.summaries import MADE_FROM, SUMMED
from zoo_eval.storage import address
from zoo_eval.storage.bucket import Bucket
from zoo_eval.storage.parquet import parquet
from zoo_eval.storage.ranges import Ranges
from zoo_eval.store import Store
from zoo_eval.tables import SUMMARIES, VIEWS

FEW = {name: f"FROM {name}" for name in (*SUMMED, "leaderboard")}
ALL = {name: f"FROM {name}" for name in VIEWS} | {n: one.sql for n, one in questions().items()}
WHOLE = dict.fromkeys(SUMMED, True)


class Own(Zoo):
    """Models with weights of their own, so that each is a group of trials of its own."""

    def add(self, evaluation, table, rows=({},), **facts):
        if facts.get("model"):
            facts.setdefault("weights_digest", f"weights of {facts['model']}")
        if table == "models":
            rows = [{**row, "weights_digest": facts["weights_digest"]} for row in rows]
        super().add(evaluation, table, rows, **facts)


def begun(store: Store) -> Store:
    """Two models, compacted."""
    zoo = Own(store)
    zoo.targets()
    zoo.model("m0", family="resnet")
    zoo.model("m1", family="vit")
    zoo.commit()
    compacting.compact(store)
    return store


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return begun(Store(str(tmp_path_factory.mktemp("summaries") / "store"), create=True))


@pytest.fixture
def store(original, tmp_path):
    shutil.copytree(original.root, tmp_path / "store")
    return Store(str(tmp_path / "store"))


def rounded(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else float(f"{value:.9g}")
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value


def asked(store, queries=FEW):
    """Each view's columns and rows, and of which views all rows were kept."""
    connection = connect(Store(store.uri))
    found = {}
    for name, sql in queries.items():
        table = connection.query(sql)
        rows = sorted((rounded(list(row.values())) for row in table.to_pylist()), key=repr)
        found[name] = (table.schema, rows)
    return found, connection._definitions._whole


def of_rows(store, monkeypatch, queries=FEW):
    """The same, where nothing that is kept is read."""
    with monkeypatch.context() as patched:
        patched.setattr(summaries, "kept", lambda *_: {})
        found, whole = asked(store, queries)
    assert whole == {}
    return found


def more(store: Store, model: str = "m2", **facts) -> None:
    zoo = Own(store, seed=7)
    zoo.model(model, family="resnet", **facts)
    zoo.commit()


def gate(zoo: Zoo, said: str, **facts) -> None:
    """Another trial of the first model's gate."""
    row = {"gate": said, "source": "local", "n_params": 1000}
    zoo.add("gate", "models", [row], model="m0", **facts)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_every_view_and_question_is_the_same_before_and_after_and_half_compacted(
    kind, tmp_path, monkeypatch
):
    buckets = {}
    if kind == "bucket":
        monkeypatch.setattr(
            address, "opened", lambda uri: Bucket(buckets.setdefault(uri, MemoryStore()))
        )
    store = begun(Store(str(tmp_path / "store"), create=True))
    found, whole = asked(store)
    assert whole == WHOLE
    assert found == of_rows(store, monkeypatch)
    more(store)
    expected = of_rows(store, monkeypatch, ALL)
    found, whole = asked(store, ALL)
    assert whole == dict.fromkeys(SUMMED, False)
    assert found == expected
    # What was kept of the first two models is read, and made is what is of the third.
    connection = connect(Store(store.uri))
    connection.query("FROM best_layer")
    made = connection.query("SELECT DISTINCT model FROM rows_of_best_layer.best_layer")
    assert made["model"].to_pylist() == ["m2"]
    assert compacting.compact(Store(store.uri)).left_out == {}
    found, whole = asked(store, ALL)
    assert whole == WHOLE
    assert found == expected
    assert all(rows for name, (_, rows) in found.items() if name in FEW)
    number = Store(store.uri).contents().snapshot.last
    assert compacting.summarise(Store(store.uri)) == {}
    assert Store(store.uri).contents().snapshot.last == number


def test_where_all_is_kept_the_tables_of_many_rows_are_not_read(store, monkeypatch):
    tables, read = set(), Ranges.read

    def noted(self, start, end):
        tables.add(self.named.table)
        return read(self, start, end)

    monkeypatch.setattr(Ranges, "read", noted)
    connection = connect(store)
    connection.query("SELECT * FROM leaderboard")
    assert {"trials", "models", "accuracy"} <= tables
    assert not {"neural_scores", "attacks", "alignment"} & tables
    # Another view reads them after that.
    assert connection.query("SELECT * FROM neural_folds").num_rows


def test_a_gate_that_fails_later_takes_a_model_out(store, monkeypatch):
    zoo = Own(store)
    gate(zoo, "fail", seed=1)
    zoo.commit()
    found, whole = asked(store)
    assert found == of_rows(store, monkeypatch)
    assert all("m0" not in str(rows) for _, rows in found.values())
    # Of the other model nothing has changed: that is still kept.
    assert whole["best_layer"]


def test_weights_that_are_newer_count_in_place_of_older_ones(store, monkeypatch):
    zoo = Own(store)
    gate(zoo, "pass", weights_digest="newer")
    zoo.add(
        "accuracy", "accuracy", [{"top1": 0.5, "n_images": 20}],
        model="m0", weights_digest="newer", ledger={"minute": 30},
    )  # fmt: skip
    zoo.fit("m0", weights_digest="newer")
    zoo.commit()
    found, whole = asked(store)
    assert found == of_rows(store, monkeypatch)
    assert not whole["best_layer"]
    assert {row[1] for row in found["best_layer"][1] if row[0] == "m0"} == {"newer"}


def test_ceilings_that_come_later_count(store, monkeypatch):
    zoo = Own(store)
    rows = [
        {
            "recording": "it", "recording_digest": "r", "target": target, "ceiling": 0.64, "scale": "reliability",
            "estimator": "splithalf_spearman_brown", "statistic": "pearson_r",
        }
        for target in TARGETS
    ]  # fmt: skip
    zoo.add("ceilings", "ceilings", rows, model=None, recording="it", recording_digest="r")
    zoo.commit()
    found, whole = asked(store)
    assert found == of_rows(store, monkeypatch)
    assert not whole["best_layer"]
    scored = connect(store).query("SELECT count(ceiled_score) AS n FROM best_layer")
    assert scored["n"].to_pylist() != [0]


def kept_rows(store):
    return Store(store.uri).read(SUMMARIES.name).to_pylist()


def planted(rows):
    """What is kept, with other scores."""
    held = pq.read_table(pa.BufferReader(rows))
    for name in ("score", "tolerance", "alignment"):
        if name in held.column_names:
            place = held.column_names.index(name)
            wrong = pa.array([99.0] * held.num_rows, held.schema.field(name).type)
            held = held.set_column(place, held.schema.field(name), wrong)
    return parquet(held)


def of_others(groups):
    """Groups that were made of other trials."""
    held = pq.read_table(pa.BufferReader(groups))
    place = held.column_names.index(MADE_FROM)
    return parquet(held.set_column(place, MADE_FROM, pa.array(["0/0"] * held.num_rows)))


@pytest.mark.parametrize("what", ["trials", "definition", "bytes"])
def test_of_summaries_that_are_of_something_else_the_rows_win(store, monkeypatch, what):
    expected = of_rows(store, monkeypatch)
    change = {
        "trials": lambda row: {"groups": of_others(row["groups"])},
        "definition": lambda row: {"definition": "0" * 32},
        "bytes": lambda row: {"groups": b"no Parquet", "rows": b""},
    }[what]
    rows = [{**row, "rows": planted(row["rows"]), **change(row)} for row in kept_rows(store)]
    store.replace(SUMMARIES.name, rows)
    found, whole = asked(store)
    assert found == expected
    assert not any(whole.values())


@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_a_file_of_summaries_that_is_not_as_it_was_written_counts_for_nothing(
    store, monkeypatch, how
):
    expected = of_rows(store, monkeypatch)
    (named,) = store.contents().files(SUMMARIES.name)
    path = Path(store.root, named.path)
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(held if how == "changed" else held[:-100])
    found, whole = asked(store)
    assert (found, whole) == (expected, {})
    # It is made again.
    assert compacting.summarise(Store(store.uri)) == {}
    found, whole = asked(store)
    assert (found, whole) == (expected, WHOLE)


def test_the_command_keeps_them_and_nothing_is_strange_to_it(store, capsys):
    more(store)
    assert cli.main(["compact", "--store", store.uri]) == 0
    assert asked(store)[1] == WHOLE
    assert Store(store.uri).strays() == []
    assert Store(store.uri).damage() is None
    capsys.readouterr()


def test_what_comes_to_a_limit_is_left_out_and_said(store, monkeypatch):
    more(store)
    expected = of_rows(store, monkeypatch)
    query = Connection.query

    def cut_off(self, sql, *more):
        if "FROM tolerances" in sql:
            raise TooLarge(self.limits)
        return query(self, sql, *more)

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "query", cut_off)
        said = compact.compacted(store.uri, 24)
    assert "; no summary of tolerances: SQL: cut off at" in said
    found, whole = asked(store)
    assert found == expected
    assert whole == {name: True for name in SUMMED if name != "tolerances"}


def test_each_names_what_its_view_is_made_of():
    """Every group's columns are the view's, and of trials; nothing else than its tables has many rows."""
    views = {name: view_sql(name) for name in VIEWS}
    assert len({summaries.definition(one, views) for one in SUMMED.values()}) == len(SUMMED)
    changed = {**views, "neural_folds": views["neural_folds"] + " -- otherwise"}
    now, then = (
        {name: summaries.definition(one, some) for name, one in SUMMED.items()}
        for some in (views, changed)
    )
    assert {name for name in SUMMED if now[name] != then[name]} == {"best_layer"}
