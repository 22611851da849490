"""A recording in one Parquet file is read in the order of its stimuli; every fault is located."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.recordings import long_table, parquet, targets_file
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
    assert_allclose(found.repeated().padded(), expected, rtol=0)


def test_numeric_target_ids_are_read_as_text(tmp_path, shown):
    rows = [{**row, "target_id": int(row["target_id"][1])} for row in long_rows()]
    assert read(tmp_path, rows, shown).target_ids == ("1", "2")


@pytest.mark.parametrize("ids", [("c", "a", "b"), ("c", "a.png", "b")])
def test_stimulus_ids_may_lack_the_suffix_of_their_file(tmp_path, shown, ids):
    files = replace(shown, ids=("c.png", "a.png", "b.jpg"))
    rows = [{**row, "stimulus_id": dict(zip(IDS, ids))[row["stimulus_id"]]} for row in long_rows()]
    assert_array_equal(read(tmp_path, rows, files).mean, read(tmp_path, long_rows(), shown).mean)


def test_numeric_stimulus_ids_are_read_as_text(tmp_path, shown):
    files = replace(shown, ids=("2.png", "10.png", "1.png"))
    rows = [
        {**row, "stimulus_id": {"c": 2.0, "a": 10.0, "b": 1.0}[row["stimulus_id"]]}
        for row in long_rows()
    ]
    assert_array_equal(read(tmp_path, rows, files).mean, read(tmp_path, long_rows(), shown).mean)


def test_a_stimulus_under_two_names_is_an_error(tmp_path, shown):
    rows = [*long_rows(), {**long_rows()[0], "stimulus_id": "c.png"}]
    with pytest.raises(BadInput, match="both mean 'c'; write one of them"):
        read(tmp_path, rows, shown)


def test_a_response_without_a_row_is_missing(tmp_path, shown):
    found = read(tmp_path, long_rows()[:-1], shown).repeated().padded()
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 1, 1]]


def test_stimuli_may_be_shown_unequally_often(tmp_path, shown):
    rows = [row for row in long_rows() if (row["stimulus_id"], row["repetition"]) != ("a", 5)]
    found = read(tmp_path, rows, shown)
    assert found.repeated().counts.tolist() == [2, 1, 2]
    assert_allclose(found.mean, [[60, 61], [170, 171], [260, 261]], rtol=0)


def test_repetitions_that_are_numbered_through_all_trials_take_no_more_than_the_rows(tmp_path):
    rows = [
        {"stimulus_id": f"s{i % 40}", "repetition": i, "target_id": f"t{t}", "response": i + t / 10}
        for i in range(120)
        for t in range(3)
    ]
    found = read(tmp_path, rows, images(40)).repeated()
    assert found.responses.shape == (120, 3)
    expected = [[i % 40 + 40 * k for k in range(3)] for i in range(40)]
    assert_allclose(found.padded()[:, :, 0], expected, rtol=0)


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
def test_a_response_that_is_absent_is_missing(tmp_path, shown, value):
    rows = long_rows()
    rows[0]["response"] = value
    found = read(tmp_path, rows, shown).repeated().padded()
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 0, 0]]


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


def dense_table(n_stimuli, n_targets, **more):
    """A table of every target's response to every stimulus, and these."""
    values = np.random.default_rng(0).normal(size=(n_stimuli, n_targets))
    stimulus, target = (one.ravel() for one in np.indices(values.shape))
    columns = {
        "stimulus_id": pa.array([f"s{i}" for i in range(n_stimuli)]).take(pa.array(stimulus)),
        "repetition": pa.array(np.zeros(values.size, np.int64)),
        "target_id": pa.array([f"t{i:04d}" for i in range(n_targets)]).take(pa.array(target)),
        "response": pa.array(values.ravel()),
    }
    return pa.table({**columns, **more}), values


def images(n):
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    ids = tuple(f"s{i}" for i in range(n))
    return StimulusSet("shown", ids, (image,) * n, groups=ids)


@pytest.mark.parametrize("block_rows", [1, 7, 10**6])
@pytest.mark.parametrize("coded", [True, False])
def test_blocks_row_groups_and_dictionaries_change_nothing(
    tmp_path, monkeypatch, block_rows, coded
):
    table, values = dense_table(6, 5)
    order = np.random.default_rng(1).permutation(table.num_rows)
    monkeypatch.setattr(parquet, "BLOCK_ROWS", block_rows)
    pq.write_table(
        table.take(pa.array(order)), tmp_path / "r.parquet", row_group_size=8, use_dictionary=coded
    )
    found = parquet.read("r", tmp_path / "r.parquet", images(6))
    assert_array_equal(found.repeated().padded()[:, 0], values)
    again = parquet.of_table("r", table, images(6), "its table")
    assert again.digest == found.digest


