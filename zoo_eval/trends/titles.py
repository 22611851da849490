"""What each comparison of a store is called: no two alike, and no longer than that takes."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

# Said wherever comparisons differ in one, also where the names already do.
ALWAYS = ("protocol", "decision", "canvas")
# These need no word before them.
BARE = ("protocol", "decision")
# What is run unless something else is asked for goes without saying.
ORDINARY = ("corrected", "standard")
DIGITS = 8


def subjects(names: Sequence[str], keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each comparison's name with what sets it apart, e.g. "photos, ddn l2, animate, canvas 224".

    `keys` are columns that all rows of a comparison share; `parameters`, JSON, is taken apart.
    """
    found = list(names)
    flat = [_flat(key) for key in keys]
    others = sorted({name for one in flat for name in one} - set(ALWAYS))
    for name in (*ALWAYS, *others):
        said = [_said(name, one.get(name)) for one in flat]
        among: dict[str, set[str | None]] = defaultdict(set)
        for subject, text in zip(found, said, strict=True):
            among[subject].add(text)
        # A gradient, which has no decision, is no other decision.
        everywhere = name in ALWAYS and len(set(said) - {None}) > 1
        found = [
            f"{subject}, {text}" if text and (everywhere or len(among[subject]) > 1) else subject
            for subject, text in zip(found, said, strict=True)
        ]
    return found


def _flat(key: Mapping[str, Any]) -> dict[str, Any]:
    """Columns and parameters side by side, those inside others by their dotted names."""
    flat: dict[str, Any] = {}
    open_ = {**key, **json.loads(key["parameters"])}
    del open_["parameters"]
    while open_:
        name, value = open_.popitem()
        if isinstance(value, dict):
            open_ |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _said(name: str, value: Any) -> str | None:
    """In words; empty where it goes without saying, None where there is none."""
    if value is None:
        return None
    if name == "protocol" and value in ORDINARY:
        return ""
    text = str(value)[:DIGITS] if name.endswith("_digest") else str(value)
    return text if name in BARE else f"{name} {text}"
