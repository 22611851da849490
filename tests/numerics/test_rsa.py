"""RDMs and their comparisons equal rsatoolbox and SciPy; what should not matter does not."""

from decimal import Decimal, localcontext
from itertools import combinations, product
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm
from rsatoolbox.rdm import compare as rival_compare
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kendalltau, ortho_group, pearsonr, spearmanr

from tests.rounding import float64_correlation, float64_products
from zoo_eval.numerics.rsa import (
    MANY_STIMULI,
    Comparison,
    Dissimilarity,
    Rdm,
    compare,
    condensed,
    dissimilarities,
    feature_dissimilarities,
    gram_of_squared_distances,
    mean_rdm,
)

DISSIMILARITIES = get_args(Dissimilarity)
COMPARISONS = get_args(Comparison)
RIVALS = {"pearson": "corr", "spearman": "spearman", "kendall_tau_a": "tau-a", "cosine": "cosine"}
SCIPY = {"squared_euclidean": "sqeuclidean", "correlation": "correlation", "cosine": "cosine"}

# Of RDMs of up to 92 stimuli, whose mean is up to three spreads from zero.
COMPARED = float64_correlation(92 * 91 / 2, shift=3)


def distance_rounding(x, dissimilarity):
    """Of distances out of products: relative to lengths, which are 1 where directions are compared."""
    n_terms = 4 * x.shape[1]
    if dissimilarity == "squared_euclidean":
        return 4 * float64_products(n_terms, (x**2).sum(1).max())
    centred = x - x.mean(1, keepdims=True) if dissimilarity == "correlation" else x
    lost = ((x**2).sum(1) / (centred**2).sum(1)).max()
    return 4 * float64_products(n_terms, lost)


def features(*, n=30, p=50, mean=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)) * np.arange(1, p + 1) ** -0.5 + mean


def ours(x, dissimilarity):
    x = torch.from_numpy(x)
    return dissimilarities(x @ x.T, x.sum(1), x.shape[1], dissimilarity)


def rdm(x, dissimilarity="squared_euclidean"):
    return Rdm(ours(x, dissimilarity))


def subjects(n_subjects=4, *, n=30, dissimilarity="correlation"):
    shared = features(n=n)
    return [
        rdm(shared + 0.5 * features(n=n, seed=1 + subject), dissimilarity)
        for subject in range(n_subjects)
    ]


@pytest.mark.parametrize("dissimilarity", DISSIMILARITIES)
@pytest.mark.parametrize(("n", "p", "mean"), [(3, 200, 0), (40, 20, 0.5), (40, 200, 10)])
def test_dissimilarities_equal_those_of_the_features(dissimilarity, n, p, mean):
    x = features(n=n, p=p, mean=mean)
    expected = pdist(x, SCIPY[dissimilarity])
    rounding = distance_rounding(x, dissimilarity)
    assert_allclose(ours(x, dissimilarity), expected, rtol=0, atol=rounding)
    of_features = feature_dissimilarities(torch.from_numpy(x), dissimilarity)
    assert_allclose(of_features, expected, rtol=0, atol=rounding)


def test_dissimilarities_equal_rsatoolbox_which_takes_the_mean_over_features():
    x = features()
    rival = calc_rdm(Dataset(x), "euclidean").get_vectors()[0]
    rounding = distance_rounding(x, "squared_euclidean") / x.shape[1]
    assert_allclose(ours(x, "squared_euclidean") / x.shape[1], rival, rtol=0, atol=rounding)
    rival = calc_rdm(Dataset(x), "correlation").get_vectors()[0]
    rounding = distance_rounding(x, "correlation")
    assert_allclose(ours(x, "correlation"), rival, rtol=0, atol=rounding)


@pytest.mark.parametrize("dissimilarity", DISSIMILARITIES)
def test_a_gram_matrix_is_left_as_it_was(dissimilarity):
    x = torch.from_numpy(features())
    gram = x @ x.T
    before = gram.clone()
    dissimilarities(gram, x.sum(1), x.shape[1], dissimilarity)
    assert_allclose(gram, before, rtol=0)


@pytest.mark.parametrize("dissimilarity", DISSIMILARITIES)
def test_a_repeated_stimulus_is_at_distance_zero(dissimilarity):
    x = features(mean=3)
    x[1] = x[0]
    assert 0 <= ours(x, dissimilarity)[0] <= distance_rounding(x, dissimilarity)


