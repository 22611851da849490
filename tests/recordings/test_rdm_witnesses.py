"""RDM files of every kind, beside what rsatoolbox reads from them; tables of pairs; damage."""

import json

import h5py
import numpy as np
import pytest
import rsatoolbox.io.meadows
from numpy.testing import assert_array_equal
from rsatoolbox.rdm import RDMs, load_rdm
from scipy.io import savemat
from scipy.spatial.distance import squareform

from tests.recordings.rdm_files import cells, characters, csv_rows, mat, mat73, npz, rdms, shown_set
from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.recordings import rdm_file
from zoo_eval.recordings.rdm import RdmSection
from zoo_eval.recordings.rdm_kinds.content import n_of_pairs

IDS = ("a.png", "b.png", "c.png", "d.png", "e.png")
SHUFFLED = [3, 0, 4, 1, 2]
NAMES = [IDS[number].removesuffix(".png") for number in SHUFFLED]
SUBJECTS = ("s1", "s2")


@pytest.fixture(scope="module")
def true():
    return rdms(2, 5)


@pytest.fixture(scope="module")
def rows(true):
    """The same in shuffled order."""
    return true[:, SHUFFLED][:, :, SHUFFLED]


@pytest.fixture(scope="module")
def pairs(rows):
    return np.stack([squareform(one) for one in rows])


def read(path, **choices):
    section = RdmSection(stimuli="shown", path=path, **choices)
    return section.read("r", Mates(shown_set(IDS)))


def structs(values, **fields):
    """A struct array 1 x n, as savemat takes it."""
    found = np.zeros((1, len(values)), dtype=[("RDM", object), *((key, object) for key in fields)])
    for number, value in enumerate(values):
        found[0, number]["RDM"] = value
        for key, listed in fields.items():
            found[0, number][key] = listed[number]
    return found


def structs73(path, variable, values, **fields):
    """A struct array of version 7.3: a group whose datasets hold references, and have no class."""
    mat73(path)
    with h5py.File(path, "r+") as file:
        group = file.create_group(variable)
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, listed in {"RDM": values, **fields}.items():
            item = group.create_dataset(key, (len(listed), 1), h5py.ref_dtype)
            for number, value in enumerate(listed):
                place = f"#refs#/{key}{number}"
                if isinstance(value, str):
                    item[number, 0] = characters(file, place, [value]).ref
                else:
                    file[place] = np.asarray(value).T
                    file[place].attrs["MATLAB_class"] = np.bytes_("double")
                    item[number, 0] = file[place].ref
    return path


def of_cells(values):
    found = np.empty((1, len(values)), dtype=object)
    found[0] = [*values]
    return found


def cells73(path, values):
    mat73(path, stimulus_ids=cells(NAMES))
    with h5py.File(path, "r+") as file:
        item = file.create_dataset("rdms", (len(values), 1), h5py.ref_dtype)
        item.attrs["MATLAB_class"] = np.bytes_("cell")
        for number, value in enumerate(values):
            file[f"#refs#/r{number}"] = np.asarray(value).T
            item[number, 0] = file[f"#refs#/r{number}"].ref
    return path


def h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value
    return path


def saved_by_rsatoolbox(path, values, **descriptors):
    found = RDMs(
        values, dissimilarity_measure="euclidean",
        pattern_descriptors=descriptors or {"stimulus": NAMES},
        rdm_descriptors={"subject": list(SUBJECTS), "session": ["x", "x"]},
    )  # fmt: skip
    found.save(str(path), file_type="hdf5")
    return path


def tree(values, task="arrange"):
    stimuli = [{"id": str(n), "name": name, "type": "png"} for n, name in enumerate(NAMES)]
    return {"task": {"name": task, "task_type": "multiarrange"}, "stimuli": stimuli, "rdm": values}


def dumped(path, content):
    path.write_text(json.dumps(content))
    return path


