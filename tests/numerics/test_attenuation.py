"""Attenuation: the closed form where it is known, and an interval that counts the ceiling's error."""

import numpy as np
import pytest

from zoo_eval.numerics.attenuation import corrected


def test_the_value_is_the_quotient_of_medians():
    found = corrected(np.array([0.2, 0.3, 0.4, np.nan]), np.array([0.64, 0.49, 0.81, 0.9]))
    assert found.value == pytest.approx(0.3 / 0.8)
    assert (found.n_targets, found.no_interval) == (3, "an interval takes 5 targets")


def test_the_delta_method_is_near_the_spread_of_the_quotient_itself():
    rng = np.random.default_rng(0)
    scores, reliabilities = (
        0.4 + 0.1 * rng.standard_normal(200),
        0.6 + 0.1 * rng.standard_normal(200),
    )
    found = corrected(scores, reliabilities, n_resamples=4000)
    rows = np.random.default_rng(9).integers(200, size=(4000, 200))
    quotients = np.median(scores[rows], 1) / np.median(reliabilities[rows], 1) ** 0.5
    assert (found.low, found.high) == pytest.approx(
        tuple(np.quantile(quotients, [0.025, 0.975])), abs=0.005
    )


def test_what_moves_with_its_ceiling_is_known_better_than_either():
    reliabilities = np.linspace(0.3, 0.9, 61)
    together = corrected(0.5 * reliabilities**0.5, reliabilities)
    assert together.value == pytest.approx(0.5)
    assert together.high - together.low < 0.1 * (together.high_known - together.low_known)
    apart = corrected(0.5 * reliabilities[::-1] ** 0.5, reliabilities)
    assert apart.high - apart.low > 1.5 * (apart.high_known - apart.low_known)


def test_the_interval_covers_with_noisy_ceilings():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        scores = 0.4 + 0.1 * rng.standard_normal(40)
        found = corrected(scores, 0.6 + 0.15 * rng.standard_normal(40), n_resamples=200, seed=seed)
        held += found.low <= 0.4 / 0.6**0.5 <= found.high
    # Binomial deviation 3; a bootstrap of medians errs by a few points.
    assert 180 <= held <= 199


@pytest.mark.parametrize(
    ("scores", "reliabilities", "why"),
    [([], [], "no target has both"), ([0.3] * 6, [-0.1] * 6, "not above zero"), ([-0.3] * 6, [0.5] * 6, "no logarithm"),
     ([np.nan] * 6, [0.5] * 6, "no target has both")],
)  # fmt: skip
def test_without_a_ceiling_or_a_score_it_says_why(scores, reliabilities, why):
    found = corrected(np.array(scores), np.array(reliabilities))
    assert (found.low, found.high) == (None, None)
    assert why in found.no_interval
