"""Declared: tables and views that other packages' evaluations bring, as a store keeps them."""

import json
import re
from typing import Any

import pyarrow as pa

from zoo_eval.errors import BadInput
from zoo_eval.tables import TABLES, VIEWS
from zoo_eval.tables.table import Column, Table, View

NAME = re.compile(r"[a-z][a-z0-9_]*")
# Folders of a store that hold no table.
RESERVED = ("declared", "inputs", "leases", "ledger", "manifest", "probes", "run")
SCALARS = (
    pa.string(), pa.int32(), pa.int64(), pa.bool_(), pa.float32(), pa.float64(), pa.binary(),
)  # fmt: skip
TYPES = {
    str(one): one
    for one in (
        *SCALARS,
        *map(pa.list_, (*SCALARS, pa.float16())),
        pa.timestamp("us", tz="UTC"),
    )
}


def check(declared: Table | View) -> None:
    """Refuses what a store cannot keep under its name.

    Raises:
        BadInput: a name or type is wrong, or taken by a built-in table or view.
    """
    where = _where(declared)
    for taken, kind in ((TABLES, "table"), (VIEWS, "view")):
        if declared.name in taken:
            raise BadInput(
                f"{where} and the built-in {kind} {declared.name!r} have one name; rename the former"
            )
    if not NAME.fullmatch(declared.name) or declared.name in RESERVED:
        raise BadInput(
            f"{where}: a name has lower-case letters, digits and _, and is none of "
            f"{', '.join(RESERVED)}; rename it"
        )
    for column in declared.columns if isinstance(declared, Table) else ():
        if not NAME.fullmatch(column.name):
            raise BadInput(
                f"{where}: column {column.name!r} is no name of lower-case letters, digits and _; "
                "rename it"
            )
        if str(column.type) not in TYPES:
            raise BadInput(
                f"{where}: column {column.name!r} has type {column.type}; "
                f"choose one of {', '.join(TYPES)}"
            )


def check_same(declared: Table | View, kept: Table | View) -> None:
    """Refuses a second declaration of a name, unless it says the same.

    Raises:
        BadInput: it says something else.
    """
    if declared != kept:
        raise BadInput(
            f"{_where(declared)} and the {_where(kept)} that the store has have one name and differ; "
            "rename one, or choose another --store"
        )


def _where(declared: Table | View) -> str:
    if isinstance(declared, View):
        return f"view {declared.name!r} ({declared.question})"
    columns = ", ".join(column.name for column in declared.columns)
    return f"table {declared.name!r} (one row per {declared.grain}: {columns})"


def to_json(declared: Table | View) -> str:
    """A declaration as text that needs no package to be read."""
    if isinstance(declared, View):
        content: dict[str, Any] = {"view": declared.name, "sql": declared.sql}
    else:
        columns = [{**vars(c), "type": str(c.type)} for c in declared.columns]
        content = {"table": declared.name, "grain": declared.grain, "columns": columns}
    return json.dumps(content, indent=1)


def from_json(text: str) -> Table | View:
    """What `to_json` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        content = json.loads(text)
        if "view" in content:
            found: Table | View = View(str(content["view"]), str(content["sql"]))
        else:
            columns = [Column(**{**c, "type": TYPES[c["type"]]}) for c in content["columns"]]
            found = Table(str(content["table"]), str(content["grain"]), tuple(columns))
        check(found)
    except (KeyError, TypeError, AttributeError, BadInput) as error:
        raise ValueError(str(error)) from error
    return found
