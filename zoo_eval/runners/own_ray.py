"""An own Ray: one that is started for a run, reached from this machine alone, with its own token."""

import os
import secrets
import tempfile
from pathlib import Path

# Said to be for other systems, but it is what makes a node's address 127.0.0.1 on any; and what
# Ray's processes listen on follows from that address.
LOOPBACK_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def private_folder() -> Path:
    """A new folder that its owner alone can enter: for a token, sockets and logs.

    It is made directly in /tmp (or `RAY_TMPDIR`): paths of sockets must stay under 107 bytes.
    """
    return Path(tempfile.mkdtemp(prefix="zoo", dir=os.environ.get("RAY_TMPDIR") or "/tmp"))


def settings(folder: Path) -> dict[str, str]:
    """The environment of every process of a Ray of one's own; its new token is in the folder."""
    token = folder / "token"
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        LOOPBACK_SWITCH: "0",
    }
