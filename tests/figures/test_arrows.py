"""Arrows to harmonized models: from the control that a run declared, or the model it was made from."""

import pytest

from tests.queries.zoo import Zoo
from zoo_eval.figures.shown import figures
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

TOP1 = {"timm/x": 0.5, "harmonized/a": 0.75, "harmonized/a_control": 0.6, "local/b": 0.7}


def arrows(tmp_path, *models):
    """Of the figure of tolerances: where each arrow begins and ends."""
    zoo = Zoo(Store(str(tmp_path / "store"), create=True))
    for name in models:
        of = "timm/x" if name in ("harmonized/a", "local/b") else None
        zoo.card(name, harmonized_from=of)
        zoo.accuracy(name, TOP1[name])
        zoo.attack(name, [1.0 + TOP1[name]] * 6, aligned=None)
    run = {"control": "harmonized/a_control", "trained_from": "timm/x", "harmonization_lambda": 1.0}
    zoo.add("harmonize", "training_runs", [run], model="harmonized/a")
    drawn = {one.name: one for one in figures(connect(zoo.commit()))}
    found = drawn["accuracy-vs-tolerance-photos-ddn-l2"].data.get("arrows", [])
    return {row["model"]: (row["from_x"], row["to_x"]) for row in found}


def test_an_arrow_begins_at_the_runs_control_and_without_a_run_at_the_base(tmp_path):
    found = arrows(tmp_path, *TOP1)
    assert found == {
        "harmonized/a": pytest.approx((0.6, 0.75)),
        "local/b": pytest.approx((0.5, 0.7)),
    }


def test_where_the_control_was_not_swept_it_begins_at_the_base(tmp_path):
    found = arrows(tmp_path, "timm/x", "harmonized/a")
    assert found == {"harmonized/a": pytest.approx((0.5, 0.75))}
