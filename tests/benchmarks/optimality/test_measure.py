"""AttackBench's measure against closed forms and against areas by numerical integration."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from benchmarks.optimality.measure import (
    by_trapezoids,
    curve,
    envelope,
    global_optimality,
    mean_ratio,
    optimality,
    worst,
)

INFINITE = np.inf


def d(*values):
    return np.array(values, dtype=np.float64)


def test_a_curve_is_the_share_with_a_larger_distance():
    found = curve(d(0, 1, 2, INFINITE), d(0, 0.5, 1, 2, 1e9))
    assert found.tolist() == [0.75, 0.75, 0.5, 0.25, 0.25]


def test_the_envelope_is_one_and_finding_nothing_is_zero():
    least = d(1, 2, 4)
    assert optimality(least, least) == 1
    assert optimality(d(INFINITE, INFINITE, INFINITE), least) == 0
    # Whatever is beyond the farthest least distance is as good as nothing.
    assert optimality(d(4, 5, INFINITE), least) == 0


def test_a_closed_form():
    # m = 4, mean d* = 7/3, mean min(d, m) = (2 + 2 + 4) / 3: 1 - (1/3) / (4 - 7/3).
    assert optimality(d(2, 2, 9), d(1, 2, 4)) == pytest.approx(1 - 1 / 5, rel=1e-14)


def test_areas_are_those_under_the_curves():
    rng = np.random.default_rng(3)
    least = rng.exponential(1.0, 12) * (rng.random(12) > 0.2)
    other = least * rng.uniform(1, 2, 12)
    other[5] = INFINITE
    most = least.max()
    points = np.unique(np.minimum(np.concatenate([least, other]), most))

    def area(distances):
        pieces = itertools.pairwise(points)
        return sum(quad(lambda e: curve(distances, d(e))[0], a, b)[0] for a, b in pieces)

    room = curve(least, d(0.0))[0] * most - area(least)
    expected = 1 - (area(other) - area(least)) / room
    assert optimality(other, least) == pytest.approx(expected, rel=1e-9)


def test_images_that_are_wrong_as_they_are_change_nothing():
    least, other = d(1, 2, 4), d(1.5, 2, INFINITE)
    with_wrong = optimality(np.append(other, 0.0), np.append(least, 0.0))
    assert with_wrong == pytest.approx(optimality(other, least), rel=1e-14)


def test_an_image_that_nobody_solves_stays_in_the_curve_and_moves_no_optimality():
    least, other = d(1, 2, 4, INFINITE), d(1.5, 2, 5, INFINITE)
    assert curve(other, d(1e9))[0] == 0.25
    assert optimality(other, least) == pytest.approx(optimality(other[:3], least[:3]), rel=1e-14)
    assert np.isnan(optimality(d(INFINITE), d(INFINITE)))


def test_nearer_than_an_envelope_is_above_one():
    assert optimality(d(0.5, 2), d(1, 2)) == pytest.approx(1 + 0.25 / 0.5)


def test_equal_least_distances_leave_nothing_to_lose():
    assert np.isnan(optimality(d(2, 3), d(2, 2)))
    assert np.isnan(optimality(d(2), d(2)))


def test_trapezoids_join_the_points_of_a_curve():
    # Envelope: (0, 1), (1, 1/2), (2, 0), area 1; attack: (0, 1), (1.5, 1/2), (2, 0), area 1.25.
    assert by_trapezoids(d(1.5, 2), d(1, 2)) == pytest.approx(1 - 0.25 / (2 - 1))
    assert by_trapezoids(d(1, 2), d(1, 2)) == 1


def test_on_few_images_trapezoids_exceed_one_for_an_attack_that_finds_nothing():
    # Attack: one line from (0, 1) to (2, 0), area 1; envelope (0, 1), (1, 2/3), (1.9, 1/3), (2, 0).
    area = (1 + 2 / 3) / 2 + 0.9 / 2 + 0.1 / 6
    found = by_trapezoids(d(2, 2, 2), d(1, 1.9, 2))
    assert found == pytest.approx(1 - (1 - area) / (2 - area))
    assert found > 1
    assert optimality(d(2, 2, 2), d(1, 1.9, 2)) == pytest.approx(0, abs=1e-14)


def test_on_many_images_both_forms_agree():
    rng = np.random.default_rng(0)
    least = rng.uniform(0, 1, 20_000)
    other = least * rng.uniform(1, 1.5, 20_000)
    assert by_trapezoids(other, least) == pytest.approx(optimality(other, least), abs=1e-3)


def test_an_envelope_leaves_out_what_it_is_told_to():
    found = {"a": d(1, INFINITE), "b": d(2, 3), "c": d(INFINITE, 4)}
    assert envelope(found).tolist() == [1, 3]
    assert envelope(found, without=["a", "b"]).tolist() == [INFINITE, 4]
    with pytest.raises(ValueError, match="at least one"):
        envelope(found, without=["a", "b", "c"])


def test_ratios_and_the_worst_image():
    least, other = d(1, 2, 0, INFINITE), d(2, 16, 0, INFINITE)
    assert mean_ratio(other, least) == pytest.approx(4)
    assert worst(other, least) == (1, 8)
    assert mean_ratio(d(1, INFINITE), d(1, 2)) == INFINITE
    assert worst(d(1, INFINITE), d(1, 2)) == (1, INFINITE)
    assert worst(d(INFINITE), d(INFINITE))[0] == -1


def test_global_optimality_is_the_mean_over_models():
    assert global_optimality([0.5, 1.0]) == 0.75
