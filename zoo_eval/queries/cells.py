"""Cells: what of a result Arrow, Python or a line of text has no value for; it is taken as text."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

# DuckDB's types whose values are made of others; of these alone `children` can be asked.
NESTED = frozenset({"list", "array", "struct", "map", "union"})
# Arrow has decimals of so many digits; a HUGEINT may have one more.
MOST_DIGITS = 38
DAY_US = 24 * 60 * 60 * 10**6


class Kind(Protocol):
    """A type of DuckDB's: its name, and the types that its values are made of."""

    @property
    def id(self) -> str: ...

    @property
    def children(self) -> Any: ...


@dataclass(frozen=True)
class Holder:
    """What takes a result: the types that it has no values for, and whether the others are Python's."""

    lacks: frozenset[str]
    is_python: bool = True

    def lacks_type(self, kind: Kind) -> bool:
        """Whether it has no values for a type, whatever these are."""
        if kind.id in self.lacks:
            return True
        inner = [child for _, child in kind.children] if kind.id in NESTED else []
        if kind.id == "array":
            # The second says its length.
            inner = inner[:1]
        if kind.id == "map" and self.is_python and inner[0].id in NESTED:
            return True
        return any(map(self.lacks_type, inner))

    def lacks_values(self, column: pa.ChunkedArray) -> bool:
        """Whether it has no value for some of a column's."""
        parts = [part for chunk in column.chunks for part in _parts(chunk)]
        return any(
            _is_long(part) or _is_late(part) or (self.is_python and _is_far(part)) for part in parts
        )


# Of these Arrow has other values: no offset, bytes of DuckDB's own, another sign.
ARROW = Holder(
    frozenset({"time with time zone", "bit", "bignum", "variant", "uhugeint"}), is_python=False
)
# Python's times have no nanoseconds, its libraries neither unions nor intervals by month.
PYTHON = Holder(ARROW.lacks | {"interval", "time_ns", "union"})
TEXT = Holder(PYTHON.lacks | {"blob", "geometry"})


def _parts(array: pa.Array) -> Iterator[pa.Array]:
    """The arrays that hold the values of a nested one; of others, the array itself."""
    kind = array.type
    within: list[pa.Array] = []
    if pa.types.is_map(kind):
        within = [array.keys, array.items]
    elif pa.types.is_struct(kind):
        within = array.flatten()
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        within = [array.flatten()]
    else:
        yield array
    for one in within:
        yield from _parts(one)


def _is_long(array: pa.Array) -> bool:
    """Whether some whole number has more digits than Arrow says that it may have."""
    if not pa.types.is_decimal128(array.type) or array.type.scale:
        return False
    return any(abs(one) >= 10**MOST_DIGITS for one in _ends(array))


def _is_late(array: pa.Array) -> bool:
    """Whether some time is 24:00, which is the next day's to all but SQL."""
    if array.type != pa.time64("us"):
        return False
    return any(one >= DAY_US for one in _ends(array.cast(pa.int64())))


def _is_far(array: pa.Array) -> bool:
    """Whether some date is beyond Python's."""
    kind = array.type
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return False
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        # DuckDB's infinities are the largest numbers, which are also moments in 1677 and 2262.
        return any(abs(one) >= 2**63 - 1 for one in _ends(array.cast(pa.int64())))
    try:
        _ends(array)
    except (OverflowError, ValueError):
        return True
    return False


def _ends(array: pa.Array) -> list[Any]:
    """The least and the largest value, where there are any."""
    ends = pc.min_max(array)
    return [value for one in ("min", "max") if (value := ends[one].as_py()) is not None]
