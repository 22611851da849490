"""A recording in one Parquet file is read in the order of its stimuli; every fault is located."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.recordings import parquet
from zoo_eval.recordings.parquet import ParquetSection
from zoo_eval.stimuli.stimulus_set import StimulusSet

IDS = ("c", "a", "b")


@pytest.fixture
def shown():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    return StimulusSet("shown", IDS, (image,) * 3, groups=IDS)


def long_rows():
    """Responses of two targets in two repetitions; their values say where they belong."""
    return [
        {"stimulus_id": s, "repetition": r, "target_id": t, "response": 100.0 * i + 10 * r + j}
        for i, s in enumerate(IDS)
        for r in (5, 7)
        for j, t in enumerate(("t1", "t2"))
    ]


def read(tmp_path, rows, shown):
    file = tmp_path / "r.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    return parquet.read("r", file, shown)


def test_a_parquet_file_is_read_in_the_order_of_the_stimuli(tmp_path, shown):
    rows = long_rows()
    np.random.default_rng(0).shuffle(rows)
    found = read(tmp_path, rows, shown)
    assert found.target_ids == ("t1", "t2")
    expected = [[[100 * i + 10 * r + j for j in (0, 1)] for r in (5, 7)] for i in range(3)]
    assert_allclose(found.responses, expected, rtol=0)


def test_numeric_target_ids_are_read_as_text(tmp_path, shown):
    rows = [{**row, "target_id": int(row["target_id"][1])} for row in long_rows()]
    assert read(tmp_path, rows, shown).target_ids == ("1", "2")


@pytest.mark.parametrize("ids", [("c", "a", "b"), ("c", "a.png", "b")])
def test_stimulus_ids_may_lack_the_suffix_of_their_file(tmp_path, shown, ids):
    files = replace(shown, ids=("c.png", "a.png", "b.jpg"))
    rows = [{**row, "stimulus_id": dict(zip(IDS, ids))[row["stimulus_id"]]} for row in long_rows()]
    assert_array_equal(
        read(tmp_path, rows, files).responses, read(tmp_path, long_rows(), shown).responses
    )


def test_numeric_stimulus_ids_are_read_as_text(tmp_path, shown):
    files = replace(shown, ids=("2.png", "10.png", "1.png"))
    rows = [
        {**row, "stimulus_id": {"c": 2.0, "a": 10.0, "b": 1.0}[row["stimulus_id"]]}
        for row in long_rows()
    ]
    assert_array_equal(
        read(tmp_path, rows, files).responses, read(tmp_path, long_rows(), shown).responses
    )


def test_a_stimulus_under_two_names_is_an_error(tmp_path, shown):
    rows = [*long_rows(), {**long_rows()[0], "stimulus_id": "c.png"}]
    with pytest.raises(BadInput, match="both mean 'c'; write one of them"):
        read(tmp_path, rows, shown)


def test_a_missing_response_is_located(tmp_path, shown):
    with pytest.raises(BadInput, match="target 't2' has 0 responses to 'b' in repetition 7"):
        read(tmp_path, long_rows()[:-1], shown)


def test_a_missing_stimulus_is_named(tmp_path, shown):
    rows = [row for row in long_rows() if row["stimulus_id"] != "a"]
    with pytest.raises(BadInput, match="0 responses to 'a'"):
        read(tmp_path, rows, shown)


def test_a_response_given_twice_is_located(tmp_path, shown):
    rows = [*long_rows(), long_rows()[3]]
    with pytest.raises(BadInput, match="target 't2' has 2 responses to 'c' in repetition 7"):
        read(tmp_path, rows, shown)


def test_an_unknown_stimulus_is_named(tmp_path, shown):
    rows = [*long_rows(), {**long_rows()[0], "stimulus_id": "zebra"}]
    with pytest.raises(BadInput, match="stimulus 'zebra' is not in stimuli 'shown'"):
        read(tmp_path, rows, shown)


@pytest.mark.parametrize("value", [float("nan"), None])
def test_a_response_that_is_absent_is_located(tmp_path, shown, value):
    rows = long_rows()
    rows[0]["response"] = value
    with pytest.raises(BadInput, match="target 't1' to stimulus number 0"):
        read(tmp_path, rows, shown)


def test_two_repetitions_of_which_one_is_constant_are_refused(tmp_path, shown):
    rows = [{**row, "response": row["response"] * (row["repetition"] == 7)} for row in long_rows()]
    with pytest.raises(BadInput, match=r"^recording 'r': in repetition number 0 .* leave that"):
        read(tmp_path, rows, shown)


def test_a_missing_column_is_named(tmp_path, shown):
    rows = [{k: v for k, v in row.items() if k != "repetition"} for row in long_rows()]
    with pytest.raises(BadInput, match="has no column 'repetition'"):
        read(tmp_path, rows, shown)


@pytest.mark.parametrize(("column", "value"), [("repetition", None), ("response", "loud")])
def test_a_column_of_another_kind_is_an_error(tmp_path, shown, column, value):
    rows = [{**row, column: value if column == "response" or i else 5} for i, row in enumerate(long_rows())]  # fmt: skip
    with pytest.raises(BadInput, match="recording 'r'"):
        read(tmp_path, rows, shown)


def test_an_empty_file_is_an_error(tmp_path, shown):
    schema = pa.schema(
        [("stimulus_id", pa.string()), ("repetition", pa.int64()), ("target_id", pa.string()),
         ("response", pa.float64())]
    )  # fmt: skip
    file = tmp_path / "r.parquet"
    pq.write_table(schema.empty_table(), file)
    with pytest.raises(BadInput, match="recording 'r'"):
        parquet.read("r", file, shown)


def test_a_file_of_another_kind_is_an_error(tmp_path, shown):
    file = tmp_path / "r.parquet"
    file.write_text("stimulus_id,repetition")
    with pytest.raises(BadInput, match="is not a Parquet file"):
        parquet.read("r", file, shown)


def test_a_section_reads_its_file_and_the_ceilings_beside_it(tmp_path, shown):
    pq.write_table(pa.Table.from_pylist(long_rows()), tmp_path / "r.parquet")
    (tmp_path / "c.csv").write_text("target,ceiling\nt2,0.2\nt1,0.1\n")
    content = {"stimuli": "shown", "path": tmp_path / "r.parquet"}
    bare = ParquetSection(**content).read("r", Mates(shown))
    assert (bare.name, bare.stimuli, bare.file_ceilings) == ("r", "shown", None)
    section = ParquetSection(**content, ceilings=tmp_path / "c.csv", ceiling_scale="variance")
    found = section.read("r", Mates(shown))
    assert found.digest == bare.digest
    assert_allclose(found.file_ceilings.values, [0.1, 0.2], rtol=0)
    assert found.file_ceilings.scale == "variance"
