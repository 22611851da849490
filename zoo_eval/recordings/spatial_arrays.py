"""Maps over positions in a .npz or .mat: one array with its axes named, and ids where the file has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import field_validator

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import arrays, reading
from zoo_eval.files.reading import check_fits
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import matlab
from zoo_eval.recordings.by_position import stand_in
from zoo_eval.recordings.held_maps import CHANNEL_IDS, FILE, IMAGE_IDS, HeldMaps
from zoo_eval.recordings.recording import Numbers, RecordingSection
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_recording import SpatialRecording, of_stimuli
from zoo_eval.stimuli import ids, order
from zoo_eval.stimuli.order import Order
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

Array = npt.NDArray[Any]
Axis = Literal["image", "repetition", "row", "column", "channel"]
WITH_REPETITIONS: tuple[Axis, ...] = ("image", "repetition", "row", "column", "channel")
ONCE: tuple[Axis, ...] = ("image", "row", "column", "channel")
SUFFIXES = (".npz", ".mat")


class SpatialArraysSection(RecordingSection):
    """Maps of activity (image, row, column, channel), or with repetitions after the image.

    `axes` names the array's axes where they are in another order. `image_ids` says which image each map
    is of: a list, or a text file with one a line; where the file has a variable of that name, that is
    read. Maps without ids are in the `order` of the images. Row 0 is the top of the image's positions.
    """

    kind: Literal["spatial_arrays"] = "spatial_arrays"
    names: ClassVar[tuple[str, ...]] = (FILE,)

    path: SweepPath
    variable: str | None = None
    axes: tuple[Axis, ...] | None = None
    image_ids: SweepPath | tuple[str, ...] | None = None
    order: Order | None = None

    @field_validator("axes")
    @classmethod
    def _are_all_axes(cls, axes: tuple[Axis, ...] | None) -> tuple[Axis, ...] | None:
        if axes is not None and sorted(axes) not in (sorted(ONCE), sorted(WITH_REPETITIONS)):
            raise ValueError(f"expected {', '.join(ONCE)} in any order, and `repetition` or not")
        return axes

    def read(self, name: str, known: Sweepmates) -> SpatialRecording:
        """The maps, in the order of the stimulus set.

        Raises:
            BadInput: an unreadable file, no such variable, an array of other axes, maps that are none
                (see SpatialMaps), ids that are not the stimuli's, or maps whose order nobody says.
        """
        shown = known.stimuli(self.stimuli)
        where = f"recording {name!r}"
        maps, told = self._maps(where, known.memory_budget_bytes, shown)
        found = of_stimuli(f"{where}: {self.path.resolve()}", name, maps, shown)
        return SpatialRecording(name, shown.name, found.known_maps, by_position=told)

    def held(self, where: str, most_bytes: int, *, whole: bool) -> HeldMaps:
        maps, told = self._maps(where, most_bytes, None)
        return HeldMaps(maps, named=told is None)

    def _maps(
        self, recording: str, most_bytes: int, shown: StimulusSet | None
    ) -> tuple[SpatialMaps, str | None]:
        """Those that the file holds, and the line that says which is of what image where no ids do."""
        path = self.path.resolve()
        where = f"{recording}: {path}"
        held = _held(where, path, most_bytes)
        array = held.chosen(where, self.variable)
        # As float64, in another order of axes, and the mean over repetitions.
        needed = array.nbytes + 3 * 8 * array.size
        check_fits(where, "its maps", needed, most_bytes, arrays.RAISE)
        repeated = self._repeated(where, array)
        channel_ids = held.channel_ids or tuple(
            f"channel_{number:02d}" for number in range(repeated.shape[4])
        )
        shown = shown or stand_in(len(repeated))
        image_ids, told = self._image_ids(where, held.image_ids, len(repeated), shown)
        try:
            maps = SpatialMaps(
                repeated.mean(1),
                image_ids,
                channel_ids,
                repeated if repeated.shape[1] > 1 else None,
            )
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error
        return maps, told

    def _repeated(self, where: str, array: Array) -> Numbers:
        """The array as float64 (image, repetition, row, column, channel)."""
        if array.dtype.kind not in "fiub":
            raise BadInput(f"{where}: the array is of type {array.dtype}; give real numbers")
        axes = self.axes or {4: ONCE, 5: WITH_REPETITIONS}.get(array.ndim)
        if axes is None or len(axes) != array.ndim or not array.size:
            expected = ", ".join(self.axes or ONCE)
            raise BadInput(
                f"{where}: an array of shape {array.shape}, expected ({expected}); name the array's "
                "axes: `axes`"
            )
        wanted = [axis for axis in WITH_REPETITIONS if axis in axes]
        found = array.transpose([axes.index(axis) for axis in wanted]).astype(np.float64)
        return found if "repetition" in axes else found[:, None]

    def _image_ids(
        self, where: str, held: Sequence[str] | None, n_images: int, shown: StimulusSet
    ) -> tuple[tuple[str, ...], str | None]:
        """Which image each map is of, and the line that says so where no ids do."""
        given = self.image_ids
        said = [key for key in (IMAGE_IDS, "order") if getattr(self, key) is not None]
        if held is not None and said:
            raise BadInput(f"{where} has ids of its own; remove `{said[0]}`")
        if len(said) > 1:
            raise BadInput(f"{where}: `{IMAGE_IDS}` says the order already; remove `order`")
        listed = ids.listed(given.resolve()) if isinstance(given, SweepPath) else given
        listed = tuple(held) if held is not None else listed
        if listed is None:
            place = order.rows(where, n_images, shown, self.order)
            of_row = dict(zip(place, shown.ids, strict=True))
            return tuple(of_row[row] for row in range(n_images)), order.told(place, shown)
        if len(listed) != n_images:
            raise BadInput(
                f"{where}: maps of {n_images} images, but {len(listed)} ids of images; give one each"
            )
        return listed, None


@dataclass(frozen=True, eq=False)
class _Held:
    """What a file holds: arrays by name, and ids where it has them."""

    variables: Mapping[str, Array]
    image_ids: tuple[str, ...] | None
    channel_ids: tuple[str, ...] | None

    def chosen(self, where: str, variable: str | None) -> Array:
        variables = self.variables
        if variable is not None:
            if variable not in variables:
                raise BadInput(
                    f"{where} has no variable {variable!r}; {nearest(variable, variables)}"
                )
            return variables[variable]
        if len(variables) != 1:
            held = ", ".join(sorted(variables)) or "none"
            raise BadInput(
                f"{where} holds {len(variables)} variables ({held}); name one: `variable`"
            )
        return next(iter(variables.values()))


def _held(where: str, path: Path, most_bytes: int) -> _Held:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(f"{where} is of no known kind; give a {' or '.join(SUFFIXES)} file")
    with reading.told(where, path, f"cannot be read as {path.suffix}"):
        if suffix == ".npz":
            variables = arrays.npz(path, most_bytes, where)
        else:
            variables = matlab.variables(path, where, most_bytes)
        known = [_texts(where, one, variables.pop(one, None)) for one in (IMAGE_IDS, CHANNEL_IDS)]
    return _Held(variables, *known)


def _texts(where: str, name: str, array: Array | None) -> tuple[str, ...] | None:
    """Ids as text, also of a row or a column; None where there are none."""
    if array is None:
        return None
    if array.dtype.kind not in "USiuf":
        raise BadInput(
            f"{where}: `{name}` is of type {array.dtype}, not text; of MATLAB take cellstr of it"
        )
    values = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    if values.size not in values.shape:
        raise BadInput(f"{where}: `{name}` has shape {values.shape}; give one row of them")
    return tuple(str(one).strip() for one in values.ravel())
