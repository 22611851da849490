"""A recording of TVSD (Papale et al. 2025): one monkey's multi-unit activity, by electrode."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.files import chunked, reading
from zoo_eval.files.reading import check_fits
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import targets_file
from zoo_eval.recordings.presentations import TARGET_ID, Numbers, Presentations, Side, Values
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.stimuli.things import n_tvsd_images, tvsd_images

Monkey = Literal["F", "N"]
# The first electrode of each region, from 0; the rest of an array's bank is V1.
REGIONS: Mapping[Monkey, Mapping[str, range]] = {
    "F": {"V1": range(512), "IT": range(512, 832), "V4": range(832, 1024)},
    "N": {"V1": range(512), "V4": range(512, 768), "IT": range(768, 1024)},
}
N_ELECTRODES, ARRAY_ELECTRODES = 1024, 64
# Responses that are read at once, as they are stored.
BLOCK_BYTES = 2**26
FAILURE = "is not THINGS_normMUA.mat in a form that can be read"


class TvsdSection(PresentedSection):
    """THINGS_normMUA.mat of a monkey, with the list of images, things_imgs.mat.

    Each training image was shown once, each test image in every repetition; split "tvsd" says which is
    which. Targets are electrodes: region, array (of 64), reliability (mean over pairs of repetitions),
    and oracle and snr_max as the file has them. The monkey is the file's folder's unless given.
    """

    kind: Literal["tvsd"] = "tvsd"
    names: ClassVar[tuple[str, ...]] = ("THINGS_normMUA.mat",)

    path: SweepPath
    images: SweepPath
    monkey: Monkey | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """The training images in the order of the list, then the test images, repetition by repetition.

        Raises:
            BadInput: a file is damaged, lacks a variable, or has other sizes than the list.
        """
        listed = self.images.resolve()
        train = tvsd_images(f"{where}: {listed}", listed, "train", most_bytes)
        return self._shown(where, train, most_bytes)

    def glimpsed(self, where: str, most_bytes: int) -> Presentations:
        listed = self.images.resolve()
        n = n_tvsd_images(f"{where}: {listed}", listed, "train", most_bytes)
        found = self._shown(where, [f"training image {one}" for one in range(1, n + 1)], most_bytes)
        note = "names of training images are not looked at, each of which is an object of its own"
        return replace(found, notes=(*found.notes, note))

    def _shown(self, where: str, train: Sequence[str], most_bytes: int) -> Presentations:
        path, listed = self.path.resolve(), self.images.resolve()
        place = f"{where}: {path}"
        monkey = self.monkey or _monkey(place, path)
        test = tvsd_images(f"{where}: {listed}", listed, "test", most_bytes)
        file = _NormMua.described(place, path, (len(train), len(test)), most_bytes)
        targets = file.targets(monkey, most_bytes)
        sides: list[Side] = ["train"] * len(train)
        sides += ["test"] * (len(test) * file.n_repetitions)
        return Presentations(
            where=place,
            files=(path, listed),
            stimulus_ids=[*train, *(test * file.n_repetitions)],
            targets=targets,
            read=file.read,
            itemsize=file.dtype.itemsize,
            splits={"tvsd": sides},
            sample=Presentations(
                place, (path,), test * file.n_repetitions, targets, file.tested, file.dtype.itemsize
            ),
            notes=(
                f"monkey {monkey}: {len(train)} training images once, {len(test)} test images "
                f"{file.n_repetitions} times",
            ),
        )


@dataclass(frozen=True)
class _NormMua:
    """The file; of each variable the number of the axis of its images and of its electrodes."""

    where: str
    path: Path
    train: tuple[int, int]
    test: tuple[int, int, int]
    n_repetitions: int
    dtype: np.dtype[Any]

    @classmethod
    def described(
        cls, where: str, path: Path, n_images: tuple[int, int], most_bytes: int
    ) -> "_NormMua":
        with _opened(where, path) as file:
            train = _numbers(where, file, "train_MUA", most_bytes)
            test = _numbers(where, file, "test_MUA_reps", most_bytes)
            of_train = _axes(where, train, n_images[0])
            of_test = _axes(where, test, n_images[1])
            dtype = np.result_type(train.dtype, test.dtype, np.float32)
            (repetitions,) = set(range(3)) - set(of_test)
            n_repetitions = int(test.shape[repetitions])
            return cls(where, path, of_train, (repetitions, *of_test), n_repetitions, dtype)

    def read(self, numbers: Numbers) -> Values:
        """Responses (presentation, electrode) of some electrodes."""
        with _opened(self.where, self.path) as file:
            train, test = file["train_MUA"], file["test_MUA_reps"]
            n_train, n_test = train.shape[self.train[0]], test.shape[self.test[1]]
            shape = (n_train + n_test * self.n_repetitions, len(numbers))
            found: Values = np.empty(shape, self.dtype)
            for rows, values in _blocks(train):
                place, part = _part(rows, values, self.train, numbers)
                found[:n_train][place[0], place[1]] = part
            self._fill_tested(found[n_train:], test, numbers)
            return found

    def tested(self, numbers: Numbers) -> Values:
        """Responses (repetition and test image, electrode) of some electrodes."""
        with _opened(self.where, self.path) as file:
            test = file["test_MUA_reps"]
            shape = (test.shape[self.test[1]] * self.n_repetitions, len(numbers))
            found: Values = np.empty(shape, self.dtype)
            self._fill_tested(found, test, numbers)
            return found

    def _fill_tested(self, found: Values, test: Any, numbers: Numbers) -> None:
        tested = found.reshape(self.n_repetitions, test.shape[self.test[1]], -1)
        for rows, values in _blocks(test):
            place, part = _part(rows, values, self.test, numbers)
            tested[place[0], place[1], place[2]] = part

    def targets(self, monkey: Monkey, most_bytes: int) -> pa.Table:
        """A row for each electrode."""
        with _opened(self.where, self.path) as file:
            columns: dict[str, Any] = {
                "reliability": _of_electrodes(self.where, file, "reliab", most_bytes),
                "oracle": _of_electrodes(self.where, file, "oracle", most_bytes),
                "snr_max": _of_electrodes(self.where, file, "SNR_max", most_bytes),
            }
        region = {number: name for name, numbers in REGIONS[monkey].items() for number in numbers}
        own = {
            TARGET_ID: [f"{monkey}_{number:04d}" for number in range(N_ELECTRODES)],
            "subject": [monkey] * N_ELECTRODES,
            "region": [region[number] for number in range(N_ELECTRODES)],
            "electrode": list(range(N_ELECTRODES)),
            "array": [number // ARRAY_ELECTRODES for number in range(N_ELECTRODES)],
        }
        known = {name: values for name, values in columns.items() if values is not None}
        return targets_file.without_nan(pa.table({**own, **known}))


def _monkey(where: str, path: Path) -> Monkey:
    named = {one for one in REGIONS if path.parent.name.lower() == f"monkey{one.lower()}"}
    if len(named) != 1:
        raise BadInput(
            f'{where}: its folder does not say which monkey\'s it is; set monkey = "F" or "N"'
        )
    return named.pop()


@contextmanager
def _opened(where: str, path: Path) -> Iterator[Any]:
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    with reading.told(where, path, FAILURE), h5py.File(path, "r") as file:
        yield file


def _numbers(where: str, file: Any, name: str, most_bytes: int) -> Any:
    """A dataset of numbers of that name, whole and in this file."""
    import h5py

    link = file.get(name, getlink=True)
    item = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(item, h5py.Dataset):
        there = ", ".join(sorted(one for one in file if not one.startswith("#"))) or "none"
        raise BadInput(
            f"{where} has no variable {name!r} (variables: {there}); give THINGS_normMUA.mat"
        )
    place = f"{where}: {name}"
    if item.dtype.kind not in "fiu":
        raise BadInput(f"{place} is {item.dtype}, not numbers; give THINGS_normMUA.mat")
    chunked.check(place, item, most_bytes)
    if not chunked.is_written(item):
        raise BadInput(f"{place}: parts of it were never written; fetch the file again")
    return item


def _axes(where: str, item: Any, n_images: int) -> tuple[int, int]:
    """The axes of the images and of the electrodes; what is left are repetitions."""
    sizes = item.shape
    named = item.name.rpartition("/")[2]
    n_axes = 2 if named == "train_MUA" else 3
    images = [axis for axis, size in enumerate(sizes) if size == n_images]
    electrodes = [axis for axis, size in enumerate(sizes) if size == N_ELECTRODES]
    if len(sizes) != n_axes or len(images) != 1 or len(electrodes) != 1 or images == electrodes:
        raise BadInput(
            f"{where}: {named} has shape {tuple(sizes)}; expected {n_images} images (as many as "
            f"things_imgs.mat lists), {N_ELECTRODES} electrodes"
            f"{' and their repetitions' if n_axes == 3 else ''}; give the list that belongs to it"
        )
    return images[0], electrodes[0]


def _blocks(item: Any) -> Iterator[tuple[slice, Any]]:
    """Its rows, as many at a time as are read at once, in the order of storage."""
    row = max(1, int(np.prod(item.shape[1:])) * item.dtype.itemsize)
    chunk = item.chunks[0] if item.chunks else 1
    step = max(chunk, BLOCK_BYTES // row // chunk * chunk)
    for start in range(0, item.shape[0], step):
        rows = slice(start, min(start + step, item.shape[0]))
        yield rows, np.asarray(item[rows])


def _part(
    rows: slice, values: Any, axes: tuple[int, ...], numbers: Numbers
) -> tuple[tuple[Any, ...], Any]:
    """Where the cells of some rows belong among the chosen electrodes, and these cells.

    `axes` are those of (repetition,) image and electrode.
    """
    ordered = values.transpose(axes)
    place: list[Any] = [slice(None)] * len(axes)
    if axes[-1] == 0:
        those = np.flatnonzero((numbers >= rows.start) & (numbers < rows.stop))
        place[-1] = those
        return tuple(place), ordered.take(numbers[those] - rows.start, axis=-1)
    place[axes.index(0)] = rows
    return tuple(place), ordered.take(numbers, axis=-1)


def _of_electrodes(where: str, file: Any, name: str, most_bytes: int) -> Any:
    """A number for each electrode, a mean over what else the variable counts; None where it is not there."""
    if name not in file:
        return None
    item = _numbers(where, file, name, most_bytes)
    check_fits(f"{where}: {name}", "it", 8 * item.size, most_bytes, "raise [run] memory_budget")
    values = np.asarray(item[()], np.float64)
    axes = [axis for axis, size in enumerate(values.shape) if size == N_ELECTRODES]
    if len(axes) != 1:
        raise BadInput(
            f"{where}: {name} has shape {values.shape}, not {N_ELECTRODES} electrodes once"
        )
    others = np.moveaxis(values, axes[0], 0).reshape(N_ELECTRODES, -1)
    there = ~np.isnan(others)
    n = there.sum(1)
    return np.where(there, others, 0).sum(1) / np.where(n > 0, n, np.nan)
