"""NSD's images: the bricks of nsd_stimuli.hdf5 or of NSD-synthetic, all of them or those of a subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli import ids as listed_ids
from zoo_eval.stimuli import matlab_lists
from zoo_eval.stimuli.folder import stamp
from zoo_eval.stimuli.hdf5_rows import Hdf5Rows
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.stimulus_set import (
    Images,
    Pixels,
    StimuliSection,
    StimulusSet,
    Sweepmates,
)

Names = Literal["nsd", "nsdsynthetic"]
# In how many digits a published number is written.
DIGITS = {"nsd": 5, "nsdsynthetic": 3}
# Of 750 trials each, by subject: who saw which of their 10,000 images.
SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
TRIALS = 750
Subject = Annotated[int, Field(ge=1, le=len(SESSIONS))]


class NsdSection(StimuliSection):
    """Images in NSD's HDF5 bricks; ids are nsd-00001 and on, by their place among the 73,000, from 1.

    `subject` takes what that subject saw in the sessions that were recorded, by `design`
    (nsd_expdesign.mat); `shared` of these the 1,000 that every subject has; `include` names ids, in a
    list or in a text file, one a line. Several bricks are read one after another: with
    `names = "nsdsynthetic"` those of NSD-synthetic are nsdsynthetic-001 and on.
    """

    kind: Literal["nsd"] = "nsd"
    path: SweepPath | tuple[SweepPath, ...]
    dataset: str = "imgBrick"
    names: Names = "nsd"
    design: SweepPath | None = None
    subject: Subject | None = None
    shared: bool = False
    include: tuple[str, ...] | SweepPath | None = None
    limit: Annotated[int, Field(ge=1)] | None = None

    @property
    def is_whole(self) -> bool:
        chosen = (self.subject, self.include, self.limit)
        return chosen == (None, None, None) and not self.shared

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        paths = self.path if isinstance(self.path, tuple) else (self.path,)
        where = f"stimuli {name!r}"
        bricks = tuple(_brick(where, path.resolve(), self.dataset) for path in paths)
        there = tuple(f"{self.names}-{one + 1:0{DIGITS[self.names]}d}" for one in range(_n(bricks)))
        chosen = self._chosen(where, there, known.memory_budget_bytes)[: self.limit]
        ids = tuple(there[one] for one in chosen)
        return StimulusSet(name, ids, BrickImages(bricks, tuple(chosen)), groups=ids)

    def _chosen(self, where: str, there: Sequence[str], most_bytes: int) -> list[int]:
        """Which images, from 0, in their order or in that of `include`."""
        numbers = list(range(len(there)))
        if self.subject is not None or self.shared:
            numbers = self._of_design(where, len(there), most_bytes)
        if self.include is None:
            return numbers
        given = self.include
        wanted = listed_ids.listed(given.resolve()) if isinstance(given, SweepPath) else given
        return _wanted(where, wanted, there, set(numbers))

    def _of_design(self, where: str, n_images: int, most_bytes: int) -> list[int]:
        if self.design is None or self.names != "nsd":
            raise BadInput(
                f"{where}: `subject` and `shared` are of NSD's own design; give nsd_expdesign.mat as "
                "`design`, or leave them out"
            )
        path = self.design.resolve()
        found = matlab_lists.numbers(
            f"{where}: {path}", path, ("subjectim", "masterordering", "sharedix"), most_bytes
        )
        numbers = set(found["sharedix"].ravel().tolist())
        if self.subject is not None:
            trials = found["masterordering"].ravel()[: SESSIONS[self.subject - 1] * TRIALS]
            _check_design(f"{where}: {path}", found["subjectim"].shape, trials)
            seen = set(found["subjectim"][self.subject - 1, trials - 1].tolist())
            numbers = numbers & seen if self.shared else seen
        if min(numbers, default=0) < 1 or max(numbers) > n_images:
            raise BadInput(
                f"{where}: {path} names images up to {max(numbers, default=0)}, but there are "
                f"{n_images}; give the brick that it is of"
            )
        return sorted(one - 1 for one in numbers)


@dataclass(frozen=True, eq=False)
class Brick:
    """Images of one size in one dataset (image, row, column, RGB)."""

    rows: Hdf5Rows
    n: int
    shape: Shape


@dataclass(frozen=True, eq=False)
class BrickImages(Images):
    """Some images of bricks, counted through from 0."""

    bricks: tuple[Brick, ...]
    chosen: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.chosen)

    def _place(self, number: int) -> tuple[Brick, int]:
        at = self.chosen[number]
        for brick in self.bricks:
            if at < brick.n:
                return brick, at
            at -= brick.n
        raise IndexError(number)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(self._place(number)[0].shape for number in range(len(self)))

    @cached_property
    def stamp(self) -> str | None:
        files = [[stamp(brick.rows.path), brick.rows.dataset] for brick in self.bricks]
        return digest([files, self.chosen])

    def decode(self, number: int) -> Pixels:
        """An image as it is stored.

        Raises:
            BadInput: it was never written, or its part of the file is damaged.
        """
        brick, at = self._place(number)
        found = brick.rows.row(at)
        if found.shape != brick.shape or found.dtype != np.uint8:
            raise BadInput(f"{brick.rows.path}: holds other images than before; plan again")
        return found


def _brick(where: str, path: Path, dataset: str) -> Brick:
    rows = Hdf5Rows(f"{where}: {path}", path, dataset)
    shape, dtype = rows.described()
    if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8 or not all(shape):
        raise BadInput(
            f"{where}: {path}: {dataset!r} is {dtype} {shape}, not uint8 (image, row, column, 3); name "
            "the `dataset` of the images"
        )
    return Brick(rows, shape[0], shape[1:])


def _n(bricks: Sequence[Brick]) -> int:
    return sum(brick.n for brick in bricks)


def _wanted(where: str, wanted: Sequence[str], there: Sequence[str], left: set[int]) -> list[int]:
    """The numbers of the ids that are asked for, each of which must be there."""
    lookup = listed_ids.Lookup(there)
    found = [lookup.published(f"{where}: include", one) for one in wanted]
    if missing := [one for one, number in zip(wanted, found, strict=True) if number not in left]:
        raise BadInput(
            f"{where}: {missing[0]!r} of `include` is not among its images ({len(missing)} such); "
            f"write ids such as {there[0]!r}"
        )
    return [number for number in found if number is not None]


def _check_design(where: str, shape: tuple[int, ...], trials: np.ndarray) -> None:
    fits = len(shape) == 2 and shape[0] == len(SESSIONS) and len(trials)
    if not fits or trials.min() < 1 or trials.max() > shape[1]:
        raise BadInput(
            f"{where}: `subjectim` {shape} and `masterordering` are not those of NSD's design; give "
            "nsd_expdesign.mat"
        )
