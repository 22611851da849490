"""Settings: parameters, stored as JSON, as a list that can be read."""

import json
from collections.abc import Iterator
from typing import Any

from zoo_eval.files.names import in_html

Setting = tuple[str, str]


def settings(parameters: str | None) -> list[Setting]:
    """Names and values in words, e.g. ("canvas", "own"), ("importance, sigma", "10"); empty of nothing.

    What is set inside others is named by both.
    """
    return list(_flat((), json.loads(parameters or "{}")))


def in_a_line(parameters: str | None) -> str:
    """The same as one line, e.g. "canvas own, importance: sigma 10"."""
    return ", ".join(f"{name} {value}" for name, value in settings(parameters))


def listed(parameters: str | None) -> str:
    """The same as an HTML list that opens."""
    found = settings(parameters)
    if not found:
        return ""
    items = "".join(
        f"<div><dt>{in_html(name)}</dt><dd>{in_html(value)}</dd></div>" for name, value in found
    )
    return f'<details class="settings"><summary>Settings</summary><dl>{items}</dl></details>'


def _flat(above: tuple[str, ...], value: Any) -> Iterator[Setting]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat((*above, str(name).replace("_", " ")), inner)
    elif value is not None and value != {} and above:
        yield ": ".join(above), _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_in_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
