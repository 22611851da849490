"""A recording of THINGS-fMRI in its table format: one subject's single trials, by voxel."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc

from zoo_eval.errors import BadInput
from zoo_eval.files import chunked, csv_table, pandas_frame, reading
from zoo_eval.files.arrays import AGAIN
from zoo_eval.files.pandas_frame import Block
from zoo_eval.files.reading import check_fits
from zoo_eval.paths import SweepPath
from zoo_eval.recordings import targets_file
from zoo_eval.recordings.presentations import TARGET_ID, Numbers, Presentations, Side, Values
from zoo_eval.recordings.presented import PresentedSection

VOXEL_ID = "voxel_id"
SIDES: dict[str, Side] = {"train": "train", "test": "test"}
# So many bytes of voxels are held as they are stored, before they are trials.
BLOCK_BYTES = 2**25
# A table of numbers takes so many times the bytes of its CSV.
CSV_EXPANSION = 4
FAILURE = "is not a frame of responses that can be read"


class ThingsFmriSection(PresentedSection):
    """sub-NN_ResponseData.h5, _StimulusMetadata.csv and _VoxelMetadata.csv of a subject, in one folder.

    Stimuli are named as the files name them (dog_12s.jpg), targets have all columns of the voxels'
    metadata, and the split "things" is by type of trial. Responses are read from the blocks of pandas'
    frame, so that some voxels are read without the rest.
    """

    kind: Literal["things_fmri"] = "things_fmri"
    inside: ClassVar[tuple[str, ...]] = ("sub-*_ResponseData.h5",)

    path: SweepPath
    subject: str

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """A presentation per trial; targets are voxels.

        Raises:
            BadInput: a file is missing or damaged, or trials or voxels of one are not those of another.
        """
        name = f"sub-{self.subject.removeprefix('sub-')}"
        folder = self.path.resolve()
        parts = ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")
        paths = [folder / f"{name}_{part}" for part in parts]
        if missing := [one for one in paths if not one.is_file()]:
            raise BadInput(f"{where}: {missing[0]} is missing; name the folder of betas_csv")
        responses = _Responses.described(where, paths[0], most_bytes)
        trials = _trials(where, paths[1], responses.n_trials)
        voxels = _voxels(where, paths[2], most_bytes)
        return Presentations(
            where=f"{where}: {folder}",
            files=tuple(paths),
            stimulus_ids=[one["stimulus"] for one in trials],
            targets=_targets(f"{where}: {paths[2]}", name, voxels, responses.voxel_ids),
            read=responses.read,
            itemsize=responses.dtype.itemsize,
            sessions=[f"session{one['session']}" for one in trials],
            splits={"things": [SIDES.get(one["trial_type"], "") for one in trials]},
            notes=(f"{len(responses.voxel_ids)} voxels of {name}",),
        )


@dataclass(frozen=True)
class _Responses:
    """The stored frame: a row per voxel, a column per trial named by its number from 0."""

    where: str
    path: Path
    voxel_ids: Numbers
    n_trials: int
    dtype: np.dtype[Any]

    @classmethod
    def described(cls, where: str, path: Path, most_bytes: int) -> "_Responses":
        """What a file holds, without its responses."""
        place = f"{where}: {path}"
        with reading.told(place, path, FAILURE), _blocks(place, path) as blocks:
            names = [name for one in blocks for name in one.columns]
            if VOXEL_ID not in names:
                raise BadInput(f"{place} has no column {VOXEL_ID!r}; fetch the file itself")
            trials = [one for one in names if one != VOXEL_ID]
            if sorted(trials, key=_number) != list(map(str, range(len(trials)))):
                raise BadInput(
                    f"{place}: its columns are not the numbers of trials from 0: {AGAIN}"
                )
            types = [one.dtype for one in blocks if set(one.columns) != {VOXEL_ID}]
            if any(one.kind not in "fiu" for one in types):
                raise BadInput(f"{place} has responses of type {types[0]}; give real numbers")
            n_rows = blocks[0].n_rows
            check_fits(
                place, "its voxels' ids", 64 * n_rows, most_bytes, "raise [run] memory_budget"
            )
            dtype = np.result_type(*types, np.float32) if types else np.dtype(np.float64)
            return cls(place, path, _voxel_ids(blocks), len(trials), dtype)

    def read(self, numbers: Numbers) -> Values:
        """Responses (trial, voxel) of some voxels."""
        found = np.empty((self.n_trials, len(numbers)), self.dtype)
        with reading.told(self.where, self.path, FAILURE), _blocks(self.where, self.path) as blocks:
            for block in blocks:
                trials = np.array([-1 if one == VOXEL_ID else int(one) for one in block.columns])
                kept = np.flatnonzero(trials >= 0)
                if len(kept):
                    for start, end, those in _runs(numbers, block):
                        values = block.rows(start, end)[numbers[those] - start][:, kept]
                        found[np.ix_(trials[kept], those)] = values.T
        return found


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else -1


def _voxel_ids(blocks: Sequence[Block]) -> Numbers:
    (own,) = [one for one in blocks if VOXEL_ID in one.columns]
    column = own.columns.index(VOXEL_ID)
    step = max(1, BLOCK_BYTES // (own.dtype.itemsize * len(own.columns)))
    parts = [
        own.rows(start, min(start + step, own.n_rows))[:, column]
        for start in range(0, own.n_rows, step)
    ]
    return np.concatenate(parts).astype(np.int64)


def _runs(numbers: Numbers, block: Block) -> Iterator[tuple[int, int, Numbers]]:
    """Runs of rows to be read at once, and which of the ascending numbers each has."""
    step = max(1, BLOCK_BYTES // (block.dtype.itemsize * len(block.columns)))
    start = 0
    while start < len(numbers):
        first = int(numbers[start])
        # A run ends where its rows do, or where more than every second would be read in vain.
        end = start + 1
        while (
            end < len(numbers)
            and numbers[end] <= numbers[end - 1] + 2
            and numbers[end] < first + step
        ):
            end += 1
        yield first, int(numbers[end - 1]) + 1, np.arange(start, end)
        start = end


@contextmanager
def _blocks(where: str, path: Path) -> Iterator[list[Block]]:
    # Imported here, as it takes a tenth of a second and few recordings need it.
    import h5py

    with h5py.File(path) as file:
        found = pandas_frame.blocks(where, file)
        for one in found:
            if one.values.external or one.values.is_virtual:
                raise BadInput(f"{where} keeps its values in another file; save it in one")
            if not chunked.is_written(one.values):
                raise BadInput(f"{where} claims values that were never written: {AGAIN}")
        yield found


def _trials(where: str, path: Path, n_trials: int) -> list[csv_table.Line]:
    place = f"{where}: {path}"
    found = csv_table.read(place, path, ["stimulus", "trial_type", "session"]).lines
    if len(found) != n_trials:
        raise BadInput(
            f"{place} has {len(found)} trials, the responses {n_trials}; give files of one subject"
        )
    if blank := [one for one in found if not (one["stimulus"] and one["session"])]:
        raise BadInput(f"{blank[0].where}: no stimulus or session; fill it in")
    if strange := [one for one in found if one["trial_type"] not in SIDES]:
        raise BadInput(
            f"{strange[0].where}: trial_type {strange[0]['trial_type']!r} is neither train nor test; correct it"
        )
    return found


def _voxels(where: str, path: Path, most_bytes: int) -> pa.Table:
    place = f"{where}: {path}"
    with reading.told(place, path, "is not a CSV of voxels that can be read"):
        needed = CSV_EXPANSION * path.stat().st_size
        check_fits(place, "the table of voxels", needed, most_bytes, "raise [run] memory_budget")
        found = pc.read_csv(path, pc.ReadOptions(use_threads=False))
        names = found.column_names
        if len(set(names)) != len(names):
            twice = next(one for one in names if names.count(one) > 1)
            raise BadInput(f"{place}: column {twice!r} stands twice; keep one of the two")
    if VOXEL_ID not in names or not pa.types.is_integer(found.schema.field(VOXEL_ID).type):
        raise BadInput(
            f"{place} has no column {VOXEL_ID!r} of whole numbers; fetch the file itself"
        )
    return targets_file.without_nan(found)


def _targets(where: str, subject: str, voxels: pa.Table, voxel_ids: Numbers) -> pa.Table:
    """The rows of the voxels' metadata, in the order of the responses."""
    listed: npt.NDArray[np.int64] = voxels.column(VOXEL_ID).to_numpy()
    order = np.argsort(listed, kind="stable")
    at = np.searchsorted(listed[order], voxel_ids)
    known = at < len(listed)
    known[known] = listed[order][at[known]] == voxel_ids[known]
    if not known.all():
        raise BadInput(
            f"{where} has no row for voxel {voxel_ids[~known][0]} of the responses ({(~known).sum()} such); "
            "give files of one subject"
        )
    found = voxels.take(order[at])
    ids = pa.array([f"{subject}_{one}" for one in voxel_ids.tolist()])
    kept = [name for name in found.column_names if name not in (TARGET_ID, "subject")]
    found = found.select(kept).add_column(0, "subject", pa.array([subject] * len(ids)))
    return found.add_column(0, TARGET_ID, ids)
