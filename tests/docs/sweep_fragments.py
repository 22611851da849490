"""A snippet of a sweep file with what it lacks: a store, models, and whatever its names refer to."""

from collections.abc import Mapping
from typing import Any

SECTIONS = {"store", "models", "stimuli", "recordings", "importance", "evaluations", "run"}
# The folder and labels of tests/docs/readers_folder.py.
PHOTOS = {"kind": "folder", "path": "images", "labels": "labels.csv"}
SMALL = {"name": "small", "architecture": "timm/test_vit", "weights": "untrained"}
ONLY_SMALL = {"include": ["local/small"], "local": [SMALL]}


def is_card_file(content: Mapping[str, Any]) -> bool:
    """Whether a snippet is one of a card file: [[models]], and nothing else."""
    return set(content) == {"models"} and isinstance(content["models"], list)


def completed(fragment: Mapping[str, Any]) -> dict[str, Any]:
    """The tables and keys of a whole sweep around a fragment of one, nothing in it changed."""
    whole: dict[str, Any] = {"store": {"uri": "results/snippet"}, **fragment}
    whole["models"] = {"include": ["local/*"], **(fragment.get("models") or ONLY_SMALL)}
    whole.setdefault("evaluations", [{"kind": "accuracy", "stimuli": "photos"}])
    named = [*whole["evaluations"], *_entries(whole, "recordings"), *_entries(whole, "importance")]
    stimuli = {str(one["stimuli"]) for one in named if "stimuli" in one}
    whole["stimuli"] = {
        **dict.fromkeys(stimuli, PHOTOS),
        **fragment.get("stimuli", {}),
    }
    return whole


def _entries(content: Mapping[str, Any], table: str) -> list[Mapping[str, Any]]:
    return list(content.get(table, {}).values())