def test_categories_that_no_row_has_are_no_targets(shown):
    table = pa.Table.from_pylist(long_rows())
    targets = pa.DictionaryArray.from_arrays(
        pa.array([1 + (one["target_id"] == "t2") for one in long_rows()], pa.int8()),
        pa.array(["t9", "t1", "t2"]),
    )
    found = parquet.of_table("r", table.set_column(2, "target_id", targets), shown, "its table")
    assert found.target_ids == ("t1", "t2")


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16(), pa.int16(), pa.uint64()])
def test_numbers_of_any_type_are_held_exactly(shown, kind):
    table = pa.Table.from_pylist(long_rows())
    values = pa.array(np.arange(12), pa.int64()).cast(pa.float64()).cast(kind)
    found = parquet.of_table("r", table.set_column(3, "response", values), shown, "its table")
    assert_array_equal(found.repeated().padded().ravel(), np.arange(12.0))


def test_text_that_is_stored_as_bytes_is_text(shown):
    table = pa.Table.from_pylist(long_rows())
    for column in (0, 2):
        name = table.column_names[column]
        table = table.set_column(column, name, table[name].cast(pa.binary()))
    assert parquet.of_table("r", table, shown, "its table").target_ids == ("t1", "t2")


def changed(column, values):
    table = pa.Table.from_pylist(long_rows())
    return table.set_column(parquet.COLUMNS.index(column), column, values)


WRONG_TABLES = [
    (changed("repetition", pa.array([[1]] * 12)), "column 'repetition' is list"),
    (changed("stimulus_id", pa.array([{"a": 1}] * 12)), "column 'stimulus_id' is struct"),
    (changed("repetition", pa.array([float("nan")] * 12)), "column 'repetition' has a NaN; fill it"),
    (changed("target_id", pa.array([None] * 12, pa.string())), "column 'target_id' has a null; fill"),
    (changed("response", pa.array([2**60 + 1] * 12)), "float64 cannot hold exactly; save it as"),
    (changed("response", pa.array([True] * 12)), "column 'response' is bool, not a number; save"),
    (
        changed("target_id", pa.DictionaryArray.from_arrays(pa.array([0] * 12), pa.array([None], pa.string()))),
        "column 'target_id' has a null; fill",
    ),
    (
        pa.Table.from_arrays([pa.array([1])] * 5, names=[*parquet.COLUMNS, "response"]),
        "has the column 'response' twice; needed:",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("table", "reason"), WRONG_TABLES, ids=[one[1] for one in WRONG_TABLES])
def test_tables_of_another_kind_are_refused_in_one_line(shown, table, reason):
    with pytest.raises(BadInput, match=f"^recording 'r': its table.*{reason}") as told:
        parquet.of_table("r", table, shown, "its table")
    assert "\n" not in str(told.value)


def test_what_takes_more_than_the_budget_is_refused_before_it_is_read(tmp_path):
    table, _ = dense_table(100, 100)
    pq.write_table(table, tmp_path / "r.parquet")
    # 9 bytes a response, and 1024 for each row of a block.
    need = 100 * 100 * (9 + 1024)
    assert parquet.read("r", tmp_path / "r.parquet", images(100), need).n_stimuli == 100
    with pytest.raises(BadInput, match=r"r.parquet: 10000 responses .* would take 9.9 MiB, more than the 1.0 MiB of memory_budget; raise \[run\] memory_budget, or record fewer"):  # fmt: skip
        parquet.read("r", tmp_path / "r.parquet", images(100), 2**20)


def test_a_product_far_larger_than_its_rows_is_refused_before_it_is_allocated():
    n = 20_000
    ids = pa.array([f"s{i}" for i in range(n)])
    table = pa.table(
        {"stimulus_id": ids, "repetition": pa.array([0] * n), "target_id": ids,
         "response": pa.array(np.zeros(n))}
    )  # fmt: skip
    with pytest.raises(BadInput, match=r"20000 rows name presentations x targets = 20000 x 20000, which would take 3.4 GiB.*most would be missing: split"):  # fmt: skip
        parquet.of_table("r", table, images(n), "its table")


@pytest.mark.parametrize("cut", [3, 100, 0.5, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path, shown, cut):
    file = tmp_path / "r.parquet"
    pq.write_table(pa.Table.from_pylist(long_rows()), file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * cut) if cut == 0.5 else cut])
    with pytest.raises(BadInput, match=r"^recording 'r': .*r.parquet is not a Parquet file.*again"):
        parquet.read("r", file, shown)


def test_a_flipped_byte_of_a_page_with_a_checksum_is_found(tmp_path, shown):
    file = tmp_path / "r.parquet"
    pq.write_table(
        pa.Table.from_pylist(long_rows()), file, compression="none", use_dictionary=False,
        write_page_checksum=True,
    )  # fmt: skip
    content = bytearray(file.read_bytes())
    content[content.index(np.float64(171.0).tobytes())] ^= 1  # fmt: skip
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"^recording 'r': .*r.parquet is a damaged Parquet file"):
        parquet.read("r", file, shown)


