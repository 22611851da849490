"""Wilson and Clopper-Pearson intervals equal SciPy's and published ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tests.rounding import float64_products, printed
from zoo_eval.numerics.intervals import clopper_pearson, wilson

# SciPy's root finder ends at steps of 2 10^-12, and beta quantiles at some hundred units.
ROOT = 4e-12 + float64_products(1000)
counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.8, 0.95, 0.99]), st.sampled_from(["wilson", "exact"]))
def test_intervals_equal_those_of_scipy(count, confidence, method):
    ours = {"wilson": wilson, "exact": clopper_pearson}[method]
    expected = binomtest(*count).proportion_ci(confidence, method=method)
    found = ours(*count, confidence=confidence)
    assert found == pytest.approx((expected.low, expected.high), rel=0, abs=ROOT)


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
    assert wilson(n_correct, n) == pytest.approx((low, high), rel=0, abs=printed(4))


@pytest.mark.parametrize(("n_correct", "n"), [(3, 2), (0, 0), (-1, 5)])
@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_impossible_counts_are_an_error(interval, n_correct, n):
    with pytest.raises(ValueError, match="is no share"):
        interval(n_correct, n, confidence=0.95)
