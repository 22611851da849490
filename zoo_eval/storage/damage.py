"""Damage: a file that counts and is gone, or is not what was written."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

GONE = "is gone"
# What Arrow raises on a damaged file.
UNREADABLE = (pa.ArrowException, OSError, ValueError)


@dataclass(frozen=True)
class Damage:
    """A file that counts and is not what was written: what it is now, and whose rows it had."""

    path: str
    what: str
    commits: Sequence[str] = ()


def said(name: str, damages: Sequence[Damage]) -> str:
    """Damage of a store on one line, and what to do."""
    first, *more = damages
    others = f", and {len(more)} more files are damaged or gone" if more else ""
    return (
        f"store {name}: {first.path} {first.what}{others}; restore what is missing, or run "
        f"`zoo-eval doctor --store {name} --repair`: the trials concerned run again"
    )
