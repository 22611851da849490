"""Ending a sweep from elsewhere: a wish in its store, which its driver reads between groups."""

import shlex
from dataclasses import dataclass

from zoo_eval.errors import BadInput, StoreError
from zoo_eval.storage import bulletin
from zoo_eval.storage.driver import driver
from zoo_eval.store import Store


@dataclass(frozen=True)
class Cancellation:
    """Whether a driver was asked to end, and that on one line."""

    is_asked: bool
    said: str


def cancelled(uri: str) -> Cancellation:
    """Asks the driver that is at work on a store to end; it does, at its next group.

    The wish names the run that it is for, as the driver's lease does: no later sweep is meant.

    Raises:
        BadInput: there is no store, or its driver is too old to know of this.
        StoreError: the store cannot be read or written.
    """
    store = Store(uri)
    try:
        now = driver(store.objects, bulletin.last(store.objects))
        where = f"on {now.host} (process {now.process})"
        if now.state == "none":
            return Cancellation(
                False, f"store {store.name}: no sweep is at work; nothing to cancel"
            )
        if now.state == "dead":
            return Cancellation(
                False,
                f"store {store.name}: the sweep {where} is dead; nothing to cancel: the same command "
                "goes on with what it left",
            )
        if not now.run:
            raise BadInput(
                f"store {store.name}: the sweep {where} is of a version that cannot be asked; stop its "
                "process"
            )
        bulletin.ask_to_end(store.objects, now.run)
    except OSError as error:
        raise StoreError(f"store {store.name} cannot be reached ({error}); try again") from error
    return Cancellation(
        True,
        f"store {store.name}: the sweep {where} is asked to end; it does at its next group, and "
        f"`zoo-eval status --store {shlex.quote(store.name)}` says when",
    )
