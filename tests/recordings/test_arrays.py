"""Plain arrays: any of four kinds of files, ids from wherever they are, or the order of the images."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from tests.recordings import rdm_files
from tests.recordings.array_files import IDS, TARGETS, csv_file, planted
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import array_file, by_position
from zoo_eval.recordings.arrays import ArraysSection
from zoo_eval.recordings.by_position import Unnamed

MOST = 2**30


def read(path, *, most=MOST, **options):
    paths = {
        key: SweepPath.of(one, path.parent)
        if key == "targets_table" or (isinstance(one, str) and one.endswith(".txt"))
        else one
        for key, one in options.items()
    }
    section = ArraysSection(stimuli="shown", path=SweepPath.of(path, None), **paths)
    return section.presentations("recording 'a'", most)


def numbers(found):
    return found.read(np.arange(found.targets.num_rows))


def save(path, values, **names):
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, it=values, **names)
    elif path.suffix == ".csv":
        csv_file(path, values)
    elif path.name == "a73.mat":
        rdm_files.mat73(
            path, it=values, **{key: rdm_files.cells(one) for key, one in names.items()}
        )
    else:
        rdm_files.mat(path, it=values, **{key: rdm_files.cells(one) for key, one in names.items()})
    return path


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a73.mat", "a.csv"])
def test_a_file_with_names_says_all_itself(tmp_path, name):
    path = save(tmp_path / name, planted(), stimulus_ids=IDS, target_ids=TARGETS)
    found = read(path)
    assert_array_equal(numbers(found), planted())
    assert_array_equal(found.read(np.array([0, 2])), planted()[:, [0, 2]])
    assert list(found.stimulus_ids) == list(IDS)
    assert found.target_ids == TARGETS
    assert found.sessions is None
    assert found.files == (path.resolve(),)


def test_a_third_axis_is_of_repetitions(tmp_path):
    values = planted(2, 3, 4)
    found = read(save(tmp_path / "a.npz", values, stimulus_ids=["x", "y"]))
    assert_array_equal(numbers(found), [values[s, r] for s in range(2) for r in range(3)])
    assert list(found.stimulus_ids) == ["x"] * 3 + ["y"] * 3
    assert found.target_ids == ("target_0", "target_1", "target_2", "target_3")


def test_single_precision_stays_so_and_whole_numbers_are_double(tmp_path):
    single = read(save(tmp_path / "a.npy", planted().astype(np.float32)), stimulus_ids=IDS)
    assert (numbers(single).dtype, single.itemsize) == (np.float32, 4)
    whole = read(save(tmp_path / "b.npy", np.arange(12).reshape(4, 3)), stimulus_ids=IDS)
    assert (numbers(whole).dtype, whole.itemsize) == (np.float64, 8)


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_stays_in_the_file_and_is_read_by_blocks(tmp_path, monkeypatch, shape, order):
    values = planted(*shape)
    path = save(tmp_path / "a.npy", np.asarray(values, order=order))
    monkeypatch.setattr(array_file, "BLOCK_BYTES", 1)
    found = read(path, stimulus_ids=IDS, most=1)
    assert_array_equal(found.read(np.array([0, 2])), values.reshape(-1, 3)[:, [0, 2]])
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadInput, match=r"a\.npy ends before its array does"):
        found.read(np.array([0]))


def test_ids_in_a_list_or_a_text_file(tmp_path):
    path = save(tmp_path / "a.npy", planted())
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    for given in (IDS, "ids.txt"):
        assert list(read(path, stimulus_ids=given).stimulus_ids) == list(IDS)
    assert list(read(path, stimulus_ids=np.array([3, 1, 2, 1])).stimulus_ids) == [
        "3",
        "1",
        "2",
        "1",
    ]
    assert {one.name for one in read(path, stimulus_ids="ids.txt").files} == {"a.npy", "ids.txt"}


def test_sessions_are_read_where_the_file_has_them(tmp_path):
    path = save(tmp_path / "a.npz", planted(), stimulus_ids=IDS, sessions=np.array([1, 1, 2, 2]))
    assert list(read(path).sessions or ()) == ["1", "1", "2", "2"]
    table = csv_file(tmp_path / "a.csv", planted(), index="stimulus_id", sessions=list("aabb"))
    found = read(table)
    assert list(found.sessions or ()) == list("aabb")
    assert found.target_ids == TARGETS
    assert_array_equal(numbers(found), planted())


def test_decimal_commas_between_semicolons(tmp_path):
    found = read(csv_file(tmp_path / "a.csv", planted(), delimiter=";"))
    assert_array_equal(numbers(found), planted())


def test_a_csv_without_names(tmp_path):
    np.savetxt(tmp_path / "a.csv", planted(), delimiter=",")
    with pytest.raises(BadInput, match=r"set header = true .* or header = false"):
        read(tmp_path / "a.csv", stimulus_ids=IDS)
    found = read(tmp_path / "a.csv", stimulus_ids=IDS, header=False)
    assert_array_equal(numbers(found), planted())
    assert found.target_ids == ("target_0", "target_1", "target_2")
    short = read(tmp_path / "a.csv", stimulus_ids=IDS[1:], header=True)
    assert_array_equal(numbers(short), planted()[1:])


@pytest.mark.parametrize("first", ["0,1,2", ",0,1,2", "0.5,,2.5"])
def test_a_first_line_of_numbers_is_not_guessed(tmp_path, first):
    (tmp_path / "a.csv").write_text(f"{first}\n{first}\n{first}\n")
    with pytest.raises(BadInput, match="its first line has numbers alone"):
        read(tmp_path / "a.csv")


def test_names_that_are_numbers_stand_beside_an_index(tmp_path):
    found = read(csv_file(tmp_path / "a.csv", planted(), index="stimulus_id", names=[0, 1, 2]))
    assert found.target_ids == ("0", "1", "2")
    assert list(found.stimulus_ids) == list(IDS)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_of_targets_is_joined_by_id(tmp_path, name):
    table = pa.table(
        {
            "target_id": ["t3", "t1", "more", "t2"],
            "region": ["IT", "V4", "IT", None],
            "reliability": [0.5, np.nan, 0.25, 1.0],
            "depth": [3, 1, 9, 2],
        }
    )
    if name == "t.csv":
        table.to_pandas().to_csv(tmp_path / name, index=False)
    else:
        pq.write_table(table, tmp_path / name)
    path = save(tmp_path / "a.npz", planted(), stimulus_ids=IDS, target_ids=TARGETS)
    found = read(path, targets_table=name)
    assert found.targets.to_pydict() == {
        "target_id": ["t1", "t2", "t3"],
        "region": ["V4", None, "IT"],
        "reliability": [None, 1.0, 0.5],
        "depth": [1, 2, 3],
    }
    assert path.parent / name in found.files


def test_a_table_names_targets_that_have_no_names_in_its_order(tmp_path):
    (tmp_path / "t.csv").write_text("target_id;depth\n7;0,5\n3;1,5\n5;\n")
    found = read(save(tmp_path / "a.npy", planted()), stimulus_ids=IDS, targets_table="t.csv")
    assert found.target_ids == ("7", "3", "5")
    assert found.targets.column("depth").to_pylist() == [0.5, 1.5, None]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("id,x\nt1,1\n", "there is no 'target_id'"),
        ("target_id,x\nt1,1\nt2,2\n", "target 't3' is not in the table of targets .1 such"),
        ("target_id,x\nt1,1\nt1,2\nt2,1\nt3,1\n", "target 't1' stands twice"),
        ("target_id,x\nt1,1\n,2\n", "target_id of row 2 is empty"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path, text, match):
    (tmp_path / "t.csv").write_text(text)
    path = save(tmp_path / "a.npz", planted(), stimulus_ids=IDS, target_ids=TARGETS)
    with pytest.raises(BadInput, match=match):
        read(path, targets_table="t.csv")


def test_rows_without_ids_meet_the_images_by_their_order(tmp_path):
    values = planted(3, 2, 2)
    path = save(tmp_path / "a.npy", values)
    found = read(path)
    assert isinstance(found.stimulus_ids, Unnamed)
    assert list(found.stimulus_ids) == ["row 1", "row 1", "row 2", "row 2", "row 3", "row 3"]
    assert found.stimulus_ids[1:3] == ["row 1", "row 2"]
    shown = rdm_files.shown_set(("c", "a", "b"))
    named, line = by_position.named(found, shown)
    assert list(named.stimulus_ids) == ["c", "c", "a", "a", "b", "b"]
    assert line is not None
    assert "row 1 is 'c'" in line
    assert_array_equal(numbers(named), values.reshape(6, 2))


def test_rows_may_be_in_the_order_of_numbers(tmp_path):
    path = save(tmp_path / "a.npy", planted(3, 2))
    shown = rdm_files.shown_set(("i1", "i10", "i2"))
    named, _ = by_position.named(read(path, order="natural"), shown)
    assert list(named.stimulus_ids) == ["i1", "i2", "i10"]
    with pytest.raises(BadInput, match="have two orders"):
        by_position.named(read(path), shown)
    with pytest.raises(BadInput, match="3 rows, but stimuli 'shown' has 2"):
        by_position.named(read(path), rdm_files.shown_set(("a", "b")))


def test_ids_of_their_own_stay(tmp_path):
    found = read(save(tmp_path / "a.npy", planted()), stimulus_ids=IDS)
    assert by_position.named(found, rdm_files.shown_set(("a",))) == (found, None)


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        (np.zeros(3), {}, r"responses of shape \(3,\); give \(stimulus, target\)"),
        (np.zeros((2, 2, 2, 2)), {}, "responses of shape"),
        (np.zeros((0, 2)), {}, "responses of shape"),
        (np.zeros((2, 2), complex), {}, "responses of type complex128"),
        (np.array([["a", "b"]]), {}, "give real numbers"),
        (np.zeros((2, 2)), {"stimulus_ids": ("a",)}, "1 stimulus ids for 2 rows"),
        (np.zeros((2, 2)), {"stimulus_ids": ("a", "")}, "stimulus id number 2 is blank"),
        (np.zeros((2, 2)), {"stimulus_ids": ("a", "b"), "order": "images"}, "remove `order`"),
        (np.zeros((2, 2)), {"variable": "it"}, "remove `variable`"),
        (np.zeros((2, 2)), {"header": True}, "remove `header`"),
    ],
)
def test_a_wrong_array_is_one_line(tmp_path, values, options, match):
    path = save(tmp_path / "a.npy", values)
    with pytest.raises(BadInput, match=match) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("names", "options", "match"),
    [
        ({"stimulus_ids": IDS}, {"order": "images"}, "has ids of its own; remove `order`"),
        ({"stimulus_ids": IDS}, {"stimulus_ids": IDS}, "remove `stimulus_ids`"),
        ({"stimulus_ids": IDS[1:]}, {}, "3 stimulus ids for 4 rows"),
        ({"target_ids": TARGETS[1:]}, {}, "2 target ids for 3 targets"),
        ({"sessions": ["1"]}, {}, "1 sessions for 4 rows"),
        ({"stimulus_ids": [IDS, IDS]}, {}, r"`stimulus_ids` has shape \(2, 4\)"),
        ({"more": [1]}, {}, r"holds 2 arrays \(it, more\); name one"),
        ({}, {"variable": "IT"}, "has no variable 'IT'; known: it"),
    ],
)
def test_wrong_names_are_one_line(tmp_path, names, options, match):
    path = save(tmp_path / "a.npz", planted(), **names)
    with pytest.raises(BadInput, match=match):
        read(path, **options)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("id,t1\n", "has 1 lines"),
        (",t1,t2\na,1,2\nb,3\n", "line 3: 2 cells, the first 3"),
        (",t1,t2\na,1,2\nb,3,x\n", "line 3: column 3 is 'x'; give a number"),
        (",t1,t2\na,1,2\nb,3,1_000\n", "column 3 is '1_000'"),
        (",t1,\na,1,2\nb,3,4\n", "column 2 of its targets has no name"),
        (",t1,t1\na,1,2\nb,3,4\n", "target 't1' stands twice"),
        ("<html><body>\n\n", "HTML"),
    ],
)
def test_a_wrong_csv_is_one_line(tmp_path, text, match):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInput, match=match) as caught:
        read(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_an_infinite_response_is_refused_when_it_is_read(tmp_path):
    values = planted()
    values[2, 1] = np.inf
    found = read(save(tmp_path / "a.npy", values), stimulus_ids=IDS)
    assert np.isfinite(found.read(np.array([0, 2]))).all()
    with pytest.raises(BadInput, match="target number 2 in row 3 is infinite; write NaN"):
        numbers(found)


def test_other_kinds_and_too_large_files_are_refused(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(BadInput, match=r"no known kind; give a \.npy, \.npz, \.mat or \.csv"):
        read(tmp_path / "a.xlsx")
    with pytest.raises(BadInput, match="more than the 50 B of memory_budget"):
        read(save(tmp_path / "a.npz", planted()), most=50)
    with pytest.raises(BadInput, match=r"save it as \.npz"):
        read(save(tmp_path / "a.csv", planted()), most=50)


def test_what_needs_code_to_load_is_never_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object))
    with pytest.raises(BadInput, match="needs code to load, which is never run"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize("given", [(), (1.5,), 3])
def test_ids_are_text_or_whole_numbers(given):
    with pytest.raises(ValidationError, match="expected"):
        ArraysSection(stimuli="shown", path="a.npy", stimulus_ids=given)
