"""On Ray Train: two workers learn what one does, also where one of them, or the driver, is lost on the way."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.harmonizer.conftest import tiny
from tests.harmonizer.test_training import metrics, once_only, ran
from zoo_eval.cli import main
from zoo_eval.errors import Refusal
from zoo_eval.harmonizer import on_ray
from zoo_eval.store import Store

FOLDER = "ZOO_EVAL_TESTS_FOLDER"
# Passes in training mode: the double backward is tried once, an epoch has four steps.
AT = 8
PATIENCE_S = 600
PLACE = ("tests.harmonizer.conftest:", "tests.harmonizer.test_on_ray:")


class Troubled(nn.Sequential):
    """On Ray, once, in the middle of an epoch, something happens to the second of two workers."""

    n_passes = 0
    marker = ""

    def forward(self, pixels):
        self.n_passes += self.training
        distributed = torch.distributed
        if self.n_passes == AT and distributed.is_initialized() and distributed.get_rank() == 1:
            marker = Path(os.environ[FOLDER]) / self.marker
            if not marker.exists():
                marker.touch()
                self.happens()
        return super().forward(pixels)


class Killed(Troubled):
    marker = "killed"

    def happens(self):
        os.kill(os.getpid(), 9)


class Waiting(Troubled):
    """Until the driver is gone, and the worker with it."""

    marker = "waiting"

    def happens(self):
        time.sleep(PATIENCE_S)


def killed():
    net, transform = tiny()
    return Killed(*net), transform


def waiting():
    net, transform = tiny()
    return Waiting(*net), transform


@pytest.fixture(scope="module")
def own_ray(tmp_path_factory):
    """A Ray whose workers find the folder of markers."""
    import ray

    from zoo_eval.runners.on_ray import session

    folder = tmp_path_factory.mktemp("markers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder))
        patch.setenv("PYTHONPATH", os.getcwd())
        # Only now: its workers have the environment that it was started in.
        session.start(num_cpus=3, num_gpus=0, object_store_memory=10**8)
        yield folder
        ray.shutdown()


def assert_alike(whole: Store, shared: Store) -> None:
    """Each metric of each epoch once, and of the same value."""
    assert len(metrics(shared)) == 12
    for one, other in zip(metrics(whole), metrics(shared), strict=True):
        assert one[:4] == other[:4]
        assert one[4] == pytest.approx(other[4], abs=1e-5)


@pytest.mark.ray
def test_two_workers_learn_what_one_does_although_one_is_killed(
    own_ray, material, written, tmp_path, capsys
):
    whole = ran(material(PLACE, factory="killed", store="whole"))
    crowded = written(training="workers = 4", harmonize="control = false")
    assert main(["harmonize", str(crowded)]) == 2
    assert "workers = 4, but this machine has room for 3" in capsys.readouterr().err
    path = written(PLACE, factory="killed", harmonize="control = false", training="workers = 2")
    assert main(["harmonize", str(path)]) == 0
    assert (own_ray / "killed").exists()
    assert_alike(whole, Store(str(tmp_path / "store")))


@pytest.mark.ray
def test_a_run_whose_driver_is_killed_goes_on_and_ends_as_if_it_had_not_been(
    own_ray, material, written, tmp_path
):
    import ray

    whole = ran(material(PLACE, factory="waiting", store="whole"))
    path = written(PLACE, factory="waiting", harmonize="control = false", training="workers = 2")
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-m", "zoo_eval", "harmonize", str(path)],
        env={**os.environ, "RAY_ADDRESS": address}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    while not (own_ray / "waiting").exists():
        assert time.monotonic() < deadline
        assert driver.poll() is None
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    store = Store(str(tmp_path / "store"))
    assert {row[1] for row in metrics(store)} == {1}
    assert main(["harmonize", str(path)]) == 0
    assert_alike(whole, Store(str(tmp_path / "store")))


@pytest.mark.ray
def test_what_no_other_start_would_change_ends_the_run_at_once(
    own_ray, written, capsys, monkeypatch
):
    alone = "control = false"
    path = written(("learning_rate = 0.01", "learning_rate = 1e30"), harmonize=alone, store="far")
    assert main(["harmonize", str(path)]) == 1
    assert "the loss is " in capsys.readouterr().out
    place = (PLACE[0], "tests.harmonizer.test_training:")
    path = written(place, factory=once_only.__name__, harmonize=alone, store="refused")
    assert main(["harmonize", str(path)]) == 1
    said = capsys.readouterr().err
    assert "no double backward at layer '0' (OnceOnly)" in said
    assert "run the same command again" not in said
    assert on_ray.ENDINGS["Refusal"] is Refusal
