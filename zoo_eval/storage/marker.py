"""Marker: the file that makes a folder or a prefix a store, and says of which schema."""

import json

from zoo_eval.storage import ledger, manifest
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.records import as_bytes
from zoo_eval.tables import SCHEMA_VERSION, TRIALS

MARKER = "zoo_eval_store.json"


def content(version: int = SCHEMA_VERSION) -> bytes:
    """A marker's bytes; those of version 0.1.0 had no digest."""
    told = {"schema_version": version}
    return json.dumps(told).encode() if version == 1 else as_bytes(told)


def version(objects: Objects) -> int:
    """The schema of the store.

    Raises:
        ValueError: the marker is damaged.
        FileNotFoundError: there is none.
    """
    held = objects.get(MARKER)
    try:
        found = int(json.loads(held)["schema_version"])
        if found < 1:
            raise ValueError("damaged")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError("damaged") from error
    if held not in (content(found), json.dumps({"schema_version": found}).encode()):
        raise ValueError("damaged")
    return found


def records(objects: Objects) -> bool:
    """Whether there are a store's records, marker or not."""
    return any(map(objects.listed, (ledger.FOLDER, manifest.FOLDER, TRIALS.name)))


def mended(objects: Objects) -> bool:
    """Writes a marker that is damaged or gone from what else is there; whether it had to."""
    try:
        version(objects)
    except (ValueError, FileNotFoundError) as error:
        if not records(objects) and isinstance(error, FileNotFoundError):
            return False
        is_new = any(map(objects.listed, (ledger.FOLDER, manifest.FOLDER)))
        is_new |= not objects.listed(TRIALS.name)
        objects.replace(MARKER, content(SCHEMA_VERSION if is_new else 1))
        return True
    return False
