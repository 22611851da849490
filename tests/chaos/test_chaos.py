"""A short part of `make chaos`: a slot, a node and the driver are killed; the tables do not show it."""

import os

import pytest

from tests.chaos.__main__ import ROOT, Chaos
from tests.chaos.models import FLAGS
from tests.chaos.nodes import Nodes
from zoo_eval.runners import own_ray

pytestmark = pytest.mark.ray
SHORT = ["slot killed", "raylet killed", "model: gpu", "driver killed"]


def test_a_disturbed_sweep_ends_with_the_undisturbed_ones_tables(tmp_path, monkeypatch):
    for name in (FLAGS, own_ray.LOOPBACK_SWITCH):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    chaos, nodes = Chaos(tmp_path, seed=0, n_models=6), Nodes()
    try:
        chaos.run(0, list(SHORT), nodes)
    finally:
        nodes.end()
    assert chaos.found == []
    assert chaos.hands == 0
    # Faults come when there is what they need, and a sweep may end before its last ones.
    assert chaos.counts.total() >= 2