def test_stimuli_without_a_direction_have_no_correlation_or_cosine():
    x = features(n=5)
    x[2] = 0.1
    of_constant = condensed(torch.arange(25).view(5, 5) // 5 == 2) | condensed(
        torch.arange(25).view(5, 5) % 5 == 2
    )
    assert ours(x, "correlation").isnan().tolist() == of_constant.tolist()
    assert not ours(x, "cosine").isnan().any()
    x[2] = 0
    assert ours(x, "cosine").isnan().tolist() == of_constant.tolist()
    for comparison in COMPARISONS:
        assert np.isnan(compare(rdm(x, "cosine"), rdm(features(n=5)), comparison))


def test_pairs_are_in_the_order_of_squareform():
    square = squareform(np.arange(1.0, 7))
    assert_allclose(condensed(torch.from_numpy(square)), np.arange(1, 7), rtol=0)
    both = torch.from_numpy(np.stack([square, 2 * square]))
    assert_allclose(condensed(both), [np.arange(1, 7), 2 * np.arange(1, 7)], rtol=0)
    n_pairs = MANY_STIMULI * (MANY_STIMULI - 1) // 2
    square = squareform(np.arange(n_pairs, dtype=np.float64))
    assert_allclose(condensed(torch.from_numpy(square)), np.arange(n_pairs), rtol=0)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("dissimilarity", ["squared_euclidean", "correlation"])
def test_comparisons_equal_rsatoolbox(comparison, dissimilarity):
    x = features(n=92)
    recording = subjects(n=92, dissimilarity=dissimilarity)
    method = {"squared_euclidean": "euclidean"}.get(dissimilarity, dissimilarity)
    rival = rival_compare(
        calc_rdm(Dataset(x), method),
        RDMs(np.stack([one.dissimilarities.numpy() for one in recording])),
        RIVALS[comparison],
    )[0]
    model = rdm(x, dissimilarity)
    found = [compare(model, one, comparison) for one in recording]
    assert_allclose(found, rival, rtol=0, atol=COMPARED)
    assert np.ptp(rival) > 1e-3


@pytest.mark.parametrize("n_levels", [2, 5, 1000])
def test_comparisons_of_tied_rdms_equal_scipy(n_levels):
    rng = np.random.default_rng(0)
    x, y = rng.integers(n_levels, size=(2, 300)).astype(float)
    y = np.where(rng.random(300) < 0.5, x, y)
    a, b = Rdm(torch.from_numpy(x)), Rdm(torch.from_numpy(y))
    assert compare(a, b, "pearson") == pytest.approx(pearsonr(x, y).statistic, rel=0, abs=COMPARED)
    assert compare(a, b, "spearman") == pytest.approx(
        spearmanr(x, y).statistic, rel=0, abs=COMPARED
    )
    # tau-a from SciPy's tau-b: the same numerator over all pairs.
    untied = [300 * 299 / 2 - (c * (c - 1) / 2).sum() for c in (counts(x), counts(y))]
    expected = kendalltau(x, y).statistic * np.sqrt(untied[0] * untied[1]) / (300 * 299 / 2)
    assert compare(a, b, "kendall_tau_a") == pytest.approx(expected, rel=0, abs=COMPARED)


def counts(values):
    return np.unique(values, return_counts=True)[1]


@pytest.mark.parametrize(("dissimilarity", "comparison"), product(DISSIMILARITIES, COMPARISONS))
def test_rotation_scale_and_stimulus_order_do_not_matter(dissimilarity, comparison):
    x, y = features(), features(seed=7) + features()
    expected = compare(rdm(x, dissimilarity), rdm(y, dissimilarity), comparison)
    order = np.random.default_rng(1).permutation(len(x))
    same = [(3 * x, y), (x[order], y[order]), (x[:, ::-1].copy(), 0.1 * y)]
    if dissimilarity != "correlation":  # a rotation changes means over features
        same.append((x @ ortho_group.rvs(x.shape[1], random_state=0), y))
    for one, other in same:
        found = compare(rdm(one, dissimilarity), rdm(other, dissimilarity), comparison)
        assert found == pytest.approx(expected, rel=0, abs=COMPARED)
    shuffled = compare(rdm(x[order], dissimilarity), rdm(y, dissimilarity), comparison)
    assert abs(shuffled - expected) > 0.01
    found = compare(rdm(x, dissimilarity), rdm(2 * x, dissimilarity), comparison)
    assert found == pytest.approx(1, rel=0, abs=COMPARED)


