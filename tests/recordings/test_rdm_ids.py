"""Rows of an RDM file meet their images by id; without ids in a known order, or not at all."""

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from numpy.testing import assert_array_equal
from rsatoolbox.rdm import RDMs
from scipy.io.matlab import MatlabOpaque
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from torch import nn

from tests.planted_nets import noise, opened, pixels
from tests.recordings.rdm_files import cells, csv_rows, mat, mat73, npz, rdms, shown_set
from tests.recordings.sweepmates import Mates
from tests.rounding import float32_products, float32_rho
from zoo_eval.errors import BadInput
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.inputs import Inputs
from zoo_eval.recordings.rdm import RdmSection
from zoo_eval.representations.representations import Representations
from zoo_eval.section import WrongSection
from zoo_eval.section import read as section_read
from zoo_eval.stimuli.order import disputed, natural
from zoo_eval.stimuli.stimulus_set import StimulusSet

# As a folder lists them: 10 before 2.
TEXT = tuple(sorted(f"{number}.png" for number in range(1, 13)))
SHUFFLED = np.random.default_rng(3).permutation(12)


def read(path, shown=TEXT, **choices):
    return RdmSection(stimuli="shown", path=path, **choices).read("r", Mates(shown_set(shown)))


@pytest.fixture(scope="module")
def true():
    """Two subjects' RDMs in the order of the images as a folder lists them."""
    return rdms(2, 12)


def carried(folder, true):
    """The same RDMs in shuffled order, with ids in every way that a file can carry them."""
    rows = true[:, SHUFFLED][:, :, SHUFFLED]
    ids = [TEXT[number] for number in SHUFFLED]
    bare = [one.removesuffix(".png") for one in ids]
    numbers = np.array(bare, dtype=np.float64)
    yield npz(folder / "names.npz", rdm=rows, stimulus_ids=np.array(ids)), {}
    yield npz(folder / "bare.npz", rdm=rows, stimulus_ids=np.array(bare)), {}
    yield npz(folder / "numbers.npz", rdm=rows, stimulus_ids=numbers), {}
    yield mat(folder / "cells.mat", rdm=rows, stimulus_ids=cells(ids)), {}
    yield mat(folder / "characters.mat", rdm=rows, stimulus_ids=np.array(bare)), {}
    yield mat73(folder / "cells73.mat", rdm=rows, stimulus_ids=cells(ids)), {}
    yield mat73(folder / "characters73.mat", rdm=rows, stimulus_ids=np.array(bare)), {}
    yield npz(folder / "listed.npz", rdm=rows), {"stimulus_ids": ids}
    listed = folder / "ids.txt"
    listed.write_text("\ufeff" + "\n".join(bare) + "\n")
    yield npz(folder / "file.npz", rdm=rows), {"stimulus_ids": str(listed)}
    each = np.stack([rows[0], true[1]])
    both = np.array([ids, TEXT])
    yield npz(folder / "each.npz", rdm=each, stimulus_ids=both), {}
    condensed = np.stack([squareform(one) for one in rows])
    yield npz(folder / "condensed.npz", rdm=condensed, stimulus_ids=np.array(ids)), {}


def test_every_way_to_carry_ids_gives_the_same_recording(tmp_path, true):
    found = {path.name: read(path, **choices) for path, choices in carried(tmp_path, true)}
    assert len(found) == 11
    for name, one in found.items():
        assert_array_equal(one.rdms, true, err_msg=name)
        assert one.by_position is None
    assert len({one.digest for one in found.values()}) == 1


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("index", [True, False])
def test_a_csv_has_ids_in_its_header_or_index(tmp_path, true, header, index):
    ids = [TEXT[number].removesuffix(".png") for number in SHUFFLED]
    rows = [list(map(str, row)) for row in true[0][SHUFFLED][:, SHUFFLED]]
    if index:
        rows = [[name, *row] for name, row in zip(ids, rows, strict=True)]
    if header:
        rows = [[""] * index + ids, *rows]
    path = csv_rows(tmp_path / "r.csv", rows)
    if header or index:
        assert_array_equal(read(path).rdms, true[:1])
    else:
        with pytest.raises(BadInput, match="its rows have no ids"):
            read(path)


