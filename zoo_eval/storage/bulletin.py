"""Bulletin: what a driver says of its sweep while it runs, and what it is told, beside the ledger.

Two objects that are written over: the driver's own words, every few seconds, and the wish that it end.
Nothing that counts rests on them: damaged or gone they are as if nobody had written them. Each names the
run that it is of, as the lease does, so that no clock is asked whether one is old.
"""

import re
from typing import Any

from zoo_eval.storage.objects import Found, Objects
from zoo_eval.storage.records import as_bytes, from_bytes

FOLDER = "run"
BULLETIN = f"{FOLDER}/bulletin.json"
CANCEL = f"{FOLDER}/cancel.json"
NAME = re.compile(r"(bulletin|cancel)\.json")


def publish(objects: Objects, run: str, content: dict[str, Any]) -> None:
    """Replaces what was said last.

    Raises:
        OSError: the store cannot be written.
    """
    objects.replace(BULLETIN, as_bytes({**content, "run": run}))


def last(objects: Objects) -> tuple[dict[str, Any], Found] | None:
    """What was said last, whoever said it, and when; None if nothing that can be read was.

    Raises:
        OSError: the store cannot be read.
    """
    said = _read(objects, BULLETIN)
    found = objects.head(BULLETIN) if said else None
    return (said, found) if said and found else None


def ask_to_end(objects: Objects, run: str) -> None:
    """Has the driver of a run end at its next group.

    Raises:
        OSError: the store cannot be written.
    """
    objects.replace(CANCEL, as_bytes({"run": run}))


def is_asked_to_end(objects: Objects, run: str) -> bool:
    """Whether the driver of that very run is asked to end.

    Raises:
        OSError: the store cannot be read.
    """
    said = _read(objects, CANCEL)
    return said is not None and said.get("run") == run


def forget(objects: Objects) -> None:
    """Removes the wish, whichever run it was for: who calls this holds the store, and ends.

    Raises:
        OSError: the store cannot be written.
    """
    objects.delete(CANCEL)


def _read(objects: Objects, path: str) -> dict[str, Any] | None:
    try:
        return from_bytes(objects.get(path))
    except (FileNotFoundError, ValueError):
        return None
