"""A recording of Arcaro, Ponce and Livingstone (2020): maps over positions from the laboratory's .mat."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import arrays, reading
from zoo_eval.files.reading import check_fits
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import matlab
from zoo_eval.recordings.held_maps import HeldMaps
from zoo_eval.recordings.recording import Numbers, RecordingSection
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_recording import SpatialRecording, of_stimuli
from zoo_eval.stimuli.stimulus_set import Sweepmates

Array = npt.NDArray[Any]
RESPONSES, NAMES = "imageRF", "UniqueNames"
AXES = "(x, y, time_ms, channel, image)"


class ArcaroSection(RecordingSection):
    """`imageRF` (x, y, time_ms, channel, image) of a monkey's file, its images named by `UniqueNames`.

    The file is deposited in no archive that we know: the code of Linsley et al. (2023) fetches a zip of the
    laboratory. Ask the authors for it, and for its terms.

    A response is the mean of `window_ms`, from the first millisecond to before the second, the file's
    first being 0. `channels` are those of one array, as one file holds several: two numbers, from 0, are
    the first and the last; otherwise each entry is a channel, or such a pair ([[0, 15], 20]). The released
    code's order is kept: the first axis is the rows, the second the columns, and both are turned round.
    """

    kind: Literal["arcaro"] = "arcaro"
    path: SweepPath
    window_ms: tuple[int, int] = (50, 90)
    channels: tuple[int | tuple[int, int], ...] | None = None

    def read(self, name: str, known: Sweepmates) -> SpatialRecording:
        """The maps, in the order of the stimulus set.

        Raises:
            BadInput: an unreadable file, no such variables, a window or channel that is not in it, maps
                that are none (see SpatialMaps), or images that are not the stimuli's.
        """
        shown = known.stimuli(self.stimuli)
        maps = self._maps(f"recording {name!r}", known.memory_budget_bytes)
        return of_stimuli(f"recording {name!r}: {self.path.resolve()}", name, maps, shown)

    def held(self, where: str, most_bytes: int, *, whole: bool) -> HeldMaps:
        return HeldMaps(self._maps(where, most_bytes))

    def _maps(self, recording: str, most_bytes: int) -> SpatialMaps:
        """Those that the file holds."""
        path = self.path.resolve()
        where = f"{recording}: {path}"
        held = _held(where, path, most_bytes)
        responses = held[RESPONSES]
        if responses.ndim != 5 or responses.dtype.kind not in "fiu" or not responses.size:
            raise BadInput(
                f"{where}: `{RESPONSES}` is {responses.dtype} of shape {responses.shape}, not numbers {AXES}; "
                "give the laboratory's own file"
            )
        window = self._window(where, responses.shape[2])
        channels = self._channels(where, responses.shape[3])
        named = _named(where, held[NAMES], responses.shape[4])
        needed = responses.nbytes + 2 * 8 * responses.size // responses.shape[2]
        check_fits(where, "its maps", needed, most_bytes, arrays.RAISE)
        with np.errstate(over="ignore", invalid="ignore"):
            means = responses[:, :, window].mean(2, dtype=np.float64)
        try:
            return SpatialMaps(
                _turned(means[:, :, channels]),
                named,
                tuple(f"channel_{number:02d}" for number in channels),
            )
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error

    def _window(self, where: str, n_ms: int) -> slice:
        low, high = self.window_ms
        if not 0 <= low < high <= n_ms:
            raise BadInput(
                f"{where}: window_ms {low} to {high} is not within the recording (0 to {n_ms} ms); choose "
                "one that is"
            )
        return slice(low, high)

    def _channels(self, where: str, n_channels: int) -> list[int]:
        pairs = [(0, n_channels - 1)]
        match self.channels:
            case (int(low), int(high)):
                pairs = [(low, high)]
            case tuple(given):
                pairs = [(one, one) if isinstance(one, int) else one for one in given]
        for low, high in pairs:
            if not 0 <= low <= high < n_channels:
                raise BadInput(
                    f"{where}: channels {low} to {high} are not among its {n_channels} (from 0 to "
                    f"{n_channels - 1}); choose some that are"
                )
        return [number for low, high in pairs for number in range(low, high + 1)]


def _held(where: str, path: Path, most_bytes: int) -> Mapping[str, Array]:
    with reading.told(where, path, "cannot be read as .mat"):
        found = matlab.variables(path, where, most_bytes)
    for name in (RESPONSES, NAMES):
        if name not in found:
            raise BadInput(f"{where} has no `{name}`; {nearest(name, found)}")
    return found


def _named(where: str, names: Array, n_images: int) -> tuple[str, ...]:
    """The images' files without their folders, which are those of another machine."""
    if names.dtype.kind != "U" or names.size != n_images:
        raise BadInput(
            f"{where}: `{NAMES}` is {names.dtype} of shape {names.shape}, not the names of {n_images} images; give "
            "the laboratory's own file"
        )
    paths: Sequence[str] = [str(one).strip() for one in names.ravel()]
    return tuple(one.replace("\\", "/").rpartition("/")[2] for one in paths)


def _turned(means: Numbers) -> Numbers:
    """Means (x, y, channel, image) as maps (image, row, column, channel)."""
    return np.ascontiguousarray(means.transpose(3, 0, 1, 2)[:, ::-1, ::-1])