def test_renaming_files_changes_nothing_where_ids_are_carried(tmp_path, true):
    padded = tuple(f"{number:02d}.png" for number in range(1, 13))
    place = [TEXT.index(f"{int(name[:2])}.png") for name in padded]
    rows = true[:, place][:, :, place]
    ids = np.array(padded)
    renamed = read(npz(tmp_path / "r.npz", rdm=rows, stimulus_ids=ids), shown=padded)
    other = np.array([TEXT[one] for one in place])
    assert_array_equal(read(npz(tmp_path / "s.npz", rdm=rows, stimulus_ids=other)).rdms, true)
    assert_array_equal(renamed.rdms, rows)


def test_rows_without_ids_are_refused_where_names_have_two_orders(tmp_path, true):
    path = npz(tmp_path / "r.npz", rdm=true)
    with pytest.raises(BadInput, match=r"have two orders: '10.png' before '2.png' as text.*order"):
        read(path)
    as_listed = read(path, order="images")
    assert_array_equal(as_listed.rdms, true)
    assert "row 1 is '1.png', row 2 is '10.png', row 12 is '9.png'" in as_listed.by_position
    by_number = read(path, order="natural")
    assert "row 1 is '1.png', row 2 is '2.png', row 12 is '12.png'" in by_number.by_position
    place = [sorted(TEXT, key=natural).index(one) for one in TEXT]
    assert_array_equal(by_number.rdms, true[:, place][:, :, place])


def test_where_names_have_one_order_nothing_has_to_be_said(tmp_path, true):
    padded = tuple(f"{number:02d}.png" for number in range(1, 13))
    found = read(npz(tmp_path / "r.npz", rdm=true), shown=padded)
    assert_array_equal(found.rdms, true)
    assert "row 12 is '12.png'" in found.by_position
    # The digest is of the content: an `order` that changes nothing moves no id.
    same = read(npz(tmp_path / "r.npz", rdm=true), shown=padded, order="natural")
    assert same.digest == found.digest


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([*TEXT[:-1], "9x.png"], r"'9x.png' is not in stimuli 'shown' \(1 such; nearest: 9.png"),
        ([*TEXT[:-1], TEXT[0]], "id '1.png' stands twice"),
        ([*TEXT[:-1], ""], "id number 12 is blank"),
        ([*TEXT[:-1], "1"], "'1.png' and '1' both mean '1.png'"),
        (TEXT[:-1], r"shape \(2, 12, 12\), but it has 11 ids"),
    ],
)
def test_ids_that_the_images_lack_are_named_with_the_nearest(tmp_path, true, ids, said):
    path = npz(tmp_path / "r.npz", rdm=true, stimulus_ids=np.array(ids))
    with pytest.raises(BadInput, match=said) as refusal:
        read(path)
    assert "\n" not in str(refusal.value)


def test_a_stimulus_without_a_row_is_named(tmp_path):
    path = npz(tmp_path / "r.npz", rdm=rdms(1, 11), stimulus_ids=np.array(TEXT[:-1]))
    with pytest.raises(BadInput, match=r"no row for '9.png' of stimuli 'shown'"):
        read(path)


def test_ids_are_said_once(tmp_path, true):
    path = npz(tmp_path / "r.npz", rdm=true, stimulus_ids=np.array(TEXT))
    for said in ({"order": "natural"}, {"stimulus_ids": list(TEXT)}):
        with pytest.raises(BadInput, match="has ids of its own; remove"):
            read(path, **said)
    with pytest.raises(BadInput, match="says the order already; remove `order`"):
        read(npz(tmp_path / "s.npz", rdm=true), order="images", stimulus_ids=list(TEXT))


def test_suffixes_may_be_left_out_where_that_leaves_no_doubt(tmp_path, true):
    two = (*TEXT[:-1], "1.jpg")
    path = npz(tmp_path / "r.npz", rdm=true, stimulus_ids=np.array([*TEXT[1:-1], "1", "1.jpg"]))
    with pytest.raises(BadInput, match=r"'1' may be '1.png' or '1.jpg'; write the suffix"):
        read(path, shown=two)


def test_a_condensed_vector_of_another_set_says_of_how_many(tmp_path):
    path = npz(tmp_path / "r.npz", rdm=squareform(rdms(1, 92)[0]))
    with pytest.raises(BadInput, match=r"shape \(4186,\) \(the pairs of 92 stimuli\), but stimuli"):
        read(path)
    ids = tuple(f"{number:02d}" for number in range(92))
    assert_array_equal(read(path, shown=ids).rdms, rdms(1, 92))


