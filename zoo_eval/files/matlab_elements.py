"""Elements of MATLAB's files of version 5: their types and sizes, walked through without their values.

After "MAT-File Format" (MathWorks): an element is a type, a number of bytes and these, or both in
four bytes and up to four of data; a matrix is made of elements: flags, shape, name, values.
"""

import math
import struct
from collections.abc import Iterator

from zoo_eval.errors import BadInput

TAG_BYTES = 8
MATRIX = 14
INT8, INT32, UINT32 = 1, 5, 6
# Bytes of one value, by type.
VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
NUMBERS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
CELL, STRUCTURE, TEXT, SPARSE, OPAQUE = 1, 2, 4, 5, 17
NUMERIC_CLASSES = range(6, 16)
CLASSES = range(1, 18)
READABLE = (CELL, STRUCTURE, TEXT, SPARSE, *NUMERIC_CLASSES)
LONGEST_NAME = 64
COMPLEX = 0x800
MOST_AXES = 32
# So SciPy calls what only MATLAB reads.
UNNAMED = "None"
DEEPEST = 50

Element = tuple[int, memoryview]


def checked(content: bytes, order: str) -> str | None:
    """The name of a variable whose elements are all sound; None where it holds other than arrays.

    Arrays are numbers, text, and cells and structures of these.

    Args:
        content: the variable, from its tag on.
        order: of bytes, "<" or ">".

    Raises:
        ValueError: an element is of no known type, larger than what it is in, or not what stands there.
        BadInput: a variable is sparse.
    """
    walk = _Walk(order)
    walk.all(memoryview(content), 0)
    return None if walk.has_others else walk.name


class _Walk:
    def __init__(self, order: str) -> None:
        self.order = order
        self.name = UNNAMED
        self.has_others = False
        self.in_structure = False

    def all(self, content: memoryview, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        for kind, inner in self._elements(content):
            if kind == MATRIX:
                self._matrix(inner, depth)

    def _elements(self, content: memoryview) -> Iterator[Element]:
        at = 0
        while at < len(content):
            if at + 4 > len(content):
                raise ValueError("an element is cut off")
            (first,) = struct.unpack_from(f"{self.order}I", content, at)
            small = first >> 16
            if small:
                kind, size, start, end = first & 0xFFFF, small, at + 4, at + TAG_BYTES
            else:
                if at + TAG_BYTES > len(content):
                    raise ValueError("an element is cut off")
                (size,) = struct.unpack_from(f"{self.order}I", content, at + 4)
                kind, start = first, at + TAG_BYTES
                end = start + -(-size // 8) * 8
            if kind != MATRIX and kind not in VALUE_BYTES:
                raise ValueError(f"an element is of type {kind}")
            if size > (4 if small else len(content) - start) or size % VALUE_BYTES.get(kind, 1):
                raise ValueError(f"an element of {size} bytes is larger than what it is in")
            yield kind, content[start : start + size]
            at = end

    def _matrix(self, content: memoryview, depth: int) -> None:
        # An empty one stands for an empty value of a cell or a field.
        if not content:
            return
        elements = self._elements(content)
        kind, flags = self._next(elements)
        if kind != UINT32 or len(flags) != 8:
            raise ValueError("a variable does not say its class")
        (word,) = struct.unpack_from(f"{self.order}I", flags)
        own = word & 0xFF
        if own not in CLASSES:
            raise ValueError(f"a variable is of class {own}")
        if own != OPAQUE:
            shape = self._shape(*self._next(elements))
            kind, name = self._next(elements)
            self.name = bytes(name).decode("latin-1") if depth == 0 else self.name
            # A structure may hold anything beside what is meant: sparse, it is no mistake there.
            self.has_others |= own not in READABLE or (own == SPARSE and self.in_structure)
            self.in_structure |= own == STRUCTURE
            if kind != INT8:
                raise ValueError("a variable has no name")
            if own == SPARSE and not self.has_others:
                told = bytes(name).decode("ascii", "replace")
                raise BadInput(f"variable {told!r} is sparse; save full({told})")
            if self.has_others:
                return
            self._values(own, bool(word & COMPLEX), shape, list(elements))
        self.all(content, depth + 1)

    def _next(self, elements: Iterator[Element]) -> Element:
        for found in elements:
            return found
        raise ValueError("a variable is cut off")

    def _shape(self, kind: int, content: memoryview) -> tuple[int, ...]:
        if kind != INT32 or not 0 < len(content) <= 4 * MOST_AXES:
            raise ValueError("a variable has no shape")
        shape = struct.unpack(f"{self.order}{len(content) // 4}i", content)
        if min(shape) < 0:
            raise ValueError(f"a variable has the shape {shape}")
        return shape

    def _values(
        self, own: int, is_complex: bool, shape: tuple[int, ...], parts: list[Element]
    ) -> None:
        n = math.prod(shape)
        if own in NUMERIC_CLASSES:
            for kind, content in parts[: 1 + is_complex]:
                if kind not in NUMBERS or len(content) != n * VALUE_BYTES[kind]:
                    raise ValueError(f"a variable of shape {shape} has {len(content)} bytes")
            if len(parts) < 1 + is_complex and n:
                raise ValueError("a variable has no values")
        elif own == CELL and (len(parts) != n or any(kind != MATRIX for kind, _ in parts)):
            raise ValueError(f"a variable has {len(parts)} cells, not {n}")
        elif own == TEXT and n and len(parts) != 1:
            raise ValueError("a variable has no text")
        elif own == STRUCTURE:
            self._check_fields(n, parts)

    def _check_fields(self, n: int, parts: list[Element]) -> None:
        """A structure has the length of its fields' names, these, and a matrix for each of each."""
        if [kind for kind, _ in parts[:2]] != [INT32, INT8] or len(parts[0][1]) != 4:
            raise ValueError("a structure does not name its fields")
        (width,) = struct.unpack(f"{self.order}i", parts[0][1])
        if not 0 < width <= LONGEST_NAME or len(parts[1][1]) % width:
            raise ValueError(f"the names of a structure's fields are {width} bytes long")
        values, n_fields = parts[2:], len(parts[1][1]) // width
        if len(values) != n * n_fields or any(kind != MATRIX for kind, _ in values):
            raise ValueError(f"a structure has {len(values)} values, not {n} x {n_fields}")
