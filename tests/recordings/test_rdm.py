"""RDM recordings: every file kind gives the same RDMs, and what is no RDM is named."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist, squareform

from tests.recordings.rdm_files import csv_rows, mat, mat73, npz, rdms, shown_set
from tests.recordings.sweepmates import Mates
from tests.rounding import float64_products
from zoo_eval.errors import BadInput
from zoo_eval.recordings.ceiling import CeilingChoices
from zoo_eval.recordings.rdm import RdmRecording, RdmSection

IDS = ("c", "a", "b", "d")


BINARY = pytest.mark.parametrize(
    ("write", "suffix"), [(npz, ".npz"), (mat, ".mat"), (mat73, ".mat")]
)


def read(path, variable=None, shown=None):
    section = RdmSection(stimuli="shown", path=path, variable=variable)
    return section.read("r", Mates(shown or shown_set(IDS)))


@BINARY
def test_one_rdm_or_one_per_subject_is_read(tmp_path, write, suffix):
    found = read(write(tmp_path / f"two{suffix}", rdm=rdms()))
    assert_allclose(found.rdms, rdms(), rtol=0)
    assert found.subject_ids == ("subject_000", "subject_001")
    found = read(write(tmp_path / f"one{suffix}", rdm=rdms()[0]))
    assert_allclose(found.rdms, rdms()[:1], rtol=0)
    assert found.rdms.dtype == np.float64
    assert (found.name, found.stimuli) == ("r", "shown")


@BINARY
def test_subjects_may_be_the_last_axis_where_that_is_clear(tmp_path, write, suffix):
    last = np.moveaxis(rdms(), 0, 2)
    assert_allclose(read(write(tmp_path / f"r{suffix}", rdm=last)).rdms, rdms(), rtol=0)


@BINARY
def test_one_of_several_variables_is_chosen_by_name(tmp_path, write, suffix):
    path = write(tmp_path / f"r{suffix}", it=rdms(), v4=2 * rdms())
    assert_allclose(read(path, "v4").rdms, 2 * rdms(), rtol=0)
    with pytest.raises(BadInput, match=r"holds 2 variables \(it, v4\); name one: `variable`"):
        read(path)
    with pytest.raises(BadInput, match="no variable 'v5'; nearest: v4"):
        read(path, "v5")


def test_a_csv_holds_one_rdm_or_several_below_each_other(tmp_path):
    path = csv_rows(tmp_path / "one.csv", rdms()[0].tolist())
    assert_allclose(read(path).rdms, rdms()[:1], rtol=0)
    path = csv_rows(tmp_path / "two.csv", rdms().reshape(8, 4).tolist())
    assert_allclose(read(path).rdms, rdms(), rtol=0)


def test_the_digest_is_that_of_the_content(tmp_path):
    first = read(npz(tmp_path / "r.npz", rdm=rdms()))
    same = read(mat(tmp_path / "r.mat", rdm=rdms()))
    other = read(npz(tmp_path / "s.npz", rdm=2 * rdms()))
    assert first.digest == same.digest != other.digest


def test_negative_dissimilarities_and_float32_rounding_are_allowed():
    values = rdms().astype(np.float32).astype(np.float64) - 0.6 * (1 - np.eye(4))
    values[0, 1, 2] *= 1 + 1e-6
    assert RdmRecording("r", "shown", values, ("x", "y")).rdms.min() < 0


def broken(row, column, value, *, both=True):
    values = rdms()
    values[1, row, column] = value
    if both:
        values[1, column, row] = value
    return values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (broken(1, 2, 9, both=False), r"r', y: not symmetric: .* at \(1, 2\), .* at \(2, 1\)"),
        (broken(0, 3, np.nan), "of stimuli number 0 and 3 is NaN or infinite; remove one"),
        (broken(2, 1, np.inf), "number 1 and 2 is NaN or infinite"),
        (broken(2, 2, np.nan), "number 2 and 2 is NaN or infinite; write 0 on the diagonal"),
        (1 - rdms(), r"stimulus number 0 differs from itself by 1, .* give 1 - r"),
        (rdms()[:, :3], "of 2 subjects, got shape"),
        (rdms()[0], "of 2 subjects, got shape"),
        (rdms(3), "of 2 subjects, got shape"),
        (rdms(n=2), "at least 3 are needed"),
    ],
)
def test_what_is_no_rdm_is_an_error(values, message):
    with pytest.raises(BadInput, match=message):
        RdmRecording("r", "shown", values, ("x", "y"))


def test_another_number_of_stimuli_is_an_error(tmp_path):
    path = npz(tmp_path / "r.npz", rdm=rdms())
    with pytest.raises(BadInput, match=r"shape \(2, 4, 4\), but stimuli 'shown' has 3: expected"):
        read(path, shown=shown_set(IDS[:3]))
    found = read(path)
    found.check(shown_set(IDS))
    with pytest.raises(BadInput, match="RDMs of 4 stimuli, but stimuli 'shown' has 3"):
        found.check(shown_set(IDS[:3]))


@pytest.mark.parametrize(
    "array", [np.array([["x"] * 4] * 4), rdms()[0] * 1j], ids=["text", "complex"]
)
def test_other_than_real_numbers_are_an_error(tmp_path, array):
    with pytest.raises(BadInput, match="give real numbers"):
        read(npz(tmp_path / "r.npz", rdm=array))


def test_a_pickled_array_is_not_opened(tmp_path):
    path = npz(tmp_path / "r.npz", rdm=np.array([{}], dtype=object))
    with pytest.raises(BadInput, match=r"r.npz: array .* needs code to load, which is never run"):
        read(path)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_a_file_of_another_kind_is_an_error(tmp_path, suffix):
    path = tmp_path / f"r{suffix}"
    path.write_bytes(b"neither the one nor the other " * 20)
    with pytest.raises(BadInput, match=rf"r{suffix}.* (cannot be read|is cut off).*again"):
        read(path)
    with pytest.raises(BadInput, match="no such file"):
        read(tmp_path / f"absent{suffix}")
    truncated = (npz if suffix == ".npz" else mat)(path, rdm=rdms()).read_bytes()[:200]
    path.write_bytes(truncated)
    with pytest.raises(BadInput, match=rf"r{suffix}.* (cannot be read|is cut off).*again"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("0,1\n1", "line 2 has 1 cells, the first 2"),
        (
            "c,a,b,d\n0,1,x,1\n1,0,1,1\n1,1,0,1\n1,1,1,0",
            "row 2, column 3 is 'x'; give numbers below the header",
        ),
        ("0,1,1,1\n1,,1,1\n1,1,0,1\n1,1,1,0", "row 2, column 2 is ''; give numbers"),
        ("0,1,1\n1,0,1\n1,1,0", r"shape \(3, 3\), but stimuli 'shown' has 4"),
    ],
)
def test_a_csv_that_is_no_matrix_is_an_error(tmp_path, text, message):
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read(path)


def test_a_csv_has_no_variables_and_other_suffixes_are_unknown(tmp_path):
    with pytest.raises(BadInput, match="has no variables; remove `variable`"):
        read(csv_rows(tmp_path / "r.csv", rdms()[0].tolist()), "rdm")
    with pytest.raises(
        BadInput,
        match=r"no known kind; give a .npz, .npy, .mat, .h5, .hdf5, .csv, .tsv, .json file",
    ):
        read(npz(tmp_path / "r.npz", rdm=rdms()).rename(tmp_path / "r.txt"))


def test_a_section_reads_the_variable_that_it_names(tmp_path):
    path = npz(tmp_path / "r.npz", it=rdms(), v4=2 * rdms())
    section = RdmSection(
        stimuli="shown", path=path, variable="v4", dissimilarity="squared_euclidean"
    )
    found = section.read("r", Mates(shown_set(IDS)))
    assert_allclose(found.rdms, 2 * rdms(), rtol=0)
    assert (found.dissimilarity, found.target_ids, found.n_stimuli) == ("squared_euclidean", (), 4)


def squared(points):
    return squareform(pdist(points, "sqeuclidean"))


def test_rdms_and_products_are_of_some_stimuli():
    points = np.random.default_rng(0).standard_normal((6, 3))
    found = RdmRecording("r", "shown", squared(points)[None], ("x",), "squared_euclidean")
    rows = np.array([5, 0, 2, 3])
    (rdm_there,) = found.rdms_at(rows, "correlation")
    assert_allclose(rdm_there.dissimilarities, pdist(points[rows], "sqeuclidean"), rtol=0)
    centred = points[rows] - points[rows].mean(0)
    rounding = 4 * float64_products(4 + 3, float(squared(points).max()))
    assert_allclose(found.gram_at(rows), centred @ centred.T, rtol=0, atol=rounding)
    found.check_points("procrustes")


def test_what_dissimilarities_cannot_give_is_an_error():
    unknown = RdmRecording("r", "shown", rdms(), ("x", "y"))
    for asked, said in (
        (lambda: unknown.check_targets("pls"), "^pls of recording 'r': .* no targets to predict"),
        (lambda: unknown.mean, "no targets to predict; use rsa"),
        (lambda: unknown.check_products("cka"), "^cka of recording 'r' needs inner products"),
        (lambda: unknown.gram_at(np.arange(3)), 'set dissimilarity = "squared_euclidean"'),
        (lambda: unknown.check_points("procrustes"), "needs inner products"),
    ):
        with pytest.raises(BadInput, match=said):
            asked()
    bent = squared(np.random.default_rng(0).standard_normal((6, 3)))
    bent[0, 1:] *= 9
    bent[1:, 0] *= 9
    of_no_points = RdmRecording("r", "shown", bent[None], ("x",), "squared_euclidean")
    of_no_points.check_products("cka")
    with pytest.raises(BadInput, match=r"^procrustes .* not \(no Gram matrix.*use rsa or cka"):
        of_no_points.check_points("procrustes")


def test_only_several_subjects_have_a_ceiling():
    choices = CeilingChoices(10, "pearson")
    assert not RdmRecording("r", "shown", rdms(1), ("x",)).ceilings(choices)
    lower, upper = RdmRecording("r", "shown", rdms(), ("x", "y")).ceilings(choices)
    assert (lower.estimator, upper.estimator) == ("nili_lower", "nili_upper")
    assert lower.parameters == {"comparison": "pearson"}
    assert lower.values(0)["all"] < upper.values(0)["all"] <= 1