def test_moving_all_features_does_not_matter_to_euclidean_distances():
    x = features(mean=0)
    moved, rounding = x + 1, distance_rounding(x + 1, "squared_euclidean")
    found = ours(moved, "squared_euclidean")
    assert_allclose(ours(x, "squared_euclidean"), found, rtol=0, atol=2 * rounding)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_kept_ranks_change_nothing(comparison):
    recording, models = subjects(), [rdm(features(seed=s)) for s in (20, 21)]
    first = [[compare(model, one, comparison) for one in recording] for model in models]
    for other in COMPARISONS:
        compare(models[0], recording[0], other)
    fresh = [
        [compare(Rdm(m.dissimilarities), Rdm(s.dissimilarities), comparison) for s in recording]
        for m in models
    ]
    assert_allclose(first, fresh, rtol=0)
    assert_allclose(
        [compare(one, models[0], comparison) for one in recording], fresh[0], rtol=0, atol=COMPARED
    )


def test_a_mean_rdm_averages_dissimilarities():
    recording = subjects(3)
    expected = np.mean([one.dissimilarities.numpy() for one in recording], axis=0)
    assert_allclose(mean_rdm(recording).dissimilarities, expected, rtol=float64_products(3))


def test_a_constant_rdm_has_no_score():
    constant, varying = Rdm(torch.full((6,), 0.1).double()), rdm(features(n=4))
    for comparison in ("pearson", "spearman", "kendall_tau_a"):
        assert np.isnan(compare(constant, varying, comparison))
        assert np.isnan(compare(varying, constant, comparison))
    found = compare(constant, varying, "cosine")
    v = varying.dissimilarities.numpy()
    assert found == pytest.approx(v.sum() / np.sqrt(6 * (v**2).sum()), rel=COMPARED)
    assert np.isnan(compare(Rdm(torch.zeros(6).double()), varying, "cosine"))


def test_distances_give_back_the_centred_gram_matrix():
    x = features()
    centred = x - x.mean(0)
    square = torch.from_numpy(squareform(pdist(x, "sqeuclidean")))
    rounding = 4 * float64_products(len(x) + x.shape[1], float(square.max()))
    assert_allclose(gram_of_squared_distances(square), centred @ centred.T, rtol=0, atol=rounding)


def test_fewer_than_three_stimuli_are_an_error():
    with pytest.raises(ValueError, match="at least 3 stimuli, got 2"):
        ours(features(n=2), "cosine")
    for n_pairs in (1, 2, 4, 5, 7):
        with pytest.raises(ValueError, match="all pairs of at least 3 stimuli"):
            Rdm(torch.zeros(n_pairs).double())


def test_what_is_unknown_or_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="unknown dissimilarity 'manhattan'"):
        ours(features(), "manhattan")
    with pytest.raises(ValueError, match="unknown comparison 'tau_b'"):
        compare(rdm(features()), rdm(features()), "tau_b")
    with pytest.raises(ValueError, match="RDMs of 3 and 6 pairs"):
        compare(rdm(features(n=3)), rdm(features(n=4)), "cosine")


@pytest.mark.parametrize("dissimilarity", ["correlation", "cosine"])
def test_directions_that_hardly_differ_are_told_apart_to_their_own_rounding(dissimilarity):
    """An offset of 1e6 makes cosines differ by 1e-12; that of decimals of 50 digits is the witness."""
    x = features(n=8, p=12)
    x = x + 1e6 * (1 if dissimilarity == "cosine" else np.arange(1, 13))
    with localcontext() as context:
        context.prec = 50
        exact = [[Decimal(value) for value in row] for row in x.tolist()]
        if dissimilarity == "correlation":
            exact = [[value - sum(row) / len(row) for value in row] for row in exact]

        def product(a, b):
            return sum(one * other for one, other in zip(a, b, strict=True))

        expected = [
            float(1 - product(a, b) / (product(a, a) * product(b, b)).sqrt())
            for a, b in combinations(exact, 2)
        ]
    found = feature_dissimilarities(torch.from_numpy(x), dissimilarity)
    # Of coordinates up to 1 / sqrt(12), apart by 1e-6: a bit of them is 1e-10 of that.
    assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("dissimilarity", DISSIMILARITIES)
def test_equal_features_are_exactly_nothing_apart(dissimilarity):
    same = torch.from_numpy(features(n=1)).expand(20, -1).contiguous()
    assert (feature_dissimilarities(same, dissimilarity) == 0).all()


@pytest.mark.parametrize("dissimilarity", ["correlation", "cosine"])
def test_a_stimulus_without_a_direction_costs_its_own_pairs_alone(dissimilarity):
    x = torch.from_numpy(features(n=6))
    whole = feature_dissimilarities(x, dissimilarity)
    x[2] = 0
    found = feature_dissimilarities(x, dissimilarity)
    first, second = np.triu_indices(6, 1)
    lost = torch.from_numpy((first == 2) | (second == 2))
    assert found[lost].isnan().all()
    assert_allclose(found[~lost], whole[~lost], rtol=1e-12)
