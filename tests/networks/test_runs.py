"""Layers written in runs are those that were written."""

import pytest

from zoo_eval.networks.runs import Layer, from_text, names_text, to_text

ROWS = {
    "a run": [Layer(f"layer1.{i}", 7 + 5 * i, 12) for i in range(4)],
    "two steps": [Layer("b.0", 1, 3), Layer("b.1", 2, 3), Layer("b.2", 9, 3), Layer("b.3", 16, 3)],
    "other sizes": [Layer("b.0", 1, 3), Layer("b.1", 2, 4)],
    "a gap": [Layer("b.0", 1, 3), Layer("b.2", 2, 3)],
    "without a dot": [Layer("cell_9", 1, 3), Layer("cell_10", 2, 3)],
    "leading zeros": [Layer("b.08", 1, 3), Layer("b.09", 2, 3), Layer("b.9", 3, 3)],
    "names": [Layer("odd=name", 7, 5), Layer("pooled", 8, 5)],
    "nothing": [],
}


@pytest.mark.parametrize("layers", ROWS.values(), ids=ROWS)
def test_layers_are_those_that_were_written(layers):
    assert list(from_text(to_text(layers))) == layers


def test_a_run_is_short():
    assert to_text(ROWS["a run"]) == "layer1.0..3=7+5:12"
    assert to_text(ROWS["two steps"]) == "b.0..1=1+1:3 b.2..3=9+7:3"


def test_names_are_shown_in_runs():
    assert (
        names_text(["a.0", "a.1", "a.3", "s1.b1", "s1.b2", "pooled"])
        == "a.0..1 a.3 s1.b1..2 pooled"
    )