def carried(folder, rows, pairs):
    """The RDMs in every kind of file that can say whose rows they are."""
    vectors = [pairs[:1], pairs[1:]]
    names = np.array(NAMES)
    yield h5(folder / "ids.h5", rdm=rows, stimulus_ids=NAMES)
    yield h5(folder / "bytes.hdf5", rdm=pairs, stimulus_ids=names.astype("S"))
    yield h5(folder / "group.h5", **{"it/rdm": rows, "it/stimulus_ids": NAMES})
    yield h5(folder / "above.h5", **{"it/rdm": rows, "stimulus_ids": NAMES})
    yield saved_by_rsatoolbox(folder / "rsa.h5", pairs)
    yield saved_by_rsatoolbox(folder / "rsa2.hdf5", pairs, conds=NAMES, category=[*"xxyyy"])
    yield npz(folder / "named.npz", rdm=rows, stimulus_ids=names, subject_ids=np.array(SUBJECTS))
    ids = [cells(NAMES)] * 2
    yield mat(folder / "struct.mat", RDMs=structs(rows, name=SUBJECTS, stimulus_ids=ids))
    yield mat(folder / "pairs.mat", RDMs=structs(vectors, name=SUBJECTS), stimulus_ids=cells(NAMES))
    yield mat(folder / "one.mat", data={"RDMs": rows, "stimulus_ids": cells(NAMES)}, note="text")
    yield mat(folder / "cell.mat", rdms=of_cells(rows), stimulus_ids=cells(NAMES))
    yield mat(folder / "vectors.mat", rdms=of_cells(vectors), stimulus_ids=cells(NAMES))
    path = structs73(folder / "struct73.mat", "RDMs", rows, name=SUBJECTS)
    with h5py.File(path, "r+") as file:
        characters(file, "stimulus_ids", NAMES)
    yield path
    yield cells73(folder / "cell73.mat", rows)
    yield cells73(folder / "vectors73.mat", vectors)
    meadows = {f"rdmutv_able_{who}": one for who, one in zip(("fly", "koi"), vectors)}
    yield mat(folder / "Meadows_e_v_v1_t_1D.mat", **meadows, stimuli=names)
    own = {f"stimuli_able_{who}": names for who in ("fly", "koi")}
    yield mat(folder / "Meadows_e_v_v1_u_1D.mat", **meadows, **own)
    both = {who: tree(one.tolist()) for who, one in zip(("able-fly", "able-koi"), pairs)}
    yield dumped(folder / "Meadows_e_v_v1_t_tree.json", both)
    yield dumped(folder / "all_tree.json", {who: {"tasks": [one]} for who, one in both.items()})


def test_every_kind_of_file_gives_the_same_dissimilarities(tmp_path, true, rows, pairs):
    n = named = 0
    for path in carried(tmp_path, rows, pairs):
        found = read(path)
        assert_array_equal(found.rdms, true, err_msg=path.name)
        assert found.by_position is None
        assert len(set(found.subject_ids)) == 2
        n += 1
        named += found.subject_ids != ("subject_000", "subject_001")
    assert n == 19
    assert named == 10


def test_files_without_ids_are_in_the_order_of_the_images(tmp_path, true):
    condensed = np.stack([squareform(one) for one in true])
    paths = [h5(tmp_path / "r.h5", rdm=condensed), mat(tmp_path / "r.mat", RDMs=structs(true))]
    for name, array in (("square", true), ("pairs", condensed), ("last", np.moveaxis(true, 0, 2))):
        paths.append(tmp_path / f"{name}.npy")
        np.save(paths[-1], array)
    for path in paths:
        found = read(path)
        assert_array_equal(found.rdms, true, err_msg=path.name)
        assert "row 1 is 'a.png'" in found.by_position
    np.save(tmp_path / "one.npy", condensed[1])
    assert_array_equal(read(tmp_path / "one.npy").rdms, true[1:])


def test_rsatoolbox_reads_what_was_saved_alike(tmp_path, rows, pairs):
    path = saved_by_rsatoolbox(tmp_path / "r.h5", pairs)
    theirs = load_rdm(str(path))
    found = read(path)
    assert found.subject_ids == SUBJECTS == tuple(theirs.rdm_descriptors["subject"])
    order = [list(theirs.pattern_descriptors["stimulus"]).index(one[0]) for one in IDS]
    assert_array_equal(found.rdms, theirs.get_matrices()[:, order][:, :, order])
    assert rdm_file.read("r", path, None, None).about.startswith("RDMs of rsatoolbox 0.")


def test_rsatoolbox_reads_downloads_of_meadows_alike(tmp_path, pairs):
    names = np.array([f"{name}.png" for name in NAMES])
    vectors = {"rdmutv_able_fly": pairs[:1], "rdmutv_clean_koi": pairs[1:]}
    own = {"stimuli_able_fly": names, "stimuli_clean_koi": names}
    paths = [
        mat(tmp_path / "Meadows_mine_v_v1_arrange_1D.mat", **vectors, **own),
        mat(tmp_path / "Meadows_mine_v_v1_able-fly_3_1D.mat", rdmutv=pairs[:1], stimuli=names),
        dumped(tmp_path / "Meadows_mine_v_v1_able-fly_tree.json", {"tasks": [tree(pairs[0].tolist())]}),
    ]  # fmt: skip
    for path in paths:
        theirs = rsatoolbox.io.meadows.load_rdms(str(path))
        assert list(theirs.pattern_descriptors["conds"]) == [one[0] for one in IDS]
        found = read(path)
        assert_array_equal(found.rdms, theirs.get_matrices(), err_msg=path.name)
    assert read(paths[0]).subject_ids == ("able-fly", "clean-koi")
    assert_array_equal(read(paths[0], variable="rdmutv_clean_koi").rdms, read(paths[0]).rdms[1:])


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("header", [None, "names", "counted"])
@pytest.mark.parametrize("index", [None, "names", "counted"])
def test_a_table_holds_pairs_a_row_for_each_subject(tmp_path, true, suffix, header, index):
    lines = [list(map(str, squareform(one))) for one in true]
    before = {None: [], "names": ["s1", "s2"], "counted": ["0", "1"]}[index]
    if before:
        lines = [[name, *line] for name, line in zip(before, lines)]
    first = {None: None, "names": [f"p{n}" for n in range(10)], "counted": list(range(10))}[header]
    if first is not None:
        lines.insert(0, ([""] if before else []) + first)
    path = csv_rows(tmp_path / f"r{suffix}", lines)
    if suffix == ".tsv":
        path.write_text(path.read_text().replace(",", "\t"))
    if index == "counted" and header is None:
        with pytest.raises(BadInput, match=r"shape \(2, 11\), but stimuli 'shown' has 5"):
            read(path)
        return
    found = read(path)
    assert_array_equal(found.rdms, true)
    named = {"names": SUBJECTS, "counted": ("0", "1")}
    assert found.subject_ids == named.get(index, ("subject_000", "subject_001"))


