"""Session: a Ray that is joined, or started for a run alone."""

import atexit
import ipaddress
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import cloudpickle
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

from zoo_eval.errors import BadInput, one_line
from zoo_eval.runners import own_ray
from zoo_eval.runners.head import Head, answers
from zoo_eval.runners.slots import Capacity, SlotShape

ANSWER_S = 10.0
# How long a head may be away: one that is restarted elsewhere, and one's own, which nobody restarts.
HEAD_PATIENCE_S, OWN_PATIENCE_S = 30.0, 2.0


def connect() -> None:
    """Joins the cluster at `RAY_ADDRESS` (a job's own, inside a job), else starts one for this run.

    A cluster that merely happens to run on this machine is somebody else's: it is left alone.

    Raises:
        BadInput: there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    try:
        with _own_signals():
            if address is None:
                start()
            else:
                # Ray's default for this differs between its commands; a user's own choice is kept.
                os.environ.setdefault("RAY_AUTH_MODE", "token")
                _read_environment_again()
                _check_answers(address)
                # A job's log is for what is said here; Ray's own word of it is a warning or an error.
                ray.init(address=address, logging_level=logging.WARNING)
    # Where one of its processes does not start in time, Ray raises bare exceptions.
    except Exception as error:
        raise BadInput(
            f"no Ray cluster can be used ({one_line(error)}); start one (ray start --head) and set "
            "RAY_ADDRESS and RAY_AUTH_MODE, or use --runner local"
        ) from error


def _check_answers(address: str) -> None:
    """Ray itself tries for minutes; what is no host and port (`auto`, `ray://...`) is Ray's to tell."""
    found = _host_and_port(address)
    if found is not None and not answers(*found, timeout_s=ANSWER_S):
        raise ConnectionError(f"nothing answers at {address}")


def _host_and_port(address: str) -> tuple[str, int] | None:
    host, _, port = address.rpartition(":")
    if "/" in host or not host or not port.isdecimal():
        return None
    return host.strip("[]"), int(port)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps what is done at SIGTERM, which Ray changes when it is started."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def start(**resources: Any) -> None:
    """Starts a Ray that ends with this process, for it alone: see `own_ray`.

    Raises:
        RuntimeError: it does not start, or would listen on more than the loopback address.
    """
    own_ray.end_abandoned()
    folder = own_ray.private_folder()
    guard = own_ray.guard(folder)
    atexit.register(_end, guard)
    settings = own_ray.settings(folder)
    # Whoever switched tokens off wants it so; a token of another cluster would be of no use here.
    os.environ.setdefault("RAY_AUTH_MODE", settings.pop("RAY_AUTH_MODE"))
    os.environ.pop("RAY_AUTH_TOKEN", None)
    with _loopback_alone(settings.pop(own_ray.LOOPBACK_SWITCH)):
        os.environ.update(settings)
        _read_environment_again()
        # Sockets and logs below the folder, because Ray lets everybody write to its own.
        temp_dir = str(folder / "ray")
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level=logging.WARNING,
            _temp_dir=temp_dir,
            **resources,
        )
    if outside := [one for one in _addresses() if not ipaddress.ip_address(one).is_loopback]:
        _end(guard)
        raise RuntimeError(f"Ray listens on {outside[0]}, which others can reach")


def _read_environment_again() -> None:
    # Ray read it when it was imported, and the token when it last started.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _loopback_alone(switch: str) -> Iterator[None]:
    """What Ray takes a node's address from, for as long as one is started."""
    before = os.environ.get(own_ray.LOOPBACK_SWITCH), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[own_ray.LOOPBACK_SWITCH] = switch
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        os.environ.pop(own_ray.LOOPBACK_SWITCH)
        if before[0] is not None:
            os.environ[own_ray.LOOPBACK_SWITCH] = before[0]
        ray_constants.ENABLE_RAY_CLUSTER = before[1]


def _end(guard: "subprocess.Popen[bytes]") -> None:
    ray.shutdown()
    # It ends what is left, and removes the folder.
    guard.communicate()


def _addresses() -> set[str]:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray
    return {node["NodeManagerAddress"] for node in nodes if node["Alive"]}


def single_machine() -> bool:
    """Whether every node of the cluster is this machine."""
    return len(_addresses()) <= 1


def capacity() -> Capacity:
    """The GPUs, by class too, and the CPUs that the cluster has in all."""
    return Capacity.of(ray.nodes())  # type: ignore[no-untyped-call]  # Ray


def slot_shape(gpus_per_model: float | str) -> SlotShape:
    """A slot's request: a whole GPU by default; a CPU where the cluster has CPUs but no GPU."""
    if gpus_per_model != "auto":
        return SlotShape(float(gpus_per_model), 1)
    there = capacity()
    # A cluster with neither scales its GPU workers up from zero: asking is what starts them.
    return SlotShape(1, 1) if there.num_gpus or not there.num_cpus else SlotShape(0, 1)


def why_unsendable(thing: object) -> str | None:
    """Why something cannot be sent to another process; None where it can."""
    try:
        cloudpickle.dumps(thing)  # type: ignore[no-untyped-call]  # Ray
    except Exception as error:  # noqa: BLE001  # whatever a foreign object raises is the reason
        return one_line(error)
    return None


def head() -> Head:
    """What this process cannot do without: the cluster's head, and the raylet of this machine."""
    here = ray.get_runtime_context()
    address = _host_and_port(here.gcs_address)
    assert address is not None, here.gcs_address
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray
    (node,) = (one for one in nodes if one["NodeID"] == here.get_node_id())
    services = {
        "head": address,
        "raylet": (node["NodeManagerAddress"], node["NodeManagerPort"]),
    }
    return Head(services, OWN_PATIENCE_S if "RAY_ADDRESS" not in os.environ else HEAD_PATIENCE_S)
