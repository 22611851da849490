"""The front is that of comparing all pairs; probabilities and band are those of an explicit bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.numerics.families.planted import drawn, families
from zoo_eval.numerics.families.front import front


def dominated(x, y):
    at_least = (x[None] >= x[:, None]) & (y[None] >= y[:, None])
    more = (x[None] > x[:, None]) | (y[None] > y[:, None])
    return (at_least & more).any(1)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_it_is_who_is_beaten_by_nobody_with_ties_too(points):
    x, y = np.array(points, dtype=float).T
    found = front(x, y, families([1] * len(x)), n_resamples=1)
    assert found.on_it.tolist() == (~dominated(x, y)).tolist()
    for at, reached in zip(found.at, found.reached, strict=True):
        assert reached == y[x >= at].max()


def test_probability_and_band_are_those_of_an_explicit_bootstrap():
    kin = families([4, 3, 3, 2, 2, 2])
    x, y = drawn(0, kin)
    found = front(x, y, kin, n_resamples=300, seed=4)
    rng = np.random.default_rng(4)
    drawn_families = (
        np.concatenate([rng.multinomial(6, [1 / 6] * 6, size=n) for n in (256, 44)]) > 0
    )
    hits, present, reached = np.zeros(16), np.zeros(16), []
    for chosen in drawn_families:
        here = chosen[kin.codes].nonzero()[0]
        present[here] += 1
        hits[here] += ~dominated(x[here], y[here])
        reached.append([max(y[here][x[here] >= at], default=-np.inf) for at in found.at])
    assert found.probability == pytest.approx(hits / present)
    low, high = np.quantile(reached, [0.025, 0.975], axis=0, method="nearest")
    assert found.low.tolist() == low.tolist()
    assert found.high.tolist() == high.tolist()


def test_infinite_values_win_and_few_families_have_no_band():
    x, y = np.array([0.1, 0.2, 0.3]), np.array([1.0, np.inf, 2.0])
    found = front(x, y, families([1, 1, 1]), n_resamples=50)
    assert found.on_it.tolist() == [False, True, True]
    assert np.isnan(found.low).all()
    one = front(x[:1], y[:1], families([1]), n_resamples=5)
    assert (one.on_it.tolist(), one.probability.tolist()) == ([True], [1.0])
