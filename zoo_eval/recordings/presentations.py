"""Presentations: what files of responses hold, before their rows meet the stimuli; one value for every reader."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.files.reading import check_fits

Values = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
# Which part of a named split a presentation is in; "" where in neither.
Side = Literal["train", "test", ""]
TARGET_ID = "target_id"


@dataclass(frozen=True, eq=False)
class Presentations:
    """One row for each time that a stimulus was shown, one column for each target; read when asked for.

    where: the recording and its file, for messages.
    files: everything that the numbers come from, which change when one of them does.
    stimulus_ids: which stimulus was shown (presentation,), by the names of the files.
    targets: a row per target: `target_id` (text, each once) and whatever else is known of targets, such
        as region, subject, session, electrode or reliability.
    read: from numbers of targets, ascending, to responses (presentation, chosen target), NaN where
        missing.
    itemsize: bytes of one response as `read` gives it.
    sessions: in which session each presentation was, of all subjects; None where nothing says.
    splits: published splits by name: the part that each presentation is in.
    notes: what was selected or averaged, a line each, as a plan shows it.
    sample: a part of the presentations that is read by itself, quickly, where a read of some targets
        would pass over all the others; with repetitions where there are any.

    Raises:
        BadInput: lengths that differ, no presentation, no target, or a target that stands twice.
    """

    where: str
    files: tuple[Path, ...]
    stimulus_ids: Sequence[str]
    targets: pa.Table
    read: Callable[[Numbers], Values]
    itemsize: int = 8
    sessions: Sequence[str] | None = None
    splits: Mapping[str, Sequence[Side]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sample: "Presentations | None" = None

    def __post_init__(self) -> None:
        n = len(self.stimulus_ids)
        if not n:
            raise BadInput(f"{self.where} has no presentation of any stimulus; check the file")
        parts = {"sessions": self.sessions, **self.splits}
        for part, values in parts.items():
            if values is not None and len(values) != n:
                raise BadInput(f"{self.where}: {n} presentations but {len(values)} of {part!r}")
        if not self.targets.num_rows:
            raise BadInput(f"{self.where} has no target; check the file")
        if twice := [one for one, times in Counter(self.target_ids).items() if times > 1]:
            raise BadInput(f"{self.where}: target {twice[0]!r} stands twice; name each target once")

    @property
    def target_ids(self) -> tuple[str, ...]:
        return tuple(self.targets.column(TARGET_ID).to_pylist())

    def check_fits(self, n_targets: int, most_bytes: int) -> None:
        """Refuses to read more responses than may be held.

        Raises:
            BadInput: they would take more than `most_bytes`.
        """
        n_bytes = len(self.stimulus_ids) * n_targets * self.itemsize
        what = f"{len(self.stimulus_ids)} presentations x {n_targets} targets"
        advice = "select fewer with `targets`, or raise [run] memory_budget"
        check_fits(self.where, what, n_bytes, most_bytes, advice)
