"""Inputs: what was generated (planted recordings), kept so that it need not be made again.

A file's name has the digest of its bytes. Those of version 0.1.0 have none.
"""

import re

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.digests import bytes_digest
from zoo_eval.storage.objects import Found, Objects
from zoo_eval.storage.snapshot import UNREADABLE

FOLDER = "inputs"
NAME = re.compile(r"(?P<name>.+?)(\.(?P<digest>[0-9a-f]{32}))?\.parquet")


def write(objects: Objects, name: str, held: bytes) -> None:
    """Keeps bytes under a name, unless something is kept already."""
    if not _kept(objects, name):
        objects.create(f"{FOLDER}/{name}.{bytes_digest([held])}.parquet", held)


def read(objects: Objects, name: str) -> pa.Table | None:
    """What is kept under a name; what is damaged is removed, and made again."""
    for one in _kept(objects, name):
        held = objects.get(one.path)
        if is_whole(one.path, held):
            return pq.read_table(pa.BufferReader(held))
        objects.delete(one.path)
    return None


def is_whole(path: str, held: bytes) -> bool:
    """Whether a file has the bytes that were written."""
    match = NAME.fullmatch(path.rpartition("/")[2])
    if match and match["digest"]:
        return bytes_digest([held]) == match["digest"]
    try:
        pq.ParquetFile(pa.BufferReader(held), page_checksum_verification=True).read()
    except UNREADABLE:
        return False
    return True


def paths(objects: Objects) -> list[str]:
    return [one.path for one in objects.listed(FOLDER) if NAME.fullmatch(one.name)]


def _kept(objects: Objects, name: str) -> list[Found]:
    found = ((NAME.fullmatch(one.name), one) for one in objects.listed(FOLDER))
    kept = [one for match, one in found if match and match["name"] == name]
    return sorted(kept, key=lambda one: (one.modified, one.path))
