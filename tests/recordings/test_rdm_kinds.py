"""RDMs as people have them: every kind of file gives the same matrices, in the order of its own ids."""

import json

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform

from tests.recordings import rdm_files
from tests.recordings.sweepmates import Mates
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.rdm import RdmSection

N, SUBJECTS = 5, 3
SHOWN_IDS = tuple(f"im{number}.png" for number in range(N))
# The files' order: another than the set's.
ORDER = [3, 0, 4, 1, 2]
NAMED = [f"im{number}" for number in ORDER]
RDMS = rdm_files.rdms(SUBJECTS, N)
# Rows as the files have them.
STORED = RDMS[:, ORDER][:, :, ORDER]
CONDENSED = np.stack([squareform(one) for one in STORED])


def read(path, **options):
    section = RdmSection(stimuli="shown", path=SweepPath.of(path, None), **options)
    return section.read("it", Mates(rdm_files.shown_set(SHOWN_IDS)))


def hdf5(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            text = np.asarray(values).dtype.kind == "U"
            file[name] = np.array(values, dtype=h5py.string_dtype()) if text else values
    return path


def test_a_npy_is_in_the_order_of_the_images(tmp_path):
    np.save(tmp_path / "r.npy", RDMS)
    found = read(tmp_path / "r.npy")
    assert_allclose(found.rdms, RDMS, rtol=1e-12)
    assert found.by_position is not None
    np.save(tmp_path / "pairs.npy", np.stack([squareform(one) for one in RDMS]))
    assert read(tmp_path / "pairs.npy").digest == found.digest
    with pytest.raises(BadInput, match="is one array and has no variables; remove `variable`"):
        read(tmp_path / "r.npy", variable="rdm")


@pytest.mark.parametrize("values", [STORED, CONDENSED], ids=["square", "condensed"])
@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_a_dataset_of_hdf5_is_named_or_the_only_one(tmp_path, values, suffix):
    path = hdf5(tmp_path / f"r{suffix}", **{"results/rdm": values, "results/stimulus_ids": NAMED})
    assert_allclose(read(path).rdms, RDMS, rtol=1e-12)
    both = hdf5(tmp_path / f"two{suffix}", a=values, b=values, stimulus_ids=NAMED)
    with pytest.raises(BadInput, match=r"holds 2 datasets \(a, b\); name one: `variable`"):
        read(both)
    assert_allclose(read(both, variable="b").rdms, RDMS, rtol=1e-12)
    with pytest.raises(BadInput, match="has no dataset 'c'"):
        read(both, variable="c")


def test_what_rsatoolbox_saves_is_read_with_its_descriptors(tmp_path):
    saved = RDMs(
        CONDENSED,
        dissimilarity_measure="correlation",
        rdm_descriptors={"subject": ["ann", "bob", "cy"]},
        pattern_descriptors={"conds": NAMED, "category": ["a"] * N},
    )
    saved.save(str(tmp_path / "r.h5"), file_type="hdf5")
    found = read(tmp_path / "r.h5")
    assert_allclose(found.rdms, RDMS, rtol=1e-12)
    assert found.subject_ids == ("ann", "bob", "cy")


def test_descriptors_that_may_both_name_the_stimuli_are_asked_about(tmp_path):
    saved = RDMs(CONDENSED, pattern_descriptors={"left": NAMED, "right": NAMED[::-1]})
    saved.save(str(tmp_path / "r.hdf5"), file_type="hdf5")
    with pytest.raises(BadInput, match="left, right may all name the stimuli; call that one 'stimulus_ids'"):  # fmt: skip
        read(tmp_path / "r.hdf5")


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_a_table_has_a_header_and_an_index(tmp_path, suffix, separator):
    lines = [
        ["", *NAMED],
        *([name, *map(repr, row.tolist())] for name, row in zip(NAMED, STORED[0])),
    ]
    path = tmp_path / f"r{suffix}"
    path.write_text("\n".join(separator.join(line) for line in lines))
    assert_allclose(read(path).rdms, RDMS[:1], rtol=1e-12)


def structures(values):
    """A struct array as savemat takes it: each subject's RDM and name."""
    found = np.empty((1, SUBJECTS), dtype=[("RDM", "O"), ("name", "O")])
    for number, (one, name) in enumerate(zip(values, ("ann", "bob", "cy"), strict=True)):
        found[0, number] = (one, name)
    return found


def structures_73(path, values):
    """The same of version 7.3: fields of references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("RDMs")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for field in ("RDM", "name"):
            item = group.create_dataset(field, (SUBJECTS, 1), h5py.ref_dtype)
            for number, (one, name) in enumerate(zip(values, ("ann", "bob", "cy"), strict=True)):
                if field == "RDM":
                    inner = file.create_dataset(f"#refs#/r{number}", data=np.atleast_2d(one).T)
                    inner.attrs["MATLAB_class"] = np.bytes_("double")
                else:
                    inner = rdm_files.characters(file, f"#refs#/n{number}", [name])
                item[number, 0] = inner.ref
        ids = file.create_dataset("stimulus_ids", (1, N), h5py.ref_dtype)
        ids.attrs["MATLAB_class"] = np.bytes_("cell")
        for number, name in enumerate(NAMED):
            ids[0, number] = rdm_files.characters(file, f"#refs#/s{number}", [name]).ref
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize("values", [STORED, CONDENSED], ids=["square", "condensed"])
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_struct_array_is_one_rdm_each_with_its_name(tmp_path, values, version):
    if version == "5":
        ids = rdm_files.cells(NAMED)
        path = rdm_files.mat(tmp_path / "r.mat", RDMs=structures(values), stimulus_ids=ids)
    else:
        path = structures_73(tmp_path / "r.mat", values)
    found = read(path)
    assert_allclose(found.rdms, RDMS, rtol=1e-12)
    assert found.subject_ids == ("ann", "bob", "cy")
    assert read(path, variable="RDMs.RDM").digest == found.digest
    with pytest.raises(BadInput, match=r"'RDMs' has no field 'D' \(fields: RDM, name\); write"):
        read(path, variable="RDMs.D")


@pytest.mark.parametrize("values", [STORED, CONDENSED], ids=["square", "condensed"])
def test_a_cell_array_is_one_matrix_each(tmp_path, values):
    cells = np.empty((1, SUBJECTS), dtype=object)
    for number, one in enumerate(values):
        cells[0, number] = one
    ids = rdm_files.cells(NAMED)
    path = rdm_files.mat(tmp_path / "r.mat", rdms=cells, stimulus_ids=ids)
    assert_allclose(read(path).rdms, RDMS, rtol=1e-12)
    cells[0, 1] = values[1][..., :-1]
    path = rdm_files.mat(tmp_path / "odd.mat", rdms=cells, stimulus_ids=ids)
    with pytest.raises(BadInput, match=r"holds numbers of shape .* as number 2, float64 of shape"):
        read(path)


def test_a_struct_array_of_regions_and_sessions_is_no_list_of_subjects(tmp_path):
    found = np.empty((2, 2), dtype=[("RDM", "O")])
    for place in np.ndindex(2, 2):
        found[place] = (STORED[0],)
    path = rdm_files.mat(tmp_path / "r.mat", RDMs=found)
    with pytest.raises(
        BadInput, match=r"a struct array of 2 x 2 RDMs, .* e\.g\. RDMs = RDMs\(1, :\)"
    ):
        read(path)


def test_meadows_of_one_and_of_several_participants(tmp_path):
    names = np.array(NAMED)
    one = rdm_files.mat(tmp_path / "one.mat", rdmutv=CONDENSED[:1], stimuli=names)
    assert_allclose(read(one).rdms, RDMS[:1], rtol=1e-12)
    who = ("able-fish", "calm-bee", "dry-elk")
    several = {f"rdmutv_{one.replace('-', '_')}": CONDENSED[[n]] for n, one in enumerate(who)}
    path = rdm_files.mat(tmp_path / "all.mat", **several, stimuli=names)
    found = read(path)
    assert_allclose(found.rdms, RDMS, rtol=1e-12)
    assert found.subject_ids == who
    assert_allclose(read(path, variable="rdmutv_calm_bee").rdms, RDMS[1:2], rtol=1e-12)


def tree(task="objects"):
    stimuli = [{"name": name} for name in NAMED]
    return {
        who: {"tasks": [{"task": {"name": task}, "stimuli": stimuli, "rdm": one.tolist()}]}
        for who, one in zip(("able-fish", "calm-bee", "dry-elk"), CONDENSED, strict=True)
    }


def test_meadows_tree_of_json(tmp_path):
    (tmp_path / "tree.json").write_text(json.dumps(tree()))
    found = read(tmp_path / "tree.json")
    assert_allclose(found.rdms, RDMS, rtol=1e-12)
    assert found.subject_ids == ("able-fish", "calm-bee", "dry-elk")
    both = tree()
    both["able-fish"]["tasks"] += tree("faces")["able-fish"]["tasks"]
    (tmp_path / "tree.json").write_text(json.dumps(both))
    with pytest.raises(BadInput, match=r"RDMs of 2 tasks \(objects, faces\); name one: `variable`"):
        read(tmp_path / "tree.json")
    (tmp_path / "tree.json").write_text('{"a": {"tasks": []}}')
    with pytest.raises(BadInput, match="has no `rdm` with `stimuli`"):
        read(tmp_path / "tree.json")
    (tmp_path / "tree.json").write_text("{")
    with pytest.raises(BadInput, match=r"tree\.json cannot be read as \.json"):
        read(tmp_path / "tree.json")


def test_other_suffixes_are_told_which_there_are(tmp_path):
    (tmp_path / "r.pkl").write_bytes(b"x")
    with pytest.raises(
        BadInput, match=r"r\.pkl is of no known kind; give a \.npz, \.npy, \.mat, \.h5"
    ):
        read(tmp_path / "r.pkl")
