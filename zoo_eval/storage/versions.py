"""Versions: what each schema of a store changed, and how what was written before is read by it.

A column that is new needs nothing: where a file has none, its rows have null. Everything else is a version.
"""

from collections.abc import Callable
from dataclasses import dataclass

from zoo_eval.storage import legacy
from zoo_eval.storage.ledger import Entry
from zoo_eval.storage.objects import Objects

# What can not be read is told, with the error.
Unreadable = Callable[[str, Exception], None]


@dataclass(frozen=True)
class Version:
    """A schema; `adopted` reads a store of the one before as the first record of this one's ledger."""

    number: int
    what: str
    adopted: Callable[[Objects, Unreadable], Entry]


# Newest last. A store is of the newest once something is written to it.
VERSIONS = (
    Version(2, "a numbered ledger names every file, with its size and digest", legacy.adopted),
)


def after(number: int) -> Version:
    """The version that a store of another is read by."""
    return next(one for one in VERSIONS if one.number == number + 1)
