"""Wait for the cloud's notice that this machine will be taken away, and drain its node at it.

    python -m jobs.preemption {aws,gcp}

Ray on rented machines has no such watcher of its own; `cluster.yaml` and `cluster.gcp.yaml` start this
one on every worker. From the drain on, the sweep hands the node no more work, and what it loses there is
charged to nobody. It ends once the node drains.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

# What Amazon advises. Google's notice is 30 s long, and the same interval leaves most of it.
INTERVAL_S = 5.0
TIMEOUT_S = 2.0
TOKEN_TTL_S = 21_600
AWS = "http://169.254.169.254"
GCP = "http://metadata.google.internal"
# What Google promises at least, since its notices name no time.
PREEMPTED_S = 30
MAINTENANCE_S = 60
NOT_FOUND, UNAUTHORIZED = 404, 401


@dataclass(frozen=True)
class Notice:
    """That the machine goes: why, and in how many seconds at most."""

    reason: str
    seconds_left: int


class Aws:
    """Amazon's metadata service, asked with a session token (IMDSv2), as new machines require."""

    def __init__(self, address: str = AWS) -> None:
        self.address = address
        self._token = ""

    def notice(self) -> Notice | None:
        """The notice of a spot interruption, where there is one.

        Raises:
            OSError: the service does not answer.
            ValueError: its answer cannot be read.
        """
        try:
            said = json.loads(self._asked("/latest/meta-data/spot/instance-action"))
        except HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            if error.code == UNAUTHORIZED:
                self._token = ""
            raise
        left = datetime.fromisoformat(said["time"]) - datetime.now(UTC)
        return Notice(f"spot: {said['action']}", max(0, int(left.total_seconds())))

    def _asked(self, path: str) -> str:
        if not self._token:
            wanted = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_S)}
            self._token = _answer(self.address + "/latest/api/token", wanted, "PUT")
        return _answer(self.address + path, {"X-aws-ec2-metadata-token": self._token})


class Gcp:
    """Google's metadata service: preemption of spot machines, and maintenance of those with a GPU."""

    def __init__(self, address: str = GCP) -> None:
        self.address = address

    def notice(self) -> Notice | None:
        """The notice of a preemption or of maintenance that ends the machine, where there is one.

        Raises:
            OSError: the service does not answer.
        """
        if self._asked("preempted") == "TRUE":
            return Notice("spot: preempted", PREEMPTED_S)
        if self._asked("maintenance-event") == "TERMINATE_ON_HOST_MAINTENANCE":
            return Notice("host maintenance", MAINTENANCE_S)
        return None

    def _asked(self, key: str) -> str:
        path = f"/computeMetadata/v1/instance/{key}"
        return _answer(self.address + path, {"Metadata-Flavor": "Google"}).strip()


CLOUDS: Mapping[str, Callable[..., Aws | Gcp]] = {"aws": Aws, "gcp": Gcp}


def _answer(address: str, headers: dict[str, str], method: str = "GET") -> str:
    # A proxy would be asked about its own machine.
    opener = build_opener(ProxyHandler({}))
    request = Request(address, headers=headers, method=method)
    with opener.open(request, timeout=TIMEOUT_S) as response:
        return str(response.read().decode())


def drain(notice: Notice) -> bool:
    """Tells Ray that this node goes; whether it took note of it."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node"]
    command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", notice.reason]
    command += ["--deadline-remaining-seconds", str(notice.seconds_left)]
    return subprocess.run(command, check=False).returncode == 0


def watch(
    cloud: Aws | Gcp, drained: Callable[[Notice], bool] = drain, interval_s: float = INTERVAL_S
) -> Notice:
    """Waits for a notice until Ray took note of it; a service or a Ray that fails is asked again."""
    silent = False
    while True:
        try:
            notice = cloud.notice()
            silent = False
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            if not silent:
                print(f"preemption: the metadata service says nothing ({error})", flush=True)
            notice, silent = None, True
        if notice is not None:
            print(f"preemption: {notice.reason} in {notice.seconds_left} s", flush=True)
            if drained(notice):
                return notice
        time.sleep(interval_s)


def main(words: list[str] | None = None) -> int:
    """Watches until the node drains; 0."""
    parser = argparse.ArgumentParser(prog="jobs.preemption", description=__doc__)
    parser.add_argument("cloud", choices=sorted(CLOUDS))
    parser.add_argument("--address", help="of the metadata service, instead of the cloud's own")
    parser.add_argument("--interval-s", type=float, default=INTERVAL_S)
    asked = parser.parse_args(words)
    cloud = CLOUDS[asked.cloud](*([asked.address] if asked.address else []))
    watch(cloud, interval_s=asked.interval_s)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
