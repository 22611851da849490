"""Holm's adjustment is statsmodels'; questions without an answer are not counted."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from zoo_eval.numerics.multiplicity import holm


@pytest.mark.parametrize("seed", range(8))
def test_it_is_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p_values = np.round(rng.uniform(size=1 + seed) ** 3, 2)
    assert holm(p_values.tolist()) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_what_has_no_p_is_not_counted():
    assert holm([None, 0.02, None, 0.01]) == [None, 0.02, None, 0.02]
    assert holm([None]) == [None]
    assert holm([]) == []
