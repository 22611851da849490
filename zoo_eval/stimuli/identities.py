"""Identities: digests of stimulus sets, kept so that no image is decoded again only to be named."""

import json
import os
from pathlib import Path
from uuid import uuid4

from zoo_eval.digests import digest
from zoo_eval.paths import cache_folder


def read(stamp: str, described: str) -> str | None:
    """The digest that was kept for unchanged files under the same ids, groups and labels."""
    try:
        found = json.loads(_file(stamp, described).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def write(stamp: str, described: str, kept: str) -> None:
    """Keeps a digest; where the cache folder takes nothing, it is computed again."""
    file = _file(stamp, described)
    aside = file.with_suffix(f".{uuid4().hex}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(kept))
        os.replace(aside, file)
    except OSError:
        aside.unlink(missing_ok=True)


def _file(stamp: str, described: str) -> Path:
    return cache_folder("stimuli") / f"{digest([stamp, described])}.json"
