"""Axes hold what they draw; labels cover nothing; a front is what no other surpasses."""

import itertools

import numpy as np
import pytest

from zoo_eval.figures.axes import axis
from zoo_eval.figures.labels import (
    FONT_PX,
    GAP_PX,
    LETTER,
    LONGEST,
    PLOT_HEIGHT_PX,
    WIDTHS_PX,
    Named,
    placed,
    said,
)
from zoo_eval.numerics.pareto import on_front


def rows(*values, **others):
    return [{"v": value, **others} for value in values]


def test_an_axis_holds_values_intervals_and_levels():
    some = [{"v": 0.5, "v_low": 0.1, "v_high": 0.6}, {"v": 0.4, "v_low": None, "v_high": None}]
    found = axis("v", "V", some, also=[0.9])
    assert (found.low < 0.1, found.high > 0.9) == (True, True)
    assert (found.share(found.low), found.share(found.high)) == pytest.approx((0, 1))
    assert (found.bound, found.drawn) == (False, "v")


def test_a_logarithm_needs_positive_values():
    assert axis("v", "V", rows(0.1, 10.0), log=True).log
    assert not axis("v", "V", rows(0.0, 10.0), log=True).log
    assert not axis("v", "V", rows(None, None), log=True).log
    assert axis("v", "V", rows(0.1, 10.0), log=True).share(1.0) == pytest.approx(0.5, abs=1e-4)


def test_infinite_values_have_room_above_all_others():
    found = axis("v", "V", rows(0.1, 0.4, None), log=True)
    assert (found.bound, found.drawn) == (True, "v_drawn")
    assert found.share(0.4) < 0.9 < found.share(None) == 1


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-30, 0.5, 1e9])
def test_one_value_alone_has_an_axis(value):
    for log in (False, True):
        found = axis("v", "V", rows(value, value), log=log)
        assert found.low < value < found.high
        assert 0.2 < found.share(value) < 0.8


def boxes(labels, points, width):
    by_model = {point.model: point for point in points}
    for label in labels:
        if label.from_width > width:
            continue
        point, long = by_model[label.model], len(label.text) * LETTER * FONT_PX
        x = point.x * width + GAP_PX * label.side[0] - long * (1 - label.side[0]) / 2
        y = (1 - point.y) * PLOT_HEIGHT_PX + GAP_PX * label.side[1]
        y -= (FONT_PX + 1) * (1 - label.side[1]) / 2
        yield x, y, x + long, y + FONT_PX + 1


@pytest.mark.parametrize("n", [1, 12, 300])
def test_labels_cover_neither_points_nor_each_other_and_stay_inside(n):
    rng = np.random.default_rng(n)
    points = [Named(f"timm/model_{i}", *rng.uniform(0, 1, 2)) for i in range(n)]
    labels = placed(points, ["timm/model_0"])
    assert labels
    for width in WIDTHS_PX:
        drawn = list(boxes(labels, points, width))
        for a, b in itertools.combinations(drawn, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for left, top, right, bottom in drawn:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= PLOT_HEIGHT_PX
            for point in points:
                x, y = point.x * width, (1 - point.y) * PLOT_HEIGHT_PX
                assert not (left < x < right and top < y < bottom)
    # A wider plot has more names, or as many.
    counts = [sum(label.from_width <= width for label in labels) for width in WIDTHS_PX]
    assert counts == sorted(counts)


def test_the_same_points_in_another_order_get_the_same_labels():
    rng = np.random.default_rng(3)
    points = [Named(f"timm/model_{i}", *rng.uniform(0, 1, 2)) for i in range(40)]
    key = [(label.model, label.side, label.from_width) for label in placed(points, [])]
    assert [(x.model, x.side, x.from_width) for x in placed(points[::-1], [])] == key


def test_a_line_is_not_covered():
    across = (0.0, 0.5, 1.0, 0.5)
    (label,) = placed([Named("timm/a", 0.5, 0.5)], [], [across])
    assert label.side[1] != 0


def test_names_are_short_and_printable():
    assert said("timm/resnet50.a1_in1k") == "resnet50.a1_in1k"
    assert said("bare") == "bare"
    assert len(said("timm/" + "x" * 90)) == LONGEST
    assert said("local/\x1b[31m").isprintable()


def test_the_front_is_what_no_other_surpasses():
    rng = np.random.default_rng(0)
    # Values that repeat, so that equals and ties in one value happen.
    x, y = rng.integers(0, 8, (2, 60)).astype(float)
    by_definition = [
        not any(
            x[j] >= x[i] and y[j] >= y[i] and (x[j] > x[i] or y[j] > y[i]) for j in range(len(x))
        )
        for i in range(len(x))
    ]
    assert on_front(x, y).tolist() == by_definition


def test_a_front_takes_infinities_and_refuses_nan():
    inf = np.inf
    assert on_front(np.array([1.0, 2.0, 3.0]), np.array([inf, 1.0, -inf])).tolist() == [True] * 3
    # Of equals in one value the better in the other is on it, below every number too.
    assert on_front(np.array([2.0, 1.0]), np.array([-inf, -inf])).tolist() == [True, False]
    assert on_front(np.array([]), np.array([])).tolist() == []
    with pytest.raises(ValueError, match="NaN"):
        on_front(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="1 values of one and 2"):
        on_front(np.ones(1), np.ones(2))