def test_damaged_or_hostile_ids_are_one_line(tmp_path, true):
    objects = np.empty(12, dtype=object)
    objects[:] = list(TEXT)
    np.savez(tmp_path / "pickled.npz", rdm=true, stimulus_ids=objects)
    nested = cells([["a"]] * 12)
    for path in (
        tmp_path / "pickled.npz",
        mat(tmp_path / "nested.mat", rdm=true, stimulus_ids=nested),
    ):
        with pytest.raises(
            BadInput, match=r"needs code to load|cannot be read as|stands twice"
        ) as refusal:
            read(path)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        (["1", "10", "2"], ("10", "2")),
        (["01", "02", "10"], None),
        (["b", "a"], None),
        # Somebody gave them this order.
        (["2", "10", "1"], None),
        (["a/9", "a10"], None),
        (["img1", "img12", "img2"], ("img12", "img2")),
        (["x1.5", "x1.25"], None),
    ],
)
def test_two_orders_are_found_where_there_are_two(ids, found):
    assert disputed(ids) == found


def test_a_csv_may_have_rows_and_columns_in_different_orders(tmp_path, true):
    header = np.random.default_rng(4).permutation(12)
    rows = [["id", *(TEXT[one] for one in header)]]
    for subject, order in zip(true, (SHUFFLED, SHUFFLED[::-1]), strict=True):
        rows += [[TEXT[one], *subject[one][header].tolist()] for one in order]
    assert_array_equal(read(csv_rows(tmp_path / "r.csv", rows)).rdms, true)


def test_a_csv_written_with_a_byte_order_mark_and_spaces_is_read(tmp_path, true):
    path = csv_rows(tmp_path / "r.csv", [[f" {one} " for one in TEXT], *true[0].tolist()])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert_array_equal(read(path).rdms, true[:1])


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["1.png", "", *TEXT[2:]], "id number 2 is blank; fill it in"),
        ([*TEXT[:-1], "99.png"], r"'99.png' is not in stimuli 'shown' \(1 such; nearest: 9.png"),
        ([*TEXT[:-1], "1.png"], "id '1.png' stands twice"),
        (["1.0", *TEXT[1:-1], "8.5"], r"'8.5' is not in stimuli"),
    ],
)
def test_a_header_that_is_not_the_stimuli_is_one_line(tmp_path, true, header, said):
    path = csv_rows(tmp_path / "r.csv", [header, *true[0].tolist()])
    with pytest.raises(BadInput, match=said) as refusal:
        read(path)
    assert "\n" not in str(refusal.value)


def test_numbers_of_one_stimulus_more_are_no_ids(tmp_path):
    path = csv_rows(tmp_path / "r.csv", rdms(1, 13)[0].tolist())
    with pytest.raises(BadInput, match=r"shape \(13, 13\), but stimuli 'shown' has 12"):
        read(path)


def test_ids_of_some_subjects_only_are_refused(tmp_path):
    path = npz(tmp_path / "r.npz", rdm=rdms(3, 12), stimulus_ids=np.array([TEXT, TEXT]))
    with pytest.raises(BadInput, match="ids for 2 subjects, of whom there are 3"):
        read(path)


def test_text_that_only_matlab_reads_is_refused_in_words(tmp_path, true, monkeypatch):
    path = mat73(tmp_path / "new.mat", rdm=true, stimulus_ids=np.arange(12))
    with h5py.File(path, "r+") as file:
        file["stimulus_ids"].attrs["MATLAB_class"] = np.bytes_("string")
    with pytest.raises(BadInput, match=r"is of type .*, not text; of MATLAB take cellstr"):
        read(path)
    opaque = np.empty(1, dtype=[(name, object) for name in ("s0", "s1", "s2", "arr")])
    opaque[0] = (b"stimulus_ids", b"MCOS", b"string", None)
    loaded = {"__header__": b"", "rdm": true, "None": MatlabOpaque(opaque)}
    monkeypatch.setattr(scipy.io, "loadmat", lambda path, **_: loaded)
    with pytest.raises(BadInput, match=r"is of type .*, not text; of MATLAB take cellstr"):
        read(mat(tmp_path / "old.mat", rdm=true))


@pytest.mark.parametrize("write", [mat, mat73])
def test_an_empty_cell_is_a_blank_id(tmp_path, true, write):
    path = write(tmp_path / "r.mat", rdm=true, stimulus_ids=cells([*TEXT[:-1], ""]))
    with pytest.raises(BadInput, match="id number 12 is blank"):
        read(path)


