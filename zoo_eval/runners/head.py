"""Head: what a driver cannot do without, looked at from outside.

Ray itself waits a minute for a head that is gone, and then ends the process that asked.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zoo_eval.errors import ZooEvalError

TIMEOUT_S = 5.0


@dataclass
class Head:
    """Addresses (host, port) by what listens there, and how long each may be away."""

    services: Mapping[str, tuple[str, int]]
    patience_s: float
    clock: Callable[[], float] = time.monotonic
    _away_since: dict[str, float] = field(default_factory=dict)

    def is_there(self) -> bool:
        """Whether everything answers.

        Raises:
            ZooEvalError: something was away for too long.
        """
        now = self.clock()
        for name, address in self.services.items():
            if answers(*address, timeout_s=TIMEOUT_S):
                self._away_since.pop(name, None)
            elif now - self._away_since.setdefault(name, now) >= self.patience_s:
                host, port = address
                raise ZooEvalError(
                    f"Ray is gone: its {name} at {host}:{port} does not answer; what was committed is "
                    "kept: run the same command again to go on"
                )
        return not self._away_since


def answers(host: str, port: int, *, timeout_s: float) -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
