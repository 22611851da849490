"""Which targets of a recording are wanted: by SQL on whatever is known of them."""

from collections import Counter
from typing import Protocol

import numpy as np
import pyarrow as pa

from zoo_eval.errors import BadInput, WrongSweep

# The column that says which row of its table a target was.
ROW = "row_in_file"
FEW_VALUES = 8


class Selects(Protocol):
    """Whoever can select rows of a table by SQL."""

    def select(self, table: pa.Table, condition: str | None, option: str) -> pa.Table:
        """The rows that fulfil a condition; `option` is what says it, for messages.

        Raises:
            BadInput: it is no SQL of the table's columns.
        """
        ...


def selected(where: str, targets: pa.Table, condition: str | None, known: Selects) -> pa.Table:
    """The targets that fulfil a condition, in the order of their table, each with its row there.

    Raises:
        WrongSweep: the condition is no SQL of the table's columns.
        BadInput: no target fulfils it; what there is, is said.
    """
    numbered = targets.append_column(ROW, pa.array(np.arange(targets.num_rows)))
    option = f"{where}: targets = {condition!r}"
    try:
        chosen = known.select(numbered, condition, option)
    except BadInput as error:
        columns = ", ".join(targets.column_names)
        raise WrongSweep(f"{error}; the columns are {columns}") from error
    if not chosen.num_rows:
        raise BadInput(f"{option} selects none of {targets.num_rows}; {_described(targets)}")
    return chosen.sort_by(ROW)


def _described(targets: pa.Table) -> str:
    """What the columns of a table of targets hold, as far as there are few values."""
    said = []
    for name in targets.column_names[1:]:
        values = Counter(targets.column(name).to_pylist())
        if len(values) <= FEW_VALUES:
            said.append(f"{name}: {', '.join(map(str, values))}")
        else:
            said.append(name)
    return (
        f"the columns are {'; '.join(said)}"
        if said
        else "nothing is known of targets but their ids"
    )
