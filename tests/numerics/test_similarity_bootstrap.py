"""Similarities of resampled stimuli equal the plain statistic of the resample, written out."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kendalltau

from tests.rounding import float64_correlation, float64_products
from zoo_eval.numerics.bootstrap import (
    resample_counts,
    resampled_cka,
    resampled_debiased_cka,
    resampled_rdm_cosine,
    resampled_rdm_tau_a,
    resampled_shape_similarity,
)
from zoo_eval.numerics.cka import centred, cka, debiased_cka
from zoo_eval.numerics.procrustes import factor, shape_similarity
from zoo_eval.numerics.ranking import ranking

N, P, Q = 14, 30, 5
# Of the pairs of a resample.
ROUNDING = float64_correlation(N * N, shift=3)
COUNTS = resample_counts(range(N), n_resamples=12, seed=0)
ONCE = np.ones((1, N))


def features(*, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, P)) + offset
    return x, x[:, :Q] + rng.standard_normal((N, Q))


def gram(side):
    return torch.from_numpy(side @ side.T)


def centred_grams(*sides):
    return [centred(gram(side)).numpy() for side in sides]


def drawn(count):
    return np.repeat(np.arange(N), count.astype(int))


def distinct_pairs(rows):
    """Both members of each pair of different stimuli in a resample."""
    first, second = np.triu_indices(len(rows), 1)
    kept = rows[first] != rows[second]
    return first[kept], second[kept]


def rdms(decimals=15):
    return [np.round(squareform(pdist(side)), decimals) for side in features()]


def tau_a(x, y):
    signs = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    return signs.sum() / (len(x) * (len(x) - 1))


def test_cosines_of_rdms_are_those_of_the_resampled_stimuli():
    x, y = rdms()
    for count, found in zip(COUNTS, resampled_rdm_cosine(x, y, COUNTS), strict=True):
        rows = drawn(count)
        pairs = distinct_pairs(rows)
        a, b = (side[np.ix_(rows, rows)][pairs] for side in (x, y))
        assert found == pytest.approx(
            a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=0, abs=ROUNDING
        )


@pytest.mark.parametrize("decimals", [(0, 0), (0, 15), (15, 1), (15, 15)])
def test_tau_a_of_rdms_is_that_of_the_resampled_stimuli(decimals):
    x, y = (rdms(some)[side] for side, some in enumerate(decimals))
    pairs = np.triu_indices(N, 1)
    sides = [ranking(torch.from_numpy(side[pairs])) for side in (x, y)]
    for count, found in zip(COUNTS, resampled_rdm_tau_a(*sides, COUNTS), strict=True):
        rows = drawn(count)
        apart = distinct_pairs(rows)
        a, b = (side[np.ix_(rows, rows)][apart] for side in (x, y))
        assert found == pytest.approx(tau_a(a, b), rel=0, abs=ROUNDING)
    expected = tau_a(x[pairs], y[pairs])
    assert resampled_rdm_tau_a(*sides, ONCE)[0] == pytest.approx(expected, rel=0, abs=ROUNDING)
    if decimals == (15, 15):
        assert expected == pytest.approx(
            kendalltau(x[pairs], y[pairs]).statistic, rel=0, abs=ROUNDING
        )


@pytest.mark.parametrize("offset", [0, 50])
def test_cka_is_that_of_the_resampled_stimuli(offset):
    x, y = features(offset=offset)
    found = resampled_cka(*centred_grams(x, y), COUNTS)
    expected = [cka(gram(x[drawn(count)]), gram(y[drawn(count)])) for count in COUNTS]
    assert_allclose(found, expected, rtol=0, atol=float64_correlation(N * P, shift=offset))
    assert np.ptp(found) > 0.01


@pytest.mark.parametrize("offset", [0, 50])
def test_debiased_cka_leaves_pairs_of_a_stimulus_with_its_copy_out(offset):
    x, y = features(offset=offset)
    found = resampled_debiased_cka(*centred_grams(x, y), COUNTS)
    for count, one in zip(COUNTS, found, strict=True):
        rows = drawn(count)
        pairs = np.stack(distinct_pairs(rows), 1)
        # What U-centring takes away: the best fit of a_i + a_j to the pairs.
        design = np.zeros((len(pairs), N))
        np.put_along_axis(design, pairs, 1, axis=1)
        left = []
        for side in (x, y):
            values = (side[rows] @ side[rows].T)[tuple(pairs.T)]
            left.append(values - design @ np.linalg.lstsq(design, values)[0])
        expected = left[0] @ left[1] / np.linalg.norm(left[0]) / np.linalg.norm(left[1])
        # Copies of a stimulus make the fit up to N times worse conditioned.
        rounding = N * float64_correlation(N * P, shift=offset)
        assert one == pytest.approx(expected, rel=0, abs=rounding)
    once = resampled_debiased_cka(*centred_grams(x, y), ONCE)[0]
    assert once == pytest.approx(debiased_cka(gram(x), gram(y)), rel=0, abs=rounding)


def test_debiased_cka_of_independent_features_stays_about_zero_in_resamples():
    rng = np.random.default_rng(0)
    counts = resample_counts(range(30), n_resamples=40, seed=0)
    debiased, plain = [], []
    for _ in range(60):
        sides = [centred(gram(rng.standard_normal((30, 300)))).numpy() for _ in range(2)]
        debiased.append(resampled_debiased_cka(*sides, counts).mean())
        plain.append(resampled_cka(*sides, counts).mean())
    assert abs(np.mean(debiased)) < 4 * np.std(debiased) / np.sqrt(60)
    assert np.min(plain) > 0.8


def test_shape_similarity_is_that_of_the_resampled_stimuli():
    x, y = features()
    found = resampled_shape_similarity(factor(gram(x)), factor(gram(y)), COUNTS)
    for count, one in zip(COUNTS, found, strict=True):
        sides = (factor(gram(side[drawn(count)])) for side in (x, y))
        # Square roots of eigenvalues: rounding where one is zero has a root of its own.
        rounding = float64_products(N * P, 3.0**2) ** 0.5
        assert one == pytest.approx(shape_similarity(*sides), rel=0, abs=rounding)


def test_what_does_not_vary_in_a_resample_has_no_similarity():
    x, y = features()
    single = np.zeros((1, N))
    single[0, 3] = N
    flat = np.zeros((N, N))
    grams = centred_grams(x, y)
    ranks = [ranking(torch.from_numpy(side[np.triu_indices(N, 1)])) for side in rdms()]
    for measure in (resampled_cka, resampled_debiased_cka, resampled_rdm_cosine):
        assert np.isnan(measure(*grams, single)).all()
        assert np.isnan(measure(flat, grams[1], COUNTS)).all()
        assert np.isnan(measure(grams[0], flat, COUNTS)).all()
    factors = [factor(gram(side)) for side in (x, y)]
    assert np.isnan(resampled_shape_similarity(*factors, single)).all()
    assert np.isnan(resampled_rdm_tau_a(*ranks, single)).all()
