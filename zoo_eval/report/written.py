"""Values as a page holds them: JSON that no name can break out of, and text that steers nothing."""

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from zoo_eval.files.names import printable
from zoo_eval.privacy.addresses import in_text

# Of a float: more than a page shows, and what float32 holds.
DIGITS = 7
# JSON's numbers end before infinity, and JavaScript reads what lies beyond as infinity.
INFINITY = "1e999"
# In a page's script element only `<` can end it; the others are lines' ends in older JavaScript.
ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"} | {
    0x2028: "\\u2028", 0x2029: "\\u2029",
}  # fmt: skip


@dataclass(frozen=True)
class Exact:
    """A value whose strings are code, which stays as it is."""

    value: Any


@lru_cache(1 << 16)
def said(text: str) -> str:
    """Text that may be shown: it holds no key, steers no terminal and turns no line around."""
    return printable(in_text(text))


def as_json(value: Any) -> str:
    """A value as JSON for a script element; +infinity is 1e999, and what is no number the text "NaN".

    Strings are as `said` has them, keys too; floats have seven digits, times are ISO 8601.

    Raises:
        TypeError: a page has no way to write it.
    """
    return _json(value).translate(ESCAPES)


def block(identifier: str, value: Any) -> str:
    """A script element that runs nothing: it holds a value."""
    return f'<script type="application/json" id="{identifier}">{as_json(value)}</script>\n'


def packed(identifier: str, value: Any) -> str:
    """The same compressed (gzip, base64), for what is seldom opened."""
    # Without a time, equal values are equal bytes.
    small = base64.b64encode(gzip.compress(as_json(value).encode(), mtime=0)).decode()
    return f'<script type="text/plain" id="{identifier}">{small}</script>\n'


def _json(value: Any) -> str:
    if isinstance(value, Exact):
        return json.dumps(value.value, ensure_ascii=False, separators=(",", ":"))
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return _number(float(value))
    if isinstance(value, str):
        return json.dumps(said(value), ensure_ascii=False)
    if isinstance(value, datetime):
        return json.dumps(value.isoformat(sep=" ", timespec="minutes"))
    if isinstance(value, Mapping):
        inside = (f"{_json(str(key))}:{_json(each)}" for key, each in value.items())
        return "{" + ",".join(inside) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return "[" + ",".join(map(_json, value)) + "]"
    raise TypeError(f"a page has no way to write {type(value).__name__}")


def _number(value: float) -> str:
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return INFINITY if value > 0 else f"-{INFINITY}"
    return f"{value:.{DIGITS}g}"
