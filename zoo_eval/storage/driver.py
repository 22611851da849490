"""Driver: whether one is at work on a store, judged by the store's clock and nobody else's."""

from dataclasses import dataclass
from typing import Any, Literal

from zoo_eval.storage import leases
from zoo_eval.storage.objects import Found, Objects
from zoo_eval.storage.processes import is_gone


@dataclass(frozen=True)
class Driver:
    """The last driver of a store.

    Attributes:
        state: "none" (the last one has left, or there never was one), "working", "dead" (it has not
            left, and holds the store no more), or "unknown": the store's clock cannot be asked.
        run: what its bulletin names, and a wish that it end; "" of older versions.
        host: where it is, with its process.
        process: its number.
        since: when it came, in seconds of the store's clock.
        seen: its last sign of life, in seconds of the store's clock.
        silent_s: how long ago that was; None where the clock cannot be asked.
    """

    state: Literal["none", "working", "dead", "unknown"]
    run: str = ""
    host: str = ""
    process: int = 0
    since: float = 0.0
    seen: float = 0.0
    silent_s: float | None = None


def driver(objects: Objects, bulletin: tuple[dict[str, Any], Found] | None = None) -> Driver:
    """The last driver of a store; `bulletin` is what was said last there, and when.

    Raises:
        OSError: the store cannot be read.
    """
    _, said, found = leases.newest(objects)
    if found is None or (said and said["released"]):
        return Driver("none", str(said.get("run", "")) if said else "")
    said = said or {}
    run, seen = str(said.get("run", "")), found.modified
    if bulletin is not None and run and bulletin[0].get("run") == run:
        seen = max(seen, bulletin[1].modified)
    now = _now(objects)
    return Driver(
        _state(said, found, now),
        run,
        str(said.get("host", "a machine that it did not name")),
        int(said.get("process", 0)),
        float(said.get("since") or found.modified),
        seen,
        None if now is None else max(0.0, now - seen),
    )


def _state(
    said: dict[str, Any], found: Found, now: float | None
) -> Literal["working", "dead", "unknown"]:
    if said and is_gone(said):
        return "dead"
    if now is None:
        return "unknown"
    lasts_s = float(said.get("duration_s", leases.DURATION_S))
    return "working" if now <= found.modified + lasts_s else "dead"


def _now(objects: Objects) -> float | None:
    try:
        return objects.now()
    except OSError:
        # Asking takes the right to write.
        return None