def test_condensed_rdms_are_those_of_rsatoolbox(tmp_path, true):
    held = RDMs(np.stack([squareform(one) for one in true])).dissimilarities
    padded = [f"{number:02d}" for number in range(12)]
    for array in (held, held.T):
        found = read(npz(tmp_path / "r.npz", rdm=array), shown=padded)
        assert_array_equal(found.rdms, RDMs(held).get_matrices())
    assert_array_equal(read(npz(tmp_path / "r.npz", rdm=held[0]), shown=padded).rdms, true[:1])


@pytest.mark.parametrize(
    "array", [np.zeros((0, 12)), np.zeros((0, 66)), np.zeros(0), np.array(1.0)]
)
def test_nothing_is_no_rdm(tmp_path, array):
    for ids in ({}, {"stimulus_ids": np.array(TEXT)}):
        with pytest.raises(BadInput, match="expected"):
            read(npz(tmp_path / "r.npz", rdm=array, **ids))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "expected ids, as text or whole numbers"),
        ([1.5], "expected ids"),
        (3, "expected a list of ids, or the path of a text file with one a line"),
    ],
)
def test_a_list_that_is_none_is_named_by_its_key(given, said):
    content = {"kind": "rdm", "stimuli": "s", "path": "r.npz", "stimulus_ids": given}
    with pytest.raises(WrongSection) as caught:
        section_read(RdmSection, content, None)
    assert caught.value.place == ("stimulus_ids",)
    assert said in caught.value.message


NET_PX = 8


@pytest.fixture(scope="module")
def planted():
    """A network, twelve images, and the network's own RDM of them with noise, in this order."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * NET_PX**2, 30))
    shown = noise(12, px=NET_PX)
    with torch.no_grad():
        features = net(pixels(shown)).double().numpy()
    level = np.random.default_rng(0).normal(scale=features.std(), size=features.shape)
    return net, shown.images, features, squareform(pdist(features + level, "correlation"))


def called(names, images):
    """The images under these names, as a folder lists them."""
    listed = sorted(range(len(names)), key=names.__getitem__)
    ids = tuple(names[one] for one in listed)
    return StimulusSet("shown", ids, tuple(images[one] for one in listed), groups=ids)


def score(net, shown, path, **choices):
    """The network's RSA score over all stimuli."""
    recording = RdmSection(stimuli="shown", path=path, **choices).read("r", Mates(shown))
    model, given = opened(net, input_px=NET_PX), Inputs({"shown": shown}, {"r": recording})
    candidate = Candidate(model.card, model.blueprint)
    evaluation = NeuralFit(recording="r", readouts=["rsa"], layers="logits", n_folds=2)
    trials = evaluation.trials(candidate, given, 0)
    (result,) = evaluation.run(
        trials, Workbench(given, candidate, model, Representations(model, 2**28))
    )
    (whole,) = [row for row in result.rows["neural_scores"] if row["fold"] is None]
    return whole["score"]


def test_a_planted_rdm_scores_the_same_however_its_ids_are_carried_and_files_called(
    tmp_path, planted
):
    net, images, features, rdm = planted
    expected = spearmanr(pdist(features, "correlation"), squareform(rdm)).statistic
    rounding = float32_rho(66, float32_products(3 * NET_PX**2))
    shuffled = rdm[SHUFFLED][:, SHUFFLED]
    for pattern in ("{}.png", "{:02d}.png", "photo {} of 12.jpg"):
        names = [pattern.format(number) for number in range(1, 13)]
        shown = called(names, images)
        ids = [names[one] for one in SHUFFLED]
        header = csv_rows(tmp_path / "r.csv", [ids, *shuffled.tolist()])
        within = npz(tmp_path / "within.npz", rdm=shuffled, stimulus_ids=np.array(ids))
        bare = npz(tmp_path / "bare.npz", rdm=shuffled)
        by_number = npz(tmp_path / "number.npz", rdm=rdm)
        found = [
            score(net, shown, header),
            score(net, shown, within),
            score(net, shown, bare, stimulus_ids=ids),
            score(net, shown, by_number, order="natural"),
        ]
        assert found == pytest.approx([expected] * 4, rel=0, abs=rounding), pattern
    # Without ids, in the order that a folder gave these names: another number, so it is not guessed.
    shown = called([f"{number}.png" for number in range(1, 13)], images)
    misplaced = score(net, shown, by_number, order="images")
    assert abs(misplaced - expected) > 2 * rounding
    with pytest.raises(BadInput, match="its rows have no ids"):
        score(net, shown, by_number)
