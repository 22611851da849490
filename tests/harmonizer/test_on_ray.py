"""On Ray Train: two workers learn what one does, also where one of them is lost on the way."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.harmonizer.conftest import tiny
from tests.harmonizer.test_training import metrics, ran
from zoo_eval.cli import main
from zoo_eval.store import Store

MARKER = "ZOO_EVAL_TESTS_KILLED"
# Passes in training mode: the double backward is tried once, an epoch has four steps.
DIES_AT = 8


class Dying(nn.Sequential):
    """A network in which the second of two workers is killed, once, in the middle of an epoch."""

    n_passes = 0

    def forward(self, pixels):
        self.n_passes += self.training
        marker = os.environ.get(MARKER)
        is_time = marker is not None and self.n_passes == DIES_AT and not Path(marker).exists()
        if is_time and torch.distributed.get_rank() == 1:
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(pixels)


def dying():
    net, transform = tiny()
    return Dying(*net), transform


@pytest.fixture
def own_ray():
    import ray

    from zoo_eval.runners.on_ray import session

    session.start(num_cpus=3, num_gpus=0, object_store_memory=10**8)
    yield
    ray.shutdown()


@pytest.mark.ray
def test_two_workers_learn_what_one_does_although_one_is_killed(
    monkeypatch, material, written, tmp_path, request, capsys
):
    factory = "dying"
    place = ("tests.harmonizer.conftest:", "tests.harmonizer.test_on_ray:")
    whole = ran(material(place, factory=factory, store="whole"))
    monkeypatch.setenv(MARKER, str(tmp_path / "killed"))
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    # Only now: its workers have the environment that it was started in.
    request.getfixturevalue("own_ray")
    crowded = written(training="workers = 4", harmonize="control = false")
    assert main(["harmonize", str(crowded)]) == 2
    assert "workers = 4, but this machine has room for 3" in capsys.readouterr().err
    path = written(place, factory=factory, harmonize="control = false", training="workers = 2")
    assert main(["harmonize", str(path)]) == 0
    assert (tmp_path / "killed").exists()
    shared = metrics(Store(str(tmp_path / "store")))
    assert len(shared) == 12
    for one, other in zip(metrics(whole), shared, strict=True):
        assert one[:4] == other[:4]
        assert one[4] == pytest.approx(other[4], abs=1e-5)
