"""Identity: what a stimulus set is, kept so that no image is opened again only to be named."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo_eval.digests import digest
from zoo_eval.paths import cache_folder, write_whole

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Identity:
    """Of a set: its digest; of each image its (row, column, RGB) and the digest of its pixels.

    `described` is the digest of the ids, groups and labels that it was computed for; `remarks` are
    what a plan says of the images, with how many it is said of.
    """

    described: str
    digest: str
    shapes: tuple[Shape, ...]
    pixels: tuple[str, ...]
    remarks: Mapping[str, int] = field(default_factory=dict)


def read(stamp: str, described: str) -> Identity | None:
    """What was kept of unchanged files under the same ids, groups and labels."""
    try:
        return _parsed(json.loads(_file(stamp, described).read_text()), described)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(stamp: str, kept: Identity) -> None:
    """Keeps an identity; where the cache folder takes nothing, it is computed again."""
    with suppress(OSError):
        write_whole(_file(stamp, kept.described), json.dumps(vars(kept)))


def _parsed(found: dict[str, Any], described: str) -> Identity | None:
    """None for what is damaged, or of other ids."""
    shapes = tuple(tuple(map(int, shape)) for shape in found["shapes"])
    pixels = tuple(map(str, found["pixels"]))
    remarks = {str(said): int(n) for said, n in found["remarks"].items()}
    same = found["described"] == described and len(shapes) == len(pixels)
    return Identity(described, str(found["digest"]), shapes, pixels, remarks) if same else None


def _file(stamp: str, described: str) -> Path:
    # In another folder than digests alone were kept in, by another layout.
    return cache_folder("identities") / f"{digest([stamp, described])}.json"
