"""Live recordings: responses that exist as NumPy, pandas, polars, Arrow or xarray, matched by stimulus."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict

from zoo_eval.errors import BadInput, WrongSweep, nearest, one_line
from zoo_eval.files.reading import check_fits
from zoo_eval.recordings import long_table, parquet
from zoo_eval.recordings.recording import Numbers, Recording, RecordingSection
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.stimuli import ids
from zoo_eval.stimuli import order as orders
from zoo_eval.stimuli.order import Order
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

DIMENSIONS = ("stimulus", "repetition", "target")
LONG = parquet.COLUMNS


@dataclass(frozen=True, eq=False)
class Dense:
    """Responses (stimulus, repetition, target); without `stimulus_ids` in an order of the stimuli."""

    values: Numbers
    target_ids: tuple[str, ...]
    stimulus_ids: tuple[str, ...] | None = None
    order: Order | None = None
    numbered: bool = False

    def __repr__(self) -> str:
        return f"<responses (stimulus, repetition, target) {self.values.shape}>"

    def recording(self, name: str, shown: StimulusSet, most_bytes: int) -> ResponseRecording:
        """The recording, in the order of the stimuli.

        Raises:
            BadInput: a stimulus is unknown or has no response, a response is infinite, or rows have
                no ids and nobody says their order.
        """
        where = f"recording {name!r}"
        # Numbers that nobody gave: of images called by theirs, they need not be those.
        if self.numbered and set(self.stimulus_ids or ()) != set(shown.ids):
            raise BadInput(
                f"{where}: the frame's rows are numbered, not named; set its index to stimulus ids, or "
                "give data.to_numpy()"
            )
        if self.stimulus_ids is not None:
            rows, told = ids.rows(where, self.stimulus_ids, shown), None
        else:
            rows = orders.rows(where, len(self.values), shown, self.order)
            told = orders.told(rows, shown)
        in_order = np.array_equal(rows, np.arange(len(rows)))
        if not in_order:
            what = f"responses {self.values.shape} in the order of the stimuli"
            check_fits(where, what, self.values.nbytes, most_bytes, long_table.FEWER)
        values = self.values if in_order else self.values[rows]
        return ResponseRecording(name, shown.name, values, self.target_ids, by_position=told)


@dataclass(frozen=True, eq=False)
class Long:
    """A table with one row per response: stimulus_id, repetition, target_id, response."""

    table: pa.Table

    def __repr__(self) -> str:
        return f"<{self.table.num_rows} responses, a row each>"

    def recording(self, name: str, shown: StimulusSet, most_bytes: int) -> ResponseRecording:
        """The recording, in the order of the stimuli, targets in alphabetical order.

        Raises:
            BadInput: a stimulus is unknown or has no response, or it takes too much memory.
        """
        return parquet.of_table(name, self.table, shown, "its table", most_bytes)


class LiveRecordingSection(RecordingSection):
    """Responses that exist already; no sweep file can name them. `stimuli` is "" for the only set."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: Literal["live"] = "live"
    stimuli: str = ""
    content: Dense | Long

    def read(self, name: str, known: Sweepmates) -> Recording:
        shown = known.stimuli(self.stimuli)
        try:
            return self.content.recording(name, shown, known.memory_budget_bytes)
        except BadInput as error:
            # No file is damaged: what was given is to be given otherwise.
            raise WrongSweep(str(error)) from error


def responses(
    data: Any,
    *,
    stimuli: str = "",
    stimulus_ids: Sequence[Any] | None = None,
    target_ids: Sequence[Any] | None = None,
    order: Order | None = None,
) -> LiveRecordingSection:
    """A recording for `zoo_eval.run(recordings={"NAME": ...})`: NaN where nothing was measured.

    Args:
        data: numbers of any unit, as a NumPy array (stimulus, target) or (stimulus, repetition,
            target); a pandas frame whose index holds stimulus ids and whose columns are targets; a
            pandas, polars or Arrow table with the columns stimulus_id, repetition, target_id and
            response; or an xarray DataArray with dimensions stimulus, target and perhaps
            repetition, in any order, its coordinates the ids.
        stimuli: the name of the stimuli that were shown; may be left out where there is one set.
        stimulus_ids: of an array, which stimulus each row belongs to. Ids are matched as text, with
            the suffix of the image's file or without.
        target_ids: of an array, a name per target; numbers from 0 where left out.
        order: of rows without ids, "images" where they are in the order of the stimuli, "natural"
            where the numbers in the stimuli's ids count as numbers (2 before 10); needed only where
            the stimuli are in the order of text and the two differ.

    Raises:
        BadInput: values that are no numbers, dimensions that are not these, or ids of another
            length; and, from `run`, ids that are not those of the stimuli, rows without ids whose
            order nobody says, or a response that is infinite.
    """
    if stimulus_ids is not None or target_ids is not None or isinstance(data, np.ndarray | list):
        content: Dense | Long = _of_array(data, stimulus_ids, target_ids)
    elif hasattr(data, "dims") and hasattr(data, "coords"):
        content = _of_labelled(data)
    elif hasattr(data, "columns") or isinstance(data, pa.Table):
        content = _of_frame(data)
    else:
        content = _of_array(data, None, None)
    if order is not None:
        content = _in(order, content)
    return LiveRecordingSection(stimuli=stimuli, content=content)


