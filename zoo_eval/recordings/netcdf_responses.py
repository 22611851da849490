"""Responses in netCDF-4: whichever of a variable's dimensions are presentations, targets and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import netcdf, reading
from zoo_eval.files.netcdf import Variable
from zoo_eval.recordings import targets_file
from zoo_eval.recordings.presentations import TARGET_ID, Numbers, Presentations, Values

Variables = dict[str, Variable]


@dataclass(frozen=True)
class Layout:
    """Which dimensions are what; `ids` and `target_ids` are coordinates that may hold the names.

    rows: those that are presentations, the first that of the stimuli.
    time: bins to be averaged over, where the variable has that dimension.
    """

    rows: tuple[str, ...]
    target: str
    ids: tuple[str, ...]
    target_ids: tuple[str, ...]
    time: str | None = None


@dataclass(frozen=True)
class NetcdfFile:
    """A file of responses; `window_ms` is what is averaged over of several time bins."""

    where: str
    path: Path
    variable: str | None
    layout: Layout
    window_ms: tuple[float, float] | None = None

    def presentations(self, most_bytes: int) -> Presentations:
        """What it holds.

        Raises:
            BadInput: it cannot be read, or lacks a dimension, names or the window.
        """
        place, layout = f"{self.where}: {self.path}", self.layout
        with reading.told(place, self.path, netcdf.FAILURE), self._opened() as variables:
            found = self._responses(variables)
            found.check_written(most_bytes)
            bins, note = self._bins(variables, found)
            rows = [dim for dim in layout.rows if dim in found.dims]
            beside = [found.size(dim) for dim in rows[1:]]
            of_rows = netcdf.coordinates(variables, rows[0])
            names = _named(place, of_rows, layout.ids, "stimuli", most_bytes)
            sessions = of_rows.get("session")
            repeated = int(np.prod(beside, dtype=np.int64))
            return Presentations(
                where=place,
                files=(self.path,),
                stimulus_ids=[one for one in _texts(names) for _ in range(repeated)],
                targets=self._targets(variables, most_bytes),
                read=lambda numbers: self._read(numbers, bins),
                itemsize=4 if found.item.dtype == np.float32 else 8,
                sessions=None
                if sessions is None
                else [one for one in _texts(sessions.values(most_bytes)) for _ in range(repeated)],
                notes=(f"{found.name} ({', '.join(found.dims)})", *note),
            )

    def _opened(self) -> Any:
        return netcdf.opened(self.where, self.path)

    def _responses(self, variables: Variables) -> Variable:
        place, needed = f"{self.where}: {self.path}", (self.layout.rows[0], self.layout.target)
        found = netcdf.chosen(place, variables, self.variable, needed)
        known = {*self.layout.rows, self.layout.target, self.layout.time}
        wrong = [dim for dim in found.dims if dim not in known]
        lacking = [dim for dim in needed if dim not in found.dims]
        if wrong or lacking or not found.is_number:
            raise BadInput(
                f"{place}: {found.name} is {found.item.dtype} with dimensions {', '.join(found.dims)}; give "
                f"numbers (any order) of {', '.join(sorted(one for one in known if one))}"
            )
        return found

    def _bins(self, variables: Variables, found: Variable) -> tuple[slice, tuple[str, ...]]:
        """The bins within the window, and what a plan says of them."""
        place, time = f"{self.where}: {self.path}", self.layout.time
        if time is None or time not in found.dims:
            if self.window_ms is not None:
                raise BadInput(f"{place} has no time bins; leave out the window")
            return slice(None), ()
        n = found.size(time)
        if n == 1 and self.window_ms is None:
            return slice(None), ()
        if self.window_ms is None:
            raise BadInput(f"{place} has {n} time bins; say which count: window_ms = [70, 170]")
        edges = [variables.get(f"{time}_{end}") for end in ("start", "end")]
        if None in edges:
            raise BadInput(
                f"{place} does not say when its {n} time bins start and end ({time}_start, {time}_end); "
                "save one bin alone"
            )
        starts, ends = (np.asarray(one.item[()], np.float64) for one in edges if one is not None)
        low, high = self.window_ms
        within = np.flatnonzero((starts >= low) & (ends <= high))
        if not len(within) or low < starts.min() or high > ends.max():
            raise BadInput(
                f"{place}: window_ms = [{low:g}, {high:g}] is not within its bins, which are from "
                f"{starts.min():g} to {ends.max():g} ms, {ends[0] - starts[0]:g} ms each; give another"
            )
        if (np.diff(within) != 1).any():
            raise BadInput(f"{place}: its time bins are not in order; sort them by time")
        said = f"mean over {len(within)} of {n} time bins, {low:g} to {high:g} ms"
        return slice(int(within[0]), int(within[-1]) + 1), (said,)

    def _targets(self, variables: Variables, most_bytes: int) -> pa.Table:
        place = f"{self.where}: {self.path}"
        known = netcdf.coordinates(variables, self.layout.target)
        names = _named(place, known, self.layout.target_ids, "targets", most_bytes)
        columns: dict[str, Any] = {TARGET_ID: pa.array(_texts(names), pa.string())}
        for name, one in known.items():
            if name not in columns and name != self.layout.target:
                columns[name] = pa.array(one.values(most_bytes).tolist())
        return targets_file.without_nan(pa.table(columns))

    def _read(self, numbers: Numbers, bins: slice) -> Values:
        """Responses (presentation, target) of some targets, each part of the file read once."""
        place, layout = f"{self.where}: {self.path}", self.layout
        with reading.told(place, self.path, netcdf.FAILURE), self._opened() as variables:
            found = self._responses(variables)
            rows = [dim for dim in layout.rows if dim in found.dims]
            times = [layout.time] if layout.time in found.dims else []
            order = [found.dims.index(str(dim)) for dim in (*rows, layout.target, *times)]
            shape = [found.size(dim) for dim in rows]
            kind = np.float32 if found.item.dtype == np.float32 else np.float64
            sums = np.zeros((*shape, len(numbers)), kind)
            n_bins = 1
            if times:
                chosen = range(*bins.indices(found.size(str(layout.time))))
                n_bins = len(chosen)
            for block in found.blocks():
                parts = [block[axis] for axis in order]
                target = parts[len(rows)]
                those = np.flatnonzero((numbers >= target.start) & (numbers < target.stop))
                kept = _kept(parts[-1], chosen) if times else slice(None)
                if not len(those) or (times and kept.start >= kept.stop):
                    continue
                values = found.scaled(np.asarray(found.item[block])).transpose(order)
                values = values.take(numbers[those] - target.start, axis=len(rows))
                if times:
                    values = values[..., kept].sum(-1)
                cells: Any = (*parts[: len(rows)], those)
                sums[cells] += values
            if n_bins > 1:
                sums /= n_bins
            return sums.reshape(-1, len(numbers))


def _kept(part: slice, bins: range) -> slice:
    """Which bins of a part of the time axis are wanted."""
    first, last = max(part.start, bins.start), min(part.stop, bins.stop)
    return slice(first - part.start, last - part.start)


def _named(
    where: str, known: Variables, names: Sequence[str], what: str, most_bytes: int
) -> npt.NDArray[Any]:
    for name in names:
        if name in known:
            return known[name].values(most_bytes)
    raise BadInput(
        f"{where} does not name its {what}: {nearest(names[0], known)}; add the coordinate {names[0]!r}"
    )


def _texts(values: npt.NDArray[Any]) -> list[str]:
    return [str(one) for one in values.tolist()]