def test_a_git_lfs_pointer_is_told(tmp_path, shown):
    (tmp_path / "r.parquet").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    with pytest.raises(BadInput, match="it is a Git LFS pointer; run `git lfs pull`"):
        parquet.read("r", tmp_path / "r.parquet", shown)


def test_the_budget_of_the_sweep_is_the_recordings(tmp_path, shown):
    pq.write_table(pa.Table.from_pylist(long_rows()), tmp_path / "r.parquet")
    mates = Mates(shown)
    mates.memory_budget_bytes = 1000
    section = ParquetSection(stimuli="shown", path=tmp_path / "r.parquet")
    with pytest.raises(BadInput, match="more than the 1000 B of memory_budget"):
        section.read("r", mates)


def test_only_the_rows_of_wanted_targets_and_stimuli_are_read(tmp_path, shown):
    rows = [*long_rows(), {**long_rows()[0], "stimulus_id": "localizer"}]
    file = tmp_path / "r.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    table = pq.read_table(file)
    long = long_table.LongTable("recording 'r': its table", table.schema, len(table), lambda columns: table.select(columns).to_batches(5))  # fmt: skip
    choice = long_table.Choice(
        lambda targets: [one for one in targets if one == "t2"], partial=True
    )
    found, targets = long_table.responses(long, shown, 2**31, choice)
    assert targets == ("t2",)
    assert_allclose(found.padded()[:, :, 0], [[51, 71], [151, 171], [251, 271]], rtol=0)
    with pytest.raises(BadInput, match=r"'localizer' is not in stimuli 'shown' \(1 such; .*partial = true"):  # fmt: skip
        long_table.responses(long, shown, 2**31)


def test_a_table_of_targets_selects_among_them_and_stays_with_them(tmp_path, shown):
    pq.write_table(pa.Table.from_pylist(long_rows()), tmp_path / "r.parquet")
    (tmp_path / "t.csv").write_text("target_id,region,depth\nt2,IT,200\nt1,V4,100\nt3,IT,300\n")
    content = {"stimuli": "shown", "path": tmp_path / "r.parquet"}
    known = {"targets_table": tmp_path / "t.csv"}
    found = ParquetSection(**content, **known, targets="region = 'IT'").read("r", Mates(shown))
    assert found.target_ids == ("t2",)
    assert found.targets.to_pylist() == [{"target_id": "t2", "region": "IT", "depth": 200}]
    whole = ParquetSection(**content, **known).read("r", Mates(shown))
    assert whole.targets["region"].to_pylist() == ["V4", "IT"]
    bare = ParquetSection(**content, targets="target_id = 't1'").read("r", Mates(shown))
    assert_array_equal(bare.mean, whole.mean[:, :1])
    with pytest.raises(BadInput, match="selects none of 2; the columns are region: V4, IT; depth"):
        ParquetSection(**content, **known, targets="region = 'TEO'").read("r", Mates(shown))
    (tmp_path / "t.csv").write_text("target_id,region\nt2,IT\n")
    with pytest.raises(BadInput, match="target 't1' is not in the table of targets"):
        ParquetSection(**content, **known).read("r", Mates(shown))


def test_rows_of_other_stimuli_are_left_out_if_that_is_said(tmp_path, shown):
    rows = [*long_rows(), {**long_rows()[0], "stimulus_id": "localizer"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    content = {"stimuli": "shown", "path": tmp_path / "r.parquet"}
    with pytest.raises(BadInput, match=r"'localizer' is not in stimuli 'shown' .*partial = true"):
        ParquetSection(**content).read("r", Mates(shown))
    assert ParquetSection(**content, partial=True).read("r", Mates(shown)).n_stimuli == 3


def test_text_that_is_not_utf_8_is_one_line(tmp_path, shown):
    table = pa.Table.from_pylist(long_rows())
    wrong = pa.Array.from_buffers(
        pa.string(), 12, [*pa.array(["ab"] * 12).buffers()[:2], pa.py_buffer(b"\xf8b" * 12)]
    )
    file = tmp_path / "r.parquet"
    for column in ("stimulus_id", "target_id"):
        pq.write_table(table.set_column(table.column_names.index(column), column, wrong), file)
        with pytest.raises(
            BadInput, match=rf"r\.parquet: column '{column}' has text that is not UTF-8"
        ):
            parquet.read("r", file, shown)
    pq.write_table(pa.table({"target_id": wrong}), file)
    with pytest.raises(BadInput, match=r"r\.parquet is not a Parquet file that can be read"):
        targets_file.read("recording 'r'", file, 2**20)


@pytest.mark.parametrize("gone", IDS)
def test_what_no_wanted_target_answered_keeps_its_place(tmp_path, shown, gone):
    rows = [one for one in long_rows() if (one["stimulus_id"], one["target_id"]) != (gone, "t1")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    section = ParquetSection(stimuli="shown", path=tmp_path / "r.parquet", targets="target_id = 't1'")  # fmt: skip
    mean = section.read("r", Mates(shown)).mean
    assert np.isnan(mean[:, 0]).tolist() == [one == gone for one in IDS]
