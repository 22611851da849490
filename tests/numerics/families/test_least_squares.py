"""Where terms cannot be told apart there are no coefficients; elsewhere see test_jackknife."""

import numpy as np

from tests.numerics.families.planted import families
from zoo_eval.numerics.families.least_squares import coefficients


def test_without_the_family_that_tells_terms_apart_there_are_none():
    kin = families([3, 3, 2])
    x = np.array([0.0, 0, 0, 0, 0, 0, 1, 2])
    design = np.column_stack([np.ones(8), x])
    everything, left_out = coefficients(design, 3 + 2 * x, kin)
    assert np.allclose(everything, [3, 2])
    assert np.isfinite(left_out[:2]).all()
    assert np.isnan(left_out[2]).all()


def test_several_values_are_fitted_at_once():
    kin = families([4, 3, 3])
    rng = np.random.default_rng(0)
    design, y = (
        np.column_stack([np.ones(10), rng.standard_normal(10)]),
        rng.standard_normal((5, 10)),
    )
    everything, left_out = coefficients(design, y, kin)
    assert (everything.shape, left_out.shape) == ((5, 2), (5, 3, 2))
    for one, fitted, without in zip(y, everything, left_out, strict=True):
        assert np.allclose(fitted, np.linalg.lstsq(design, one, rcond=None)[0])
        for g in range(3):
            kept = kin.codes != g
            assert np.allclose(without[g], np.linalg.lstsq(design[kept], one[kept], rcond=None)[0])
