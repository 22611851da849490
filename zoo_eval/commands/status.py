"""How a sweep goes, or went, said by its store: from any machine that reads it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from zoo_eval.files.names import printable, say
from zoo_eval.privacy.addresses import in_text
from zoo_eval.queries.connection import connect
from zoo_eval.storage import bulletin
from zoo_eval.storage.driver import Driver, driver
from zoo_eval.store import Store
from zoo_eval.units import duration

WATCH_S = 5.0
COUNTS = ("wanted", "done", "pending", "failed", "refused")


@dataclass(frozen=True)
class Status:
    """What a store says of its last sweep.

    Attributes:
        store: its address, as it may be shown.
        driver: who is at work on it.
        sweep: what the driver said last of its sweep; empty where it said nothing that can be read.
        trials: all trials of the store, of whatever sweep, by their last status.
        failures: those of them that are not done, by the class of their failure.
    """

    store: str
    driver: Driver
    sweep: Mapping[str, Any] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)


def status(store: Store) -> Status:
    """What a store says now.

    Raises:
        StoreError: the store is damaged, or cannot be read.
    """
    found = bulletin.last(store.objects)
    now = driver(store.objects, found)
    trials = dict(Counter(store.ledger().status.values()))
    # What another driver said, before this one came, is not of this sweep.
    is_its_own = found is not None and found[0].get("run") == now.run
    said = found[0] if found is not None and is_its_own else {}
    failures = _failures(store) if trials.keys() - {"ok"} else {}
    return Status(store.name, now, said, trials, failures)


def _failures(store: Store) -> dict[str, int]:
    """Trials that are not done, by class; by the error's own where no class was written."""
    found = connect(store).rows(
        "SELECT coalesce(failure_class, error_type) AS class, count(*) AS n FROM failures "
        "GROUP BY class ORDER BY n DESC, class"
    )
    return {row["class"]: row["n"] for row in found}


def show(uri: str, form: str, *, watch: bool, sleep: Callable[[float], None] = time.sleep) -> None:
    """Prints it, once or, until no driver is at work any more, every few seconds.

    Raises:
        BadInput: there is no store.
        StoreError: the store is damaged, or cannot be read.
    """
    store = Store(uri)
    while True:
        found = status(store)
        if form == "json":
            print(json.dumps(_told(found), indent=None if watch else 1, default=str), flush=True)
        else:
            for line in as_lines(found):
                say(line)
        if not watch or found.driver.state in ("none", "dead"):
            return
        if form != "json":
            say("")
        sleep(WATCH_S)


def _told(found: Status) -> dict[str, Any]:
    told = asdict(found)
    for name in ("since", "seen"):
        told["driver"][name] = (
            _moment(told["driver"][name], "seconds") if found.driver.seen else None
        )
    return told


def as_lines(found: Status) -> list[str]:
    """The same in lines to read."""
    lines = [f"store {found.store}: {_of_driver(found)}"]
    lines += list(_of_sweep(found.sweep, is_over=found.driver.state != "working"))
    counts = [f"{found.trials[name]} {name}" for name in sorted(found.trials)]
    lines.append(f"the ledger, of all sweeps: {', '.join(counts) or 'no trial yet'}")
    if found.failures:
        classes = ", ".join(f"{name} {n}" for name, n in found.failures.items())
        lines.append(f"not done, by class: {classes}; the view `failures` has each")
    lines += [f"  | {printable(in_text(line))}" for line in _strings(found.sweep.get("lines"))]
    return lines


def _of_driver(found: Status) -> str:
    one, ended = found.driver, found.sweep.get("ended")
    if one.state == "none":
        return f"no sweep is at work; the last one: {ended}" if ended else "no sweep is at work"
    where = f"on {one.host} (process {one.process}) since {_moment(one.since)}"
    if one.state == "working":
        return f"a sweep is at work {where}, last sign of life {one.silent_s or 0:.0f} s ago"
    if one.state == "unknown":
        return (
            f"a sweep came {where}, last sign of life {_moment(one.seen, 'seconds')}; whether it lives "
            "cannot be told: its clock can only be asked with the right to write"
        )
    silent = "" if one.silent_s is None else f" no sign of life for {one.silent_s:.0f} s;"
    return f"the sweep {where} is dead:{silent} run the same command again to go on"


def _of_sweep(said: Mapping[str, Any], *, is_over: bool) -> Iterator[str]:
    """Lines of what the driver said, as far as it is what a driver says."""
    if not all(isinstance(said.get(name), int) for name in COUNTS):
        if said and not is_over:
            yield "its plan is in the making"
        elif not is_over:
            yield "it has said nothing yet of how far it is"
        return
    yield f"{said['wanted']} trials wanted: " + ", ".join(f"{said[n]} {n}" for n in COUNTS[1:])
    if is_over:
        return
    slots = said.get("at_work")
    slots = slots if isinstance(slots, dict) else {}
    figures = [f"{len(slots)} slots at work"]
    if isinstance(rate := said.get("image_passes_per_s"), int | float):
        figures.append(f"{rate:.1f} image passes/s")
    if isinstance(so_far := said.get("so_far_s"), int | float):
        figures.append(f"{duration(so_far)} so far")
    if isinstance(left := said.get("left_s"), int | float):
        by = " by the plan's estimate" if said.get("left_by_plan") else ""
        figures.append(f"{duration(left)} left{by}")
    yield ", ".join(figures)
    for slot, what in slots.items():
        yield f"  slot {printable(str(slot))}: {printable(in_text(str(what)))}"


def _strings(found: Any) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _moment(seconds: float, precision: str = "minutes") -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(
        "%Y-%m-%d %H:%M:%S UTC" if precision == "seconds" else "%Y-%m-%d %H:%M UTC"
    )
