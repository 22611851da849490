"""Digests: the identity of weights, stimuli, recordings and trials is what determines their bytes."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DIGEST_CHARACTERS = 32


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN (ValueError)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """The digest of a JSON-able value's canonical text, 32 hexadecimal characters."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGEST_CHARACTERS]


def bytes_digest(chunks: Iterable[bytes | memoryview]) -> str:
    """The digest of a sequence of byte chunks, in order."""
    sha = hashlib.sha256()
    for chunk in chunks:
        sha.update(chunk)
    return sha.hexdigest()[:DIGEST_CHARACTERS]


def file_digest(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_CHARACTERS]


def seed_from(text: str) -> int:
    """A 63-bit seed that depends on nothing but the text, usually a trial's id."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
