"""What the processes of a Ray listen on, and whether they do anything for one without its token."""

import ipaddress
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import grpc
import psutil

# One call of each of Ray's services, none of which would change anything.
CALLS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/GetNodeStats",
    "NodeManagerService/RequestWorkerLease",
    "ObjectManagerService/Pull",
    "CoreWorkerService/PushTask",
    "ReporterService/GetTraceback",
    "RayletDriver/ClusterInfo",
)
# Refused calls that show that the right questions were asked, and how long services may take.
ENOUGH, PATIENCE_S = 4, 60
JOIN = """
import os, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print("ran", ray.get(ray.remote(lambda: os.getpid()).options(num_cpus=0).remote(), timeout=60))
"""


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def command(process: psutil.Process) -> str:
    """Its command line, or the title that it gave itself; "" of one that is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def listening(pid: int) -> Iterator[tuple[psutil.Process, str, int]]:
    """Every address and port that a process or what it started listens on, or takes datagrams at."""
    for process in family(pid):
        try:
            connections = process.net_connections("inet")
        except psutil.Error:
            continue
        for one in connections:
            if one.status == psutil.CONN_LISTEN or (one.type == socket.SOCK_DGRAM and one.laddr):
                yield process, one.laddr.ip, one.laddr.port


def open_to_others(pid: int) -> list[str]:
    """What can be reached from another machine; fails where nothing listens at all."""
    everything = list(listening(pid))
    assert everything, "no process listens: nothing was looked at"
    return [
        f"{process.name()} at {ip}:{port}"
        for process, ip, port in everything
        if not _is_loopback(ip)
    ]


def _is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def open_to_strangers(pid: int) -> list[str]:
    """What does more than refuse, for a caller without the token; metrics alone are for all.

    Services come up one after another: they are asked again until enough of them are there.
    """
    for _ in range(PATIENCE_S):
        found, n_refusals = _asked_by_a_stranger(pid)
        if found or n_refusals > ENOUGH:
            return found
        time.sleep(1)
    raise AssertionError("hardly anything refused: the right questions were not asked")


def _asked_by_a_stranger(pid: int) -> tuple[list[str], int]:
    """What did not refuse, and how many calls were refused."""
    found, n_refusals = [], 0
    for process, _, port in listening(pid):
        if process.status() == psutil.STATUS_STOPPED:
            continue
        answers = {call: _called(port, call) for call in CALLS}
        if set(answers.values()) == {"UNAVAILABLE"}:
            answers = _fetched(port)
        n_refusals += sum(one in ("UNAUTHENTICATED", "401") for one in answers.values())
        found += [
            f"{process.name()} at {port}: {call}: {answer}"
            for call, answer in answers.items()
            if answer not in ("UNAUTHENTICATED", "UNIMPLEMENTED", "401", "metrics", "gone")
        ]
    return found, n_refusals


def _called(port: int, call: str) -> str:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary(f"/ray.rpc.{call}")(b"", timeout=10)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def _fetched(port: int) -> dict[str, str]:
    return {path: _got(f"http://127.0.0.1:{port}{path}") for path in ("/api/jobs/", "/api/version")}


def _got(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=10) as page:
            text = page.read()
    except urllib.error.HTTPError as error:
        return str(error.code)
    except ConnectionRefusedError:
        return "gone"
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return "gone"
        raise
    # A metrics server says the same whatever it is asked.
    return "metrics" if text.startswith(b"# HELP") else "200"


def joined(address: str, **environment: str) -> bool:
    """Whether a process of ours, with this environment alone, gets a task run in a Ray."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Otherwise Ray would look for 127.0.0.1 at the address that others know this machine by.
    bare |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address],
        env=bare | environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    return done.stdout.startswith("ran") and done.returncode == 0
