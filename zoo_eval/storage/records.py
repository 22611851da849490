"""Records: small JSON objects with a digest of themselves, numbered in the order they came in.

`ledger/00000042.json` is made by `create`: of all who want the number 42 one gets it, the others take
a later one. So a folder of records is in one order that everybody sees and nobody can change.
"""

import json
import random
import re
import time
from dataclasses import dataclass
from typing import Any

from zoo_eval.digests import canonical_json, digest
from zoo_eval.storage.objects import Found, Objects

NAME = re.compile(r"(\d{8})\.json")
# Who lost a number waits so long at most, that many writers do not all try for the next.
LONGEST_WAIT_S = 0.2


def as_bytes(content: dict[str, Any]) -> bytes:
    """A record's bytes: canonical JSON that holds the digest of the rest."""
    return canonical_json({**content, "digest": digest(content)}).encode()


def from_bytes(held: bytes) -> dict[str, Any]:
    """What `as_bytes` was given.

    Raises:
        ValueError: a single bit is another.
    """
    try:
        content = json.loads(held)
        if not isinstance(content, dict) or content.pop("digest", None) != digest(content):
            raise ValueError("its digest is another")
        if as_bytes(content) != held:
            raise ValueError("its bytes are others")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("empty" if not held else "damaged") from error
    return content


def name_of(number: int) -> str:
    return f"{number:08d}.json"


@dataclass(frozen=True)
class Records:
    """The numbered records of one folder."""

    objects: Objects
    folder: str

    def path(self, number: int) -> str:
        return f"{self.folder}/{name_of(number)}"

    def found(self, after: int = 0) -> dict[int, Found]:
        """The records that are there, by number, in order."""
        listed = self.objects.listed(self.folder, name_of(after) if after else "")
        named = ((NAME.fullmatch(one.name), one) for one in listed)
        return {int(match[1]): one for match, one in named if match}

    def read(self, number: int) -> dict[str, Any]:
        """A record's content.

        Raises:
            ValueError: it is damaged.
            FileNotFoundError: it is gone.
        """
        return from_bytes(self.objects.get(self.path(number)))

    def create(self, number: int, content: dict[str, Any]) -> bool:
        """Makes the record of a number; whether nobody was first."""
        return self.objects.create(self.path(number), as_bytes(content))

    def append(self, content: dict[str, Any], after: int = 0) -> int:
        """Makes the next record, after at least that one; its number."""
        held = as_bytes(content)
        last = max(self.found(after), default=after)
        while not self.objects.create(self.path(last + 1), held):
            time.sleep(random.uniform(0, LONGEST_WAIT_S))
            last = max(self.found(last), default=last + 1)
        return last + 1
