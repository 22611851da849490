"""Recording: what was measured while stimuli were shown; it answers what a readout asks of it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from torch import Tensor

from zoo_eval.errors import BadInput, nearest
from zoo_eval.numerics.rsa import Dissimilarity, Rdm
from zoo_eval.numerics.splits import Rows
from zoo_eval.recordings.ceiling import Ceiling, CeilingChoices
from zoo_eval.recordings.held import Held
from zoo_eval.recordings.presentations import Side
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.split import Split
from zoo_eval.section import KindSection, kinds
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

Numbers = npt.NDArray[np.float64]


class Recording(ABC):
    """Responses of targets, or dissimilarities alone, to a StimulusSet in its order.

    `target_ids` are () where there is nothing to predict, `subject_ids` () where there is no RDM per
    subject. `by_position` says on one line which row met which stimulus, where no ids did; `notes` are
    what a plan says of what was measured; `splits` are published ones by name; `targets`
    is what is known of them, a row each in the order of `target_ids`, column `target_id` first. What a
    readout cannot have is a BadInput, told at planning by the methods `check_...`,
    whose `reader` is the readout's name.
    """

    name: str
    stimuli: str
    digest: str
    n_stimuli: int
    target_ids: tuple[str, ...]
    subject_ids: tuple[str, ...]
    by_position: str | None = None
    notes: tuple[str, ...] = ()
    splits: Mapping[str, tuple[Side, ...]] = MappingProxyType({})
    targets: pa.Table | None = None

    def split(self, name: str | None) -> Split:
        """The published split of that name, or the only one.

        Raises:
            BadInput: there is none, several where no name is given, or one without a side.
        """
        if name is None and len(self.splits) == 1:
            name = next(iter(self.splits))
        if name is None or name not in self.splits:
            which = "which split" if name is None else f"no split {name!r}"
            known = (
                f"its splits are {', '.join(self.splits)}" if self.splits else "it has no splits"
            )
            raise BadInput(f'recording {self.name!r}: {which}; {known}, set split = "NAME"')
        found = Split(name, self.splits[name])
        if not (len(found.fold.train) and len(found.fold.test)):
            raise BadInput(
                f"recording {self.name!r}: split {name!r} has {len(found.fold.train)} stimuli to train on "
                f"and {len(found.fold.test)} to test on, of {self.n_stimuli}; name the set that was shown"
            )
        return found

    def groups(self, columns: Sequence[str]) -> list[Rows]:
        """Numbers of the targets that have the same values in some columns of `targets`, ascending.

        Raises:
            BadInput: a column that nothing is known in.
        """
        known = [] if self.targets is None else self.targets.column_names
        for column in columns:
            if column not in known:
                raise BadInput(
                    f"recording {self.name!r}: nothing is known of its targets' {column!r}; "
                    f"{nearest(column, known)}"
                )
        assert self.targets is not None
        values = zip(*(self.targets.column(one).to_pylist() for one in columns), strict=True)
        found: dict[tuple[Any, ...], list[int]] = {}
        for number, value in enumerate(values):
            found.setdefault(value, []).append(number)
        return [np.array(numbers) for numbers in found.values()]

    @property
    def complete(self) -> Rows:
        """Numbers of the stimuli that every target answered, ascending."""
        return np.arange(self.n_stimuli)

    @property
    def complete_targets(self) -> Rows:
        """Numbers of the targets that answered every stimulus, ascending."""
        return np.arange(len(self.target_ids))

    @property
    def pending(self) -> "Pending | None":
        """What its numbers are still to be made from; None where they are known."""
        return None

    @abstractmethod
    def check(self, stimuli: StimulusSet) -> None:
        """Refuses a stimulus set that this is not a recording of.

        Raises:
            BadInput: another number of stimuli.
        """

    @abstractmethod
    def check_targets(self, reader: str) -> None:
        """Raises BadInput where there are no targets to predict."""

    @abstractmethod
    def check_rdms(self, reader: str, dissimilarity: Dissimilarity) -> None:
        """Raises BadInput where dissimilarities of this kind would say nothing."""

    @abstractmethod
    def check_products(self, reader: str) -> None:
        """Raises BadInput where inner products of stimuli do not follow from what is known."""

    @abstractmethod
    def check_points(self, reader: str) -> None:
        """Raises BadInput where the stimuli are no points in any space."""

    @property
    @abstractmethod
    def mean(self) -> Numbers:
        """Responses averaged over repetitions, (stimulus, target), NaN where a target did not answer.

        Raises:
            BadInput: there are no targets.
        """

    @abstractmethod
    def rdms_at(self, rows: Rows, dissimilarity: Dissimilarity) -> list[Rdm]:
        """RDMs at some stimuli: one per subject, or one of the mean responses.

        Where dissimilarities alone were recorded, they are what they are.
        """

    @abstractmethod
    def gram_at(self, rows: Rows) -> Tensor:
        """Inner products of stimuli, float64 (stimulus, stimulus), at some of them, centred over these.

        Raises:
            BadInput: they do not follow from what is known.
        """

    @abstractmethod
    def ceilings(self, choices: CeilingChoices) -> Sequence[Ceiling]:
        """The ceilings that can be estimated from it; nothing is computed yet."""

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        """Rows and columns of the grid of positions, and channels, of its maps (see `spatial`).

        Raises:
            BadInput: it holds no maps over positions.
        """
        raise BadInput(
            f"recording {self.name!r} holds no maps over positions; name one that does, as of kind "
            '"spatial_arrays"'
        )

    def spatial(self) -> SpatialMaps:
        """Maps over positions, of its stimuli in their order.

        Raises:
            BadInput: it holds none.
        """
        raise BadInput(
            f"recording {self.name!r} holds no maps over positions; name one that does, as of kind "
            '"spatial_arrays"'
        )


class Pending(Protocol):
    """A recording that is made from a layer of a model, and may then be kept under its digest."""

    @property
    def model(self) -> str:
        """The card's name."""
        ...

    @property
    def layer(self) -> str:
        """The layer's name."""
        ...

    @property
    def digest(self) -> str:
        """The recording's, before and after it is made."""
        ...

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the positions that it is made at; None where it is made of a Gram matrix."""
        ...

    def made(self, source: Numbers) -> Recording:
        """The recording, from the Gram matrix (stimulus, stimulus) of the layer over its stimuli, or its maps.

        Maps are (stimulus, row, column, feature), on the grid, of stimuli resized whole to the input.

        Raises:
            BadInput: the layer cannot give it.
        """
        ...

    def kept(self, table: pa.Table) -> Recording:
        """The recording that `table` was made of."""
        ...

    def table(self, recording: Recording) -> pa.Table:
        """What is kept of the recording that was made."""
        ...


class RecordingSection(KindSection):
    """Base of the sections [recordings.NAME]: one way that users hold recordings."""

    # Patterns of names by which a file's kind can be told: of the file, or of files in the folder, that `path`
    # names.
    names: ClassVar[tuple[str, ...]] = ()
    inside: ClassVar[tuple[str, ...]] = ()

    stimuli: str

    def held(self, where: str, most_bytes: int, *, whole: bool) -> Held:
        """What its files hold, without the stimuli; unless the `whole` is asked for, perhaps of a part.

        Raises:
            BadInput: a path or what is there is wrong, or nothing can be said without stimuli.
        """
        raise BadInput(
            f"{where}: recordings of kind {self.kind!r} say nothing without their stimuli; name another kind"
        )

    def read(self, name: str, known: Sweepmates) -> Recording:
        """The recording, in the order of its stimuli.

        Raises:
            BadInput: a path or what is there is wrong, or a name unknown.
        """
        raise NotImplementedError


RECORDINGS = kinds(
    "recording format",
    RecordingSection,
    room="zoo_eval.recordings",
    group="zoo_eval.recordings",
)
