"""Nodes: a head and some workers on this machine, raylets of their own, to be killed one by one."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import ray
from ray._private import ray_constants
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from tests.runners import doors
from zoo_eval.runners import own_ray

N_WORKERS = 3
NOTICE_S = 6.0
# A node that is gone is noticed in a second instead of fifteen.
IMPATIENT = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
}


class Nodes:
    """A cluster of one head, where nothing runs, and workers of one CPU each."""

    def __init__(self, n_workers: int = N_WORKERS) -> None:
        self.n_workers = n_workers
        self.cluster = self._started()

    def _started(self) -> Cluster:
        # As the product starts its own: reached from this machine alone, with a token.
        os.environ[own_ray.LOOPBACK_SWITCH], ray_constants.ENABLE_RAY_CLUSTER = "0", False
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": IMPATIENT}
        head["object_store_memory"] = 10**8
        cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
        for _ in range(self.n_workers):
            self._add(cluster)
        return cluster

    def join(self) -> None:
        """One worker more."""
        self._add(self.cluster)

    def _add(self, cluster: Cluster) -> None:
        cluster.add_node(num_cpus=1, object_store_memory=10**8, wait=False)

    @property
    def address(self) -> str:
        return str(self.cluster.gcs_address)

    def slots(self, *, busy: bool = True) -> list[psutil.Process]:
        """Processes of slots that are at work, or of whatever worker there is."""
        titles = {one: doors.command(one) for one in _processes(self.cluster.worker_nodes)}
        begins, holds = ("ray::Slot", ".run") if busy else ("ray::", "")
        return [one for one, said in titles.items() if said.startswith(begins) and holds in said]

    def kill_raylet(self, choose: Any) -> bool:
        """Kills a worker's raylet, and starts another worker."""
        nodes = sorted(self.cluster.worker_nodes, key=_raylet)
        self.cluster.remove_node(choose(nodes), allow_graceful=False)
        self._add(self.cluster)
        return True

    def drain(self, choose: Any) -> bool:
        """Gives a node notice as of a spot machine, and takes it away some seconds later."""
        node = choose(sorted(self.cluster.worker_nodes, key=_raylet))
        client = ray._raylet.GcsClient(address=self.address)
        reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
        deadline_ms = int(1000 * (time.time() + NOTICE_S))
        client.drain_node(node.node_id, reason, "planted", deadline_ms)
        time.sleep(NOTICE_S)
        self.cluster.remove_node(node, allow_graceful=False)
        self._add(self.cluster)
        return True

    def kill_gcs(self) -> bool:
        """Kills what every node depends on."""
        self.cluster.head_node.kill_gcs_server(check_alive=False)
        return True

    def begin_again(self) -> None:
        """A new cluster, after the head is gone."""
        self.end()
        self.cluster = self._started()

    def end(self) -> None:
        """Ends all of it."""
        nodes = [*self.cluster.worker_nodes, self.cluster.head_node]
        workers = list(_processes(nodes))
        for node in nodes:
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        for one in workers:
            with suppress(psutil.Error):
                one.kill()
        ray._common.utils.reset_ray_address()


def _processes(nodes: Iterable[Any]) -> Iterator[psutil.Process]:
    """What the raylets of nodes have started, and is there."""
    for node in nodes:
        with suppress(psutil.Error):
            yield from psutil.Process(_raylet(node)).children(recursive=True)


def _raylet(node: Any) -> int:
    (info,) = node.all_processes["raylet"]
    return int(info.process.pid)
