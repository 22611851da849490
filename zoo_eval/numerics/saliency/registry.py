"""Saliency methods by name: each in a file of this room, or offered by another package."""

from typing import Any

from zoo_eval.numerics.saliency.method import MethodClass
from zoo_eval.registry import Registry


def _name(thing: Any) -> str | None:
    """The name that a class gives itself: one derived from it has another, or none."""
    named = isinstance(thing, type) and {"name", "published_reduction", "attribute"} <= set(
        dir(thing)
    )
    return vars(thing).get("name") if named else None


METHODS: Registry[MethodClass] = Registry(
    "method", room="zoo_eval.numerics.saliency", group="zoo_eval.saliency", names=_name
)