def test_a_table_of_tabs_has_ids_and_decimal_commas(tmp_path, true, rows):
    lines = [["", *NAMES], *([name, *map(str, row)] for name, row in zip(NAMES, rows[0].tolist()))]
    for name, point in (("points", "."), ("commas", ",")):
        path = tmp_path / f"{name}.tsv"
        path.write_text("\n".join("\t".join(one).replace(".", point) for one in lines))
        assert_array_equal(read(path).rdms, true[:1])


def test_one_column_of_pairs_may_have_a_header(tmp_path, true):
    column = list(map(str, squareform(true[0])))
    for lines in (column, ["dissimilarity", *column]):
        path = tmp_path / "r.csv"
        path.write_text("\n".join(lines))
        assert_array_equal(read(path).rdms, true[:1])
    path.write_text("\n".join(["1.5", *column]))
    with pytest.raises(BadInput, match=r"shape \(11, 1\)"):
        read(path)


def two_tasks(path, pairs):
    tasks = [tree(pairs[0].tolist(), "first"), {"task": {"name": "info"}, "stimuli": []}]
    return dumped(path, {"tasks": [*tasks, tree(pairs[1].tolist(), "second")]})


def test_one_task_or_field_is_chosen_by_name(tmp_path, true, pairs, rows):
    path = two_tasks(tmp_path / "r.json", pairs)
    assert_array_equal(read(path, variable="second").rdms, true[1:])
    path = mat(tmp_path / "r.mat", out={"it": rows, "v4": 2 * rows, "stimulus_ids": cells(NAMES)})
    assert_array_equal(read(path, variable="out.v4").rdms, 2 * true)
    path = h5(tmp_path / "r.h5", **{"it/rdm": rows, "v4/rdm": 2 * rows, "stimulus_ids": NAMES})
    assert_array_equal(read(path, variable="/v4/rdm").rdms, 2 * true)


def wrong(folder, rows, pairs):
    """Files that are refused, with what is said of them."""
    ragged = [rows[0], rows[1][:4, :4]]
    yield h5(folder / "two.h5", a=rows, b=rows), {}, r"holds 2 datasets \(a, b\); name one"
    yield h5(folder / "far.h5", a=rows), {"variable": "b"}, "no dataset 'b'; known: a"
    yield h5(folder / "text.h5", a=NAMES), {}, r"no dataset of numbers \(it holds a\)"
    path = saved_by_rsatoolbox(folder / "unsure.h5", pairs, first=NAMES, second=NAMES[::-1])
    yield path, {}, "pattern descriptors first, second may all name the stimuli"
    yield mat(folder / "r.mat", RDMs=structs(ragged)), {}, r"shape \(5, 5\) first and, as number 2, .*\(4, 4\)"  # fmt: skip
    yield mat(folder / "c.mat", r=of_cells(ragged)), {}, "give one matrix, or its pairs"
    yield mat(folder / "m.mat", RDMs=structs([*rows, *rows]).reshape(2, 2)), {}, r"struct array of 2 x 2 RDMs.*RDMs\(1, :\)"  # fmt: skip
    yield (
        mat(folder / "t.mat", RDMs=structs(rows), rdm=rows),
        {},
        r"holds 2 variables \(RDMs, rdm\)",
    )
    yield (
        mat(folder / "f.mat", out={"it": rows}),
        {"variable": "out"},
        r"no field 'RDM' \(fields: it\)",
    )
    yield (
        mat(folder / "g.mat", out={"it": rows}),
        {"variable": "uot"},
        "no variable 'uot'; nearest: out",
    )
    yield (
        structs73(folder / "r73.mat", "RDMs", ragged),
        {},
        r"as number 2, float64 of shape \(4, 4\)",
    )
    vectors = {"rdmutv_a_b": pairs[:1], "rdmutv_c_d": pairs[1:], "stimuli_a_b": np.array(NAMES)}
    yield mat(folder / "p.mat", **vectors), {}, "has 'rdmutv_c_d' but no 'stimuli_c_d'"
    yield two_tasks(folder / "k.json", pairs), {}, r"RDMs of 2 tasks \(first, second\); name one"
    yield (
        two_tasks(folder / "l.json", pairs),
        {"variable": "thrid"},
        "no task 'thrid'; nearest: third|first",
    )
    yield dumped(folder / "n.json", [1, 2]), {}, "has no `rdm` with `stimuli`"
    yield dumped(folder / "o.json", tree(["1"] * 10)), {}, "an `rdm` is no list of numbers"
    yield dumped(folder / "b.json", tree([True] * 10)), {}, "an `rdm` is no list of numbers"
    (folder / "deep.json").write_text("[" * 10**5)
    yield folder / "deep.json", {}, "cannot be read as .json"
    (folder / "cut.json").write_text('{"rdm": [1, ')
    yield folder / "cut.json", {}, "cannot be read as .json"
    np.save(folder / "r.npy", rows)
    yield folder / "r.npy", {"variable": "rdm"}, "is one array and has no variables"


