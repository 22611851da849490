"""Held: what a recording's files hold, before it meets its stimuli; it says what that is, and writes it anew."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput
from zoo_eval.recordings.target_choice import Selects

N_BINS = 8


@dataclass(frozen=True)
class Chart:
    """How many there are of each of several values, or within each of several ranges."""

    title: str
    bars: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Inspection:
    """What is held: how many of what, what else is to be said by name, and what is to be drawn."""

    counts: Mapping[str, int]
    facts: Mapping[str, str] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Written:
    """A recording that was written: the kind that reads it, and the file that this names in the folder."""

    kind: str
    path: str = ""


class Held(ABC):
    """What a recording's files hold."""

    @abstractmethod
    def inspection(self) -> Inspection:
        """What that is; no more is read than a second allows.

        Raises:
            BadInput: a file is damaged.
        """

    def selected(self, condition: str, select: Selects) -> "Held":
        """The same with those targets alone that fulfil a condition in SQL.

        Raises:
            BadInput: there are no targets, or the condition is wrong or fulfilled by none.
        """
        raise BadInput("there are no targets to select; remove `targets`")

    @abstractmethod
    def write(self, folder: Path, most_bytes: int) -> Written:
        """Writes it into an empty folder, in the simple format that this package has for it.

        Raises:
            BadInput: a file is damaged, or what is held lacks what that format needs.
            OSError: the folder cannot be written.
        """


def counted(title: str, values: Iterable[Any], unit: str = "") -> Chart:
    """How often each value occurs, values ascending."""
    found = sorted(Counter(values).items(), key=lambda one: one[0])
    return Chart(title, tuple((f"{value}{unit}", n) for value, n in found))


def histogram(title: str, values: npt.NDArray[Any]) -> Chart:
    """How many of some numbers, of which those that are not finite are left out, are in each of equal ranges."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return Chart(title, ())
    low, high = float(known.min()), float(known.max())
    if low == high:
        return Chart(title, ((f"{low:.3g}", len(known)),))
    # In parts of the range, however narrow it is: NumPy's own bins must differ.
    shares = (known / 2 - low / 2) / (high / 2 - low / 2)
    counts = np.bincount(
        np.minimum((shares * N_BINS).astype(np.int64), N_BINS - 1), minlength=N_BINS
    )
    edges = [low * (1 - part / N_BINS) + high * (part / N_BINS) for part in range(N_BINS + 1)]
    labels = [f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)]
    return Chart(title, tuple(zip(labels, counts.tolist(), strict=True)))
