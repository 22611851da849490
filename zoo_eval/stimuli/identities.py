"""Identities: digests of stimulus sets, kept so that no image is decoded again only to be named."""

import json
from contextlib import suppress
from pathlib import Path

from zoo_eval.digests import digest
from zoo_eval.paths import cache_folder, write_whole


def read(stamp: str, described: str) -> str | None:
    """The digest that was kept for unchanged files under the same ids, groups and labels."""
    try:
        found = json.loads(_file(stamp, described).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def write(stamp: str, described: str, kept: str) -> None:
    """Keeps a digest; where the cache folder takes nothing, it is computed again."""
    with suppress(OSError):
        write_whole(_file(stamp, described), json.dumps(kept))


def _file(stamp: str, described: str) -> Path:
    return cache_folder("stimuli") / f"{digest([stamp, described])}.json"