def test_what_is_wrong_is_said_in_one_line(tmp_path, rows, pairs):
    n = 0
    for path, choices, said in wrong(tmp_path, rows, pairs):
        with pytest.raises(BadInput, match=said) as refusal:
            read(path, **choices)
        assert "\n" not in str(refusal.value)
        assert path.name in str(refusal.value)
        n += 1
    assert n == 20


def test_a_link_to_another_file_is_not_followed(tmp_path, rows):
    other = h5(tmp_path / "other.h5", rdm=rows)
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["rdm"] = h5py.ExternalLink(str(other), "rdm")
        file["again"] = h5py.SoftLink("/")
    with pytest.raises(BadInput, match="it holds nothing"):
        read(tmp_path / "r.h5")


def test_a_dataset_that_was_never_written_is_no_zeros(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.create_dataset("rdm", (10**5, 10**5), "f8", chunks=True)
    with pytest.raises(BadInput, match="claims 80000000000 bytes, and 0 are stored"):
        read(tmp_path / "r.h5")


@pytest.mark.parametrize("compressed", [True, False])
def test_every_flipped_byte_of_a_struct_array_is_a_value_or_one_line(tmp_path, rows, compressed):
    path = tmp_path / "r.mat"
    savemat(path, {"RDMs": structs(rows, name=SUBJECTS)}, do_compression=compressed)
    sound = path.read_bytes()
    flips = [bytes([*sound[:at], sound[at] ^ 0x41, *sound[at + 1 :]]) for at in range(len(sound))]
    refused = []
    for content in [*flips, *(sound[:at] for at in range(0, len(sound) - 1, 7))]:
        path.write_bytes(content)
        try:
            found = rdm_file.read(f"recording 'r': {path}", path, None, 5)
        except BadInput as refusal:
            told = str(refusal)
            refused.append("r.mat" in told and "\n" not in told)
        else:
            # A compressed variable has a checksum.
            assert not compressed or (np.asarray(found.array) == rows).all()
    assert all(refused)
    assert len(refused) > len(sound) / 7


def test_pairs_say_of_how_many_stimuli_they_are():
    counts = {n * (n - 1) // 2: n for n in range(3, 500)}
    assert [n_of_pairs(number) for number in range(2, 5000)] == [counts.get(n) for n in range(2, 5000)]  # fmt: skip


def test_sizes_say_how_many_stimuli_there_are_where_nobody_does(tmp_path, rows, pairs):
    def guessed(path):
        return rdm_file.n_stimuli(rdm_file.read("r", path, None, None))

    for path in carried(tmp_path, rows, pairs):
        assert guessed(path) == 5, path.name
    square = rows[0].tolist()
    header, index = [NAMES, *square], [[name, *row] for name, row in zip(NAMES, square)]
    counted = [["", *range(5)], *([number, *row] for number, row in enumerate(square))]
    for lines in (square, square + rows[1].tolist(), header, index, [["id", *NAMES], *index], counted,
                  pairs.tolist(), pairs[:1].tolist(), pairs[:1].T.tolist()):  # fmt: skip
        assert guessed(csv_rows(tmp_path / "r.csv", lines)) == 5, lines[:2]
    np.save(tmp_path / "r.npy", pairs)
    assert guessed(tmp_path / "r.npy") == 5
    np.save(tmp_path / "r.npy", np.zeros((4, 5)))
    assert guessed(tmp_path / "r.npy") is None
