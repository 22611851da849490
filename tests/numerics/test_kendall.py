"""Kendall's tau-a equals counting all pairs, rsatoolbox, and SciPy's tau-b where nothing ties."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.rdm import compare
from scipy.stats import kendalltau

from zoo_eval.numerics.kendall import SMALLEST_SHARE, n_inversions, tau_a
from zoo_eval.numerics.ranking import ranking


def ours(x, y):
    return tau_a(*(ranking(torch.from_numpy(np.asarray(side, dtype=float))) for side in (x, y)))


def pair_by_pair(x, y):
    signs = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in combinations(range(len(x)), 2)]
    return np.mean(signs)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_ties_on_either_side_and_on_both_count_as_neither(pairs):
    x, y = zip(*pairs)
    assert ours(x, y) == pytest.approx(pair_by_pair(x, y), abs=1e-15)


@pytest.mark.parametrize("n_values", [2, 63, 64, 65, 127, 128, 129, 1000, 4186])
@pytest.mark.parametrize("decimals", [0, 1, 15])
def test_it_equals_rsatoolbox(n_values, decimals):
    rng = np.random.default_rng(n_values)
    x = rng.standard_normal(n_values)
    y = np.round(x + rng.standard_normal(n_values), decimals)
    x = np.round(x, decimals)
    # One stimulus more than needed would not be a whole RDM, so the rival gets vectors.
    expected = compare(x[None], y[None], "tau-a")[0, 0]
    assert ours(x, y) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_share_long_sequences(n_threads):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(3 * SMALLEST_SHARE + 11)
    y = x + rng.standard_normal(len(x))
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        found = ours(x, y)
    finally:
        torch.set_num_threads(before)
    assert found == pytest.approx(kendalltau(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("n_values", [1, 2, 64, 100, 1000])
def test_a_descending_sequence_is_all_inversions_and_stays_as_it_was(n_values):
    sequence = np.arange(n_values)[::-1].copy()
    assert n_inversions(sequence) == n_values * (n_values - 1) // 2
    assert n_inversions(np.arange(n_values)) == 0
    assert sequence[0] == n_values - 1
