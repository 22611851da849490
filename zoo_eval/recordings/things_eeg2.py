"""A recording of THINGS-EEG2: one subject's preprocessed EEG, channels by bins of time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import pickled_arrays
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.pickled_arrays import Stored
from zoo_eval.files.reading import told
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.presentations import TARGET_ID, Numbers, Presentations, Side, Values
from zoo_eval.recordings.presented import PresentedSection

# The parts of the data set: a file's ending, the images' keys, and their side of the split.
PARTS: tuple[tuple[str, str, Side], ...] = (
    ("training", "train", "train"),
    ("test", "test", "test"),
)
DATA, CHANNELS, TIMES = "preprocessed_eeg_data", "ch_names", "times"
# So many bytes of presentations are held as they are stored, before some targets are taken.
BLOCK_BYTES = 2**25
FAILURE = "is not preprocessed EEG that can be read"


class ThingsEeg2Section(PresentedSection):
    """preprocessed_eeg_training.npy and _test.npy of a subject in one folder; `images` is image_metadata.npy.

    Both are pickles, of which nothing is run. Targets are channels x bins of time, `channels` and
    `window_ms` (from and to, both included) those that are taken; stimuli are named as files are
    (aardvark_01b.jpg). The split "things" has what was shown as training and as test. Repetitions of
    the sessions are shuffled in these files, so that no session is known.
    """

    kind: Literal["things_eeg2"] = "things_eeg2"
    inside: ClassVar[tuple[str, ...]] = ("preprocessed_eeg_*.npy",)

    path: SweepPath
    images: SweepPath
    channels: tuple[str, ...] | None = None
    window_ms: tuple[float, float] | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per image and repetition, of training first; targets are channel x time.

        Raises:
            BadInput: a file is missing or damaged, needs code to load, or does not fit another; a channel
                or window is not in the recording.
        """
        folder, images = self.path.resolve(), self.images.resolve()
        names = pickled_arrays.npy_dict(images, f"{where}: {images}", most_bytes)
        parts = []
        paths = [folder / f"preprocessed_eeg_{ending}.npy" for ending, _, _ in PARTS]
        for path, (_, key, side) in zip(paths, PARTS, strict=True):
            part = _part(where, path, side, most_bytes)
            parts.append(
                (part, _named(f"{where}: {images}", images, names, f"{key}_img_files", part))
            )
        first = parts[0][0]
        if any(
            (one.channels, one.times_ms) != (first.channels, first.times_ms) for one, _ in parts
        ):
            raise BadInput(
                f"{where}: {paths[0]} and {paths[1].name} have other channels or times; give one subject's"
            )
        targets, chosen = self._targets(where, first)

        def read(numbers: Numbers) -> Values:
            return _read([one for one, _ in parts], chosen[numbers])

        return Presentations(
            where=f"{where}: {folder}",
            files=(*(one.path for one, _ in parts), images),
            stimulus_ids=[
                name for one, those in parts for name in those for _ in range(one.n_repetitions)
            ],
            targets=targets,
            read=read,
            itemsize=max(4, first.data.dtype.itemsize),
            sample=_first_tested(*parts[-1], targets, chosen),
            splits={"things": [one.side for one, _ in parts for _ in range(one.n_rows)]},
            notes=(f"{targets.num_rows} targets: channels x bins of time",),
        )

    def _targets(self, where: str, part: "Part") -> tuple[pa.Table, Numbers]:
        """The targets that are taken, and where each is among channels x times."""
        wanted = part.channels if self.channels is None else tuple(dict.fromkeys(self.channels))
        for one in wanted:
            if one not in part.channels:
                raise BadInput(f"{where}: no channel {one!r}; {nearest(one, part.channels)}")
        times = np.array(part.times_ms)
        low, high = self.window_ms or (times.min(), times.max())
        bins = np.flatnonzero((times >= low) & (times <= high))
        if not len(bins) or low < times.min() or high > times.max():
            raise BadInput(
                f"{where}: window_ms {low:g} to {high:g} is not within the recording ({times.min():g} to "
                f"{times.max():g} ms); choose one that is"
            )
        places = [(part.channels.index(one), int(bin_)) for one in wanted for bin_ in bins]
        channels = [part.channels[channel] for channel, _ in places]
        milliseconds = [part.times_ms[bin_] for _, bin_ in places]
        ids = [f"{one}_{ms:g}ms" for one, ms in zip(channels, milliseconds, strict=True)]
        table = pa.table({TARGET_ID: ids, "channel": channels, "time_ms": milliseconds})
        return table, np.array([channel * len(times) + bin_ for channel, bin_ in places])


