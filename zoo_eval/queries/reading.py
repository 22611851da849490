"""Reading: whether a statement only reads, told from its parts: DuckDB takes WITH x AS (COPY ...) for a SELECT."""

import json
from collections.abc import Iterator
from typing import Any

READS = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
# Table functions that open files, or memory, by a name or number in the query.
OPENS = ("read_", "parquet_", "glob", "sniff_", "arrow_scan", "pandas_scan", "python_", "seq_scan")


def only_reads(told: str) -> bool:
    """Whether every part of a statement reads; `told` is what json_serialize_sql says of it."""
    parts = json.loads(told)
    return not parts["error"] and _kinds(parts) <= READS


def opened(told: str) -> str | None:
    """A function that a statement opens something by, other than tables and views; None without one."""
    for part in _parts(json.loads(told)):
        if part.get("type") == "TABLE_FUNCTION":
            name = str(part["function"]["function_name"]).lower()
            if name.startswith(OPENS):
                return name
    return None


def named(told: str) -> set[str]:
    """The tables and views that a statement reads by name, in lower case; no names of its own WITH."""
    parts = list(_parts(json.loads(told)))
    own = {one["key"] for part in parts for one in (part.get("cte_map") or {}).get("map", ())}
    read = {part["table_name"] for part in parts if part.get("type") == "BASE_TABLE"}
    return {name.lower() for name in read - own}


def _kinds(parts: Any) -> set[str]:
    kinds = (part.get("type") for part in _parts(parts))
    return {kind for kind in kinds if isinstance(kind, str) and kind.endswith("_NODE")}


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in JSON."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left += one.values()
        elif isinstance(one, list):
            left += one
