"""Kendall's tau-a equals counting all pairs, rsatoolbox, and SciPy's tau-b where nothing ties."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.rdm import compare
from scipy.stats import kendalltau

from tests.rounding import float64_products
from zoo_eval.numerics.kendall import SHARE, n_inversions, taus_a
from zoo_eval.numerics.ranking import ranking

# Pairs are counted exactly; what is left is a quotient, and in the rivals a root and a product.
COUNTED = float64_products(8)


def ours(x, y):
    first, second = (ranking(torch.from_numpy(np.asarray(side, dtype=float))) for side in (x, y))
    return taus_a(first, [second])[0]


def pair_by_pair(x, y):
    signs = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in combinations(range(len(x)), 2)]
    return np.mean(signs)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_ties_on_either_side_and_on_both_count_as_neither(pairs):
    x, y = zip(*pairs)
    assert ours(x, y) == pytest.approx(pair_by_pair(x, y), rel=0, abs=COUNTED)


@pytest.mark.parametrize("n_values", [2, 63, 64, 65, 127, 128, 129, 1000, 4186])
@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_it_equals_rsatoolbox(n_values, decimals):
    rng = np.random.default_rng(n_values)
    x = rng.standard_normal(n_values)
    y = np.round(x + rng.standard_normal(n_values), decimals)
    x = np.round(x, decimals)
    # One stimulus more than needed would not be a whole RDM, so the rival gets vectors.
    expected = compare(x[None], y[None], "tau-a")[0, 0]
    assert ours(x, y) == pytest.approx(expected, rel=0, abs=COUNTED)


@pytest.mark.parametrize("n_values", [130, 3000, 2**20 // 3])
def test_several_at_once_are_each_alone(n_values):
    rng = np.random.default_rng(0)
    sides = [np.round(rng.standard_normal(n_values), decimals) for decimals in (2, 1, 15, 3, 15)]
    x, *others = (ranking(torch.from_numpy(side)) for side in sides)
    found = taus_a(x, others)
    assert found == [taus_a(x, [other])[0] for other in others]
    assert found == pytest.approx(
        [compare(sides[0][None], y[None], "tau-a")[0, 0] for y in sides[1:]], rel=0, abs=COUNTED
    )
    assert len(set(found)) == 4


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_share_long_sequences(n_threads):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(3 * SHARE + 11)
    y = x + rng.standard_normal(len(x))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        found = ours(x, y)
    finally:
        torch.set_num_threads(before)
    assert found == pytest.approx(kendalltau(x, y).statistic, rel=0, abs=COUNTED)


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("n_values", [1, 2, 64, 65, 100, 1000, 2**14 - 1, 2**14, 2**14 + 1])
def test_descending_sequences_are_all_inversions_and_stay_as_they_were(n_values, distinct):
    ascending = np.arange(n_values)
    both = np.stack([ascending[::-1], ascending])
    n_pairs = n_values * (n_values - 1) // 2
    assert n_inversions(both, n_values - 1, distinct=distinct) == [n_pairs, 0]
    assert (both == [ascending[::-1], ascending]).all()
