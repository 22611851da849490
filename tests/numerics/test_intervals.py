"""Wilson and Clopper-Pearson intervals equal their closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm

from zoo_eval.numerics.intervals import clopper_pearson, wilson

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_its_closed_form(count, confidence):
    n_correct, n = count
    z = norm.ppf((1 + confidence) / 2)
    share = n_correct / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = wilson(n_correct, n, confidence=confidence)
    assert low == pytest.approx(centre - half, abs=1e-12)
    assert high == pytest.approx(centre + half, abs=1e-12)


@pytest.mark.parametrize(
    ("n_correct", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857-872, Table I, method 3 (score).
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_published_values(n_correct, n, low, high):
    assert wilson(n_correct, n) == pytest.approx((low, high), abs=5e-5)


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_clopper_pearson_equals_beta_quantiles(count, confidence):
    n_correct, n = count
    tail = (1 - confidence) / 2
    low, high = clopper_pearson(n_correct, n, confidence=confidence)
    expected_low = beta.ppf(tail, n_correct, n - n_correct + 1) if n_correct else 0
    expected_high = beta.ppf(1 - tail, n_correct + 1, n - n_correct) if n_correct < n else 1
    assert low == pytest.approx(expected_low, abs=1e-9)
    assert high == pytest.approx(expected_high, abs=1e-9)


@pytest.mark.parametrize(("n_correct", "n"), [(3, 2), (0, 0), (-1, 5)])
def test_impossible_counts_are_an_error(n_correct, n):
    with pytest.raises(ValueError):  # noqa: PT011  SciPy's own words
        wilson(n_correct, n)
