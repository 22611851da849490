"""The permutation test is exact where it says so, keeps families whole, and sees a relation."""

from itertools import permutations, product

import numpy as np
import pytest

from tests.numerics.families.planted import drawn, families
from zoo_eval.numerics.families.permutation import no_relation_p


def by_hand(x, y, kin):
    """All permutations of four families' means, and turns of their deviations, one after another."""
    n = len(kin.names)
    means = np.array([y[kin.codes == g].mean() for g in range(n)])
    apart = y - means[kin.codes]

    def statistic(values):
        values = values - values.mean()
        parts = [((x - x.mean()) * values)[kin.codes == g].sum() for g in range(n)]
        return abs(sum(parts)) / sum(part**2 for part in parts) ** 0.5

    found = [
        statistic(means[list(order)][kin.codes] + np.array(turns)[kin.codes] * apart)
        for order in permutations(range(n))
        for turns in product((1, -1), repeat=n)
    ]
    return np.mean(np.array(found) >= statistic(y) * (1 - 1e-10))


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [5, 3, 2, 1]])
def test_of_few_families_all_permutations_are_looked_at(sizes):
    kin = families(sizes)
    x, y = drawn(1, kin)
    assert no_relation_p(x, y, kin) == pytest.approx(by_hand(x, y, kin))


def test_units_and_order_of_models_do_not_matter():
    kin = families([4, 3, 3, 2, 2, 2])
    x, y = drawn(2, kin)
    p = no_relation_p(x, y, kin, seed=3)
    assert no_relation_p(5 - 2 * x, 7 * y + 1, kin, seed=3) == p
    assert 1 / 2000 <= p <= 1


def test_a_relation_is_seen_and_its_absence_is_seldom_denied():
    kin = families([5] * 12)
    related = [
        no_relation_p(*drawn(seed, kin, r=0.8), kin, n_permutations=199) for seed in range(20)
    ]
    assert np.mean(np.array(related) <= 0.05) > 0.8
    # 300 of them, at 5 %: more than 27 by chance has a probability of 0.1 %.
    without = [
        no_relation_p(*drawn(seed, kin, alike=0.8, r=0), kin, n_permutations=199)
        for seed in range(300)
    ]
    assert np.sum(np.array(without) <= 0.05) <= 27


@pytest.mark.parametrize(
    ("x", "y", "sizes"),
    [([1.0, 2, 3, 4], [1.0, 3, 2, 4], [2, 2]), ([1.0] * 4, [1.0, 3, 2, 4], [1] * 4),
     ([1.0, 3, 2, 4], [2.0] * 4, [1] * 4), ([1.0], [1.0], [1])],
)  # fmt: skip
def test_two_families_or_constant_values_have_no_p(x, y, sizes):
    assert np.isnan(no_relation_p(np.array(x), np.array(y), families(sizes)))