@dataclass(frozen=True)
class Part:
    """One file: (image, repetition, channel, time), not read yet."""

    where: str
    path: Path
    side: Side
    data: Stored
    channels: tuple[str, ...]
    times_ms: tuple[float, ...]

    @property
    def n_repetitions(self) -> int:
        return self.data.shape[1]

    @property
    def n_rows(self) -> int:
        """How many presentations it has."""
        return math.prod(self.data.shape[:2])


def _part(where: str, path: Path, side: Side, most_bytes: int) -> Part:
    place = f"{where}: {path}"
    if not path.is_file():
        raise BadInput(f"{place} is missing; name the folder of one subject's preprocessed EEG")
    held = pickled_arrays.npy_dict(path, place, most_bytes)
    for key in (DATA, CHANNELS, TIMES):
        if key not in held:
            raise BadInput(f"{place} has no {key!r}; {nearest(key, map(str, held))}")
    data, channels = held[DATA], _texts(place, CHANNELS, held[CHANNELS])
    times = _numbers(place, path, held[TIMES])
    if not isinstance(data, Stored) or data.dtype.kind not in "f" or len(data.shape) != 4:
        raise BadInput(f"{place}: {DATA!r} is no array (image, repetition, channel, time): {AGAIN}")
    if data.shape[2:] != (len(channels), len(times)) or len(set(channels)) != len(channels):
        raise BadInput(
            f"{place}: {DATA!r} has shape {data.shape} for {len(channels)} channels and {len(times)} times: "
            f"{AGAIN}"
        )
    # Of a thousand bins a second none is told from another by less.
    milliseconds = tuple(round(1000 * one, 3) for one in times)
    return Part(place, path, side, data, channels, milliseconds)


def _texts(where: str, key: str, held: Any) -> tuple[str, ...]:
    listed = held.all().tolist() if isinstance(held, Stored) else held
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise BadInput(f"{where}: {key!r} is no list of names: {AGAIN}")
    return tuple(listed)


def _numbers(where: str, path: Path, held: Any) -> list[float]:
    with told(where, path, FAILURE):
        listed = held.all().tolist() if isinstance(held, Stored) else list(held)
        times = [float(one) for one in listed]
    if not times or not all(math.isfinite(one) for one in times) or times != sorted(set(times)):
        raise BadInput(f"{where}: {TIMES!r} are not times in seconds that ascend: {AGAIN}")
    return times


def _named(where: str, path: Path, held: dict[str, Any], key: str, part: Part) -> Sequence[str]:
    """The file name of each image of a part."""
    if key not in held:
        raise BadInput(f"{where} has no {key!r}; {nearest(key, map(str, held))}")
    with told(where, path, FAILURE):
        names = _texts(where, key, held[key])
    if len(names) != part.data.shape[0]:
        raise BadInput(
            f"{where}: {key!r} has {len(names)} images, {part.path.name} {part.data.shape[0]}; give the image "
            "metadata of this data set"
        )
    return names


def _first_tested(
    part: Part, names: Sequence[str], targets: pa.Table, chosen: Numbers
) -> Presentations:
    """The first images of the test, as many as are read at once."""
    n_images = min(part.data.shape[0], _images_at_once(part))

    def read(numbers: Numbers) -> Values:
        block = next(_blocks(part))
        found: Values = block[:, chosen[numbers]].astype(np.result_type(block.dtype, np.float32))
        return found

    shown = [one for one in names[:n_images] for _ in range(part.n_repetitions)]
    itemsize = max(4, part.data.dtype.itemsize)
    return Presentations(part.where, (part.path,), shown, targets, read, itemsize)


def _read(parts: Sequence[Part], chosen: Numbers) -> Values:
    """Responses (image x repetition, target) of some channels x times, part after part."""
    kind = np.result_type(*(one.data.dtype for one in parts), np.float32)
    found: Values = np.empty((sum(one.n_rows for one in parts), len(chosen)), kind)
    start = 0
    for part in parts:
        for block in _blocks(part):
            found[start : start + len(block)] = block[:, chosen]
            start += len(block)
    return found


def _images_at_once(part: Part) -> int:
    image = math.prod(part.data.shape[1:]) * part.data.dtype.itemsize
    return max(1, BLOCK_BYTES // max(image, 1))


def _blocks(part: Part) -> Iterator[npt.NDArray[Any]]:
    """Presentations (image x repetition, channel x time) of some images at a time."""
    n_images, _, n_channels, n_times = part.data.shape
    step = _images_at_once(part)
    with told(part.where, part.path, FAILURE):
        for first in range(0, n_images, step):
            block = part.data.rows(first, min(first + step, n_images))
            yield block.reshape(-1, n_channels * n_times)
