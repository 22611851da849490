"""Damage: a file that counts and is gone, or is not what was written."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from zoo_eval.errors import StoreError

GONE = "is gone"
# What Arrow raises on a damaged file.
UNREADABLE = (pa.ArrowException, OSError, ValueError)


@dataclass(frozen=True)
class Damage:
    """A file that counts and is not what was written: what it is now, and whose rows it had.

    What `is_spare` another file says too, and is whole.
    """

    path: str
    what: str
    commits: Sequence[str] = ()
    is_spare: bool = False


def said(name: str, damages: Sequence[Damage]) -> str:
    """Damage of a store on one line, and what to do."""
    first, *more = sorted(damages, key=lambda one: one.is_spare)
    if first.is_spare and not more:
        return (
            f"store {name}: {first.path} {first.what}; nothing is lost, for the file that it repeats is "
            f"whole: `zoo-eval doctor --store {name} --repair` makes it again"
        )
    others = f", and {len(more)} more files are damaged or gone" if more else ""
    return (
        f"store {name}: {first.path} {first.what}{others}; restore what is missing, or run "
        f"`zoo-eval doctor --store {name} --repair`: the trials concerned run again"
    )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Has an error of a store's disk or bucket said with what to do.

    Raises:
        StoreError: there was one.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"store {name} cannot be read ({error}); check the address and run again"
        ) from error


@contextmanager
def writing(name: str) -> Iterator[None]:
    """As `reading`, where something was to be written.

    Raises:
        StoreError: there was an error.
    """
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        reason = "no space is left" if full else str(error)
        raise StoreError(
            f"store {name} cannot be written: {reason}; what was committed is kept: "
            f"{'free space' if full else 'mend it'} and run the same command again"
        ) from error
