"""Kept: files that belong to no trial, which the ledger names by what they are.

`inputs/NAME` was generated (a planted recording), so that it need not be made again; `declared/NAME` is
a table or view of another package; and a derived table, under its own name, is replaced as a whole.
"""

import json
from collections.abc import Mapping
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.errors import one_line
from zoo_eval.storage import records
from zoo_eval.storage.damage import GONE, UNREADABLE, Damage
from zoo_eval.storage.ledger import Named
from zoo_eval.storage.objects import Objects, each
from zoo_eval.tables import Table, View, declared

INPUTS = "inputs"
DECLARED = "declared"


def is_whole(one: Named, held: bytes) -> bool:
    """Whether a file's bytes are those that were written, or readable, where nobody noted which."""
    if one.digest or len(held) != one.size:
        return one.is_of(held)
    try:
        if one.path.endswith(".json"):
            declared.from_json(held.decode())
        else:
            pq.ParquetFile(pa.BufferReader(held), page_checksum_verification=True).read()
    except UNREADABLE:
        return False
    return True


def declaration(one: Table | View) -> tuple[str, str, bytes]:
    """What a table or view is called in the ledger, its file's path, and the bytes of that.

    Raises:
        BadInput: the store cannot keep it.
    """
    declared.check(one)
    name = f"{DECLARED}/{one.name}"
    return name, f"{name}.{uuid4().hex}.json", records.as_bytes(json.loads(declared.to_json(one)))


def declarations(
    objects: Objects, kept: Mapping[str, Named]
) -> tuple[list[Table | View], list[Damage]]:
    """The tables and views that are declared, and which files that say so are damaged."""

    def read(path: str) -> Table | View | Damage:
        try:
            held = objects.get(path)
            # Those of version 0.1.0 have no digest, and their lines are indented.
            is_old = held.startswith(b"{\n")
            text = held.decode() if is_old else json.dumps(records.from_bytes(held))
            return declared.from_json(text)
        except FileNotFoundError:
            return Damage(path, GONE)
        except ValueError as error:
            return Damage(path, f"is damaged ({one_line(error)})")

    paths = [one.path for name, one in kept.items() if name.startswith(f"{DECLARED}/")]
    read_ = each(objects, read, paths)
    damages = [one for one in read_ if isinstance(one, Damage)]
    return [one for one in read_ if not isinstance(one, Damage)], damages
