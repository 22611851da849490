"""Metrics count what happened once, and the dashboard asks for nothing that is not exported."""

import json
import re
from types import SimpleNamespace

import pytest

from tests.docs.pages import ROOT
from zoo_eval.runners import metrics
from zoo_eval.runners.execution import Finished
from zoo_eval.runners.metrics import METRICS, Metrics
from zoo_eval.runners.progress import Progress

DASHBOARD = ROOT / "docs" / "grafana-zoo-eval.json"


class Kept:
    """A counter or gauge that keeps what it was told, by labels."""

    made: dict[str, "Kept"] = {}  # noqa: RUF012

    def __init__(self, name, description, tag_keys):
        assert description
        self.tag_keys = tag_keys
        self.value: dict[tuple[str, ...], float] = {}
        Kept.made[name] = self

    def _key(self, tags):
        assert set(tags or {}) == set(self.tag_keys)
        return tuple((tags or {}).values())

    def inc(self, value, tags=None):
        assert value > 0
        key = self._key(tags)
        self.value[key] = self.value.get(key, 0) + value

    def set(self, value, tags=None):
        self.value[self._key(tags)] = value


@pytest.fixture
def shown(monkeypatch):
    """Metrics of a library that keeps everything, shown at once."""
    monkeypatch.setattr(metrics, "EVERY_S", 0.0)
    Kept.made.clear()
    return Metrics(SimpleNamespace(Counter=Kept, Gauge=Kept))


def test_counters_reach_what_happened_however_often_they_are_shown(shown):
    progress = Progress(10, 1000, lambda line: None, n_models=2)
    for n_failed in (0, 3):
        failures = {"disk": n_failed} if n_failed else {}
        progress.finished(
            "a", Finished(0, 2, n_failed, 0, 50, 100, evaluation="gate", failures=failures)
        )
        shown.show(progress)
        shown.show(progress)
    values = {name: one.value for name, one in Kept.made.items()}
    assert values["zoo_trials"] == {("gate", "ok"): 4, ("gate", "failed"): 3}
    assert values["zoo_failures"] == {("disk",): 3}
    assert values["zoo_image_passes"] == {(): 100}
    assert values["zoo_trials_pending"] == {(): 3}
    assert values["zoo_slots_at_work"] == {(): 0}
    assert set(values) == {one.name for one in METRICS}


def test_no_label_is_a_models_name():
    assert {label for one in METRICS for label in one.labels} == {
        "evaluation", "status", "failure_class",
    }  # fmt: skip


def test_the_dashboard_asks_for_what_is_exported_and_for_all_of_it():
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [one["definition"] for one in dashboard["templating"]["list"] if "definition" in one]
    names = {name for one in asked for name in re.findall(r"\bray_\w+", one)}
    assert names == {one.exported for one in METRICS}
    by = {label for one in asked for group in re.findall(r"by \(([^)]*)\)", one)
          for label in group.split(", ")}  # fmt: skip
    assert by == {"evaluation", "status", "failure_class"}


def test_the_dashboards_panels_do_not_lie_on_each_other():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    covered = set()
    for place in (one["gridPos"] for one in panels):
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered
        covered |= cells