def _in(order: Order, content: Dense | Long) -> Dense:
    if isinstance(content, Long) or content.stimulus_ids is not None:
        raise BadInput("responses: their rows have stimulus ids; leave out `order`")
    if order not in get_args(Order):
        raise BadInput(f"responses: unknown order {order!r}; {nearest(order, get_args(Order))}")
    return replace(content, order=order)


def only(given: Any, names: Sequence[str]) -> Any:
    """What was given as a recording, its stimuli named where it left them to be the only ones.

    Raises:
        BadInput: there is not exactly one set.
    """
    # A table, as in a sweep file, says its stimuli itself.
    if getattr(given, "stimuli", None) != "":
        return given
    if len(names) != 1:
        raise BadInput(
            f"these responses may be to any of {len(names)} stimulus sets ({', '.join(names)}); write "
            'zoo_eval.responses(..., stimuli="NAME")'
        )
    return given.model_copy(update={"stimuli": names[0]})


def _of_array(
    data: Any, stimulus_ids: Sequence[Any] | None, target_ids: Sequence[Any] | None
) -> Dense:
    values = _numbers(data)
    if values.ndim == 2:
        values = values[:, None, :]
    if values.ndim != 3:
        raise BadInput(
            "responses: expected (stimulus, target) or (stimulus, repetition, target), got shape "
            f"{values.shape}; add or remove an axis"
        )
    n_stimuli, _, n_targets = values.shape
    targets = _names(
        "target_ids", range(n_targets) if target_ids is None else target_ids, n_targets
    )
    shown = None if stimulus_ids is None else _names("stimulus_ids", stimulus_ids, n_stimuli)
    return Dense(values, targets, shown)


def _numbers(data: Any) -> Numbers:
    try:
        array = np.asarray(data)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"they are {array.dtype}")
    except (TypeError, ValueError) as error:
        raise BadInput(f"responses are no numbers ({one_line(error)}); give floats") from error
    # Whoever gave it may write to it later.
    return np.array(array, dtype=np.float64, order="C")


def _names(part: str, given: Sequence[Any] | range, n: int) -> tuple[str, ...]:
    names = tuple(map(str, given))
    if len(names) != n:
        raise BadInput(f"responses: {len(names)} {part} for {n} of them; give one each")
    if len(set(names)) != n:
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"responses: {twice!r} stands twice in {part}; give each once")
    return names


def _of_labelled(data: Any) -> Dense:
    """Of an xarray DataArray."""
    dims = [str(one) for one in data.dims]
    needed = {"stimulus", "target"}
    if not needed <= set(dims) <= set(DIMENSIONS):
        wrong = next((one for one in dims if one not in DIMENSIONS), None)
        hint = nearest(wrong, DIMENSIONS) if wrong else "stimulus and target are needed"
        raise BadInput(
            f"responses: dimensions {', '.join(dims)}; {hint}; rename them (data.rename)"
        )
    ordered = data.transpose(*[one for one in DIMENSIONS if one in dims])
    names = {
        name: None if name not in data.coords else list(data.coords[name].values)
        for name in ("stimulus", "target")
    }
    return _of_array(ordered.values, names["stimulus"], names["target"])


def _of_frame(data: Any) -> Dense | Long:
    table = _long(data)
    if table is not None:
        return Long(table)
    if not hasattr(data, "index"):
        raise BadInput(f"responses: this table needs the columns {', '.join(LONG)}; rename its own")
    found = _of_array(data.to_numpy(), list(data.index), list(data.columns))
    return replace(found, numbered=type(data.index).__name__ == "RangeIndex")


def _long(data: Any) -> pa.Table | None:
    """The table where it has the columns of one row per response."""
    names = data.column_names if isinstance(data, pa.Table) else [str(one) for one in data.columns]
    if not set(LONG) <= set(names):
        return None
    if isinstance(data, pa.Table):
        return data
    try:
        if hasattr(data, "to_arrow"):
            return data.to_arrow()
        return pa.Table.from_pandas(_texts(data[list(LONG)]), preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadInput(
            f"responses: the table cannot be read ({one_line(error)}); give ids as text, repetitions "
            "as whole numbers and responses as floats"
        ) from error


def _texts(frame: Any) -> Any:
    """The frame, its ids that are of several kinds, such as numbers and text, as text."""
    mixed = [one for one in LONG[::2] if str(frame[one].dtype) == "object"]
    texts = {one: frame[one].map(str).where(frame[one].notna(), None) for one in mixed}
    return frame.assign(**texts)
