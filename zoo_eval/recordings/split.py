"""Split: which stimuli a published protocol trains on, and which it tests."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zoo_eval.digests import digest
from zoo_eval.numerics.splits import Fold, Rows
from zoo_eval.recordings.presentations import Side


@dataclass(frozen=True)
class Split:
    """A published split by name; `sides` are the parts that the stimuli are in, in their order."""

    name: str
    sides: tuple[Side, ...]

    @property
    def parameters(self) -> dict[str, str]:
        """Its part of a trial's identity."""
        return {"split": self.name, "split_digest": digest(list(self.sides))}

    @cached_property
    def fold(self) -> Fold:
        """Its training and test stimuli by number, ascending; those in neither are in neither."""
        return Fold(self._rows("train"), self._rows("test"))

    def _rows(self, side: Side) -> Rows:
        return np.flatnonzero(np.array(self.sides) == side).astype(np.int64)
