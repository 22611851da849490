"""Pickles of arrays, dicts, lists, text and numbers, read without running anything.

Where NumPy saved a dict as an array of objects, it is a pickle. Its instructions (the public ones of
Python's `pickletools`) are walked through here: the few that make such values are known, all others
are refused, and so is every name but those by which NumPy stores an array. Values of arrays stay in the
file until they are asked for.
"""

import io
import math
import os
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN, RAISE
from zoo_eval.files.reading import MOST_BYTES

# What an instruction makes takes in memory at most, beside text.
STEP_BYTES = 128
# Longer bytes are the values of an array, or no text that anybody wrote.
LONGEST_TEXT = 2**16
MOST_AXES = 32
LONGEST_NAME = 80
# Of values: truths, numbers, text, objects that are again one of these.
KINDS = "buifUSO"
MARK = object()
ARRAY, MAKE, TYPE, SCALAR, ENCODE = "array", "make", "type", "scalar", "encode"
# The names of NumPy 1 and 2; bytes are text to be encoded in pickles of the second protocol.
NAMES: Mapping[tuple[str, str], str] = {
    ("numpy", "ndarray"): ARRAY,
    ("numpy", "dtype"): TYPE,
    **{
        (f"numpy.{core}.{module}", name): meaning
        for core in ("core", "_core")
        for module, name, meaning in (
            ("multiarray", "_reconstruct", MAKE),
            ("multiarray", "scalar", SCALAR),
        )
    },
    ("_codecs", "encode"): ENCODE,
}
LENGTHS = {1: "<B", 4: "<I", 8: "<Q"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
INTEGERS = {"BININT": "<i", "BININT1": "<B", "BININT2": "<H"}
FAILURE = "is no pickle of arrays, text and numbers"


@dataclass(frozen=True)
class Name:
    """A name that is allowed, by what it means."""

    meaning: str


@dataclass(frozen=True)
class Span:
    """Bytes that lie in a file."""

    path: Path
    start: int
    n_bytes: int

    def read(self, start: int = 0, n_bytes: int | None = None) -> bytes:
        """Some of them; all where left out."""
        wanted = self.n_bytes if n_bytes is None else n_bytes
        with self.path.open("rb") as file:
            file.seek(self.start + start)
            content = file.read(wanted)
        if len(content) != wanted:
            raise ValueError("it is cut off")
        return content


@dataclass
class Stored:
    """An array whose values are still in the file."""

    shape: tuple[int, ...] = (0,)
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("u1"))
    by_columns: bool = False
    values: Span | bytes | list[Any] = b""

    def all(self) -> npt.NDArray[Any]:
        """The array."""
        if isinstance(self.values, list):
            return np.array([*self.values, None], dtype=object)[:-1].reshape(self.shape)
        content = self.values.read() if isinstance(self.values, Span) else self.values
        flat = np.frombuffer(content, self.dtype)
        return flat.reshape(self.shape[::-1]).T if self.by_columns else flat.reshape(self.shape)

    def rows(self, start: int, end: int) -> npt.NDArray[Any]:
        """Some rows of an array that is stored row by row."""
        if self.by_columns or not isinstance(self.values, Span):
            return self.all()[start:end]
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        content = self.values.read(start * row, (end - start) * row)
        return np.frombuffer(content, self.dtype).reshape(-1, *self.shape[1:])


@dataclass
class Type:
    """A type of NumPy's values, whose byte order is said after it is made."""

    dtype: np.dtype[Any]


def npy_dict(path: Path, where: str = "", most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The dict that `numpy.save` wrote as an array of one object.

    Args:
        path: the file.
        where: what is read, for messages; the path where left out.
        most_bytes: what it may take beside the arrays' values, which are not read.

    Raises:
        BadInput: the file is damaged, or needs other than arrays, dicts, lists, text and numbers: the
            name that it needs is said, and nothing of it was run.
    """
    place = where or str(path)
    with reading.told(place, path, FAILURE), path.open("rb") as file:
        version = npy_format.read_magic(file)
        first = version == (1, 0)
        read = npy_format.read_array_header_1_0 if first else npy_format.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject or shape not in ((), (1,)):
            raise ValueError(f"it is an array {shape} of {dtype}, and no dict")
        found = _Walk(place, path, file, most_bytes).all()
    held = found.values if isinstance(found, Stored) else None
    if not isinstance(held, list) or len(held) != 1 or not isinstance(held[0], dict):
        raise BadInput(f"{place} {FAILURE}: it holds no dict; name the file that was meant")
    return held[0]


def of_bytes(content: bytes, where: str) -> Any:
    """What a pickle in memory makes.

    Raises:
        BadInput: it needs a name that is not allowed.
        Exception: it is damaged.
    """
    return _Walk(where, None, io.BytesIO(content), MOST_BYTES).all()


class _Walk:
    def __init__(self, where: str, path: Path | None, file: IO[bytes], most_bytes: int) -> None:
        self.where, self.path, self.file = where, path, file
        at = file.tell()
        self.n_bytes = file.seek(0, os.SEEK_END)
        file.seek(at)
        self.most_bytes, self.taken = most_bytes, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps: dict[str, Callable[[], object]] = {
            "DICT": lambda: self._set(self._marked(), {}),
            "LIST": lambda: self._append(self._marked(), []),
            "UNICODE": lambda: self.stack.append(self._escaped()),
            "INT": lambda: self.stack.append(_integer(self._line())),
            "LONG": lambda: self.stack.append(_integer(self._line().removesuffix("L"))),
            "FLOAT": lambda: self.stack.append(float(self._line())),
            "PUT": lambda: self.memo.update({int(self._line()): self.stack[-1]}),
            "GET": lambda: self.stack.append(self.memo[int(self._line())]),
            "EMPTY_DICT": lambda: self.stack.append({}),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "MARK": lambda: self.stack.append(MARK),
            "MEMOIZE": lambda: self.memo.update({len(self.memo): self.stack[-1]}),
            "BINPUT": lambda: self.memo.update({self._number("<B"): self.stack[-1]}),
            "LONG_BINPUT": lambda: self.memo.update({self._number("<I"): self.stack[-1]}),
            "BINGET": lambda: self.stack.append(self.memo[self._number("<B")]),
            "LONG_BINGET": lambda: self.stack.append(self.memo[self._number("<I")]),
            "BINFLOAT": lambda: self.stack.append(self._number(">d")),
            "LONG1": self._long,
            "TUPLE": lambda: self.stack.append(tuple(self._marked())),
            "APPEND": lambda: self._append([self.stack.pop()]),
            "APPENDS": lambda: self._append(self._marked()),
            "SETITEM": lambda: self._set([self.stack.pop() for _ in range(2)][::-1]),
            "SETITEMS": lambda: self._set(self._marked()),
            "GLOBAL": lambda: self._name(self._line(), self._line()),
            "STACK_GLOBAL": self._stacked_name,
            "REDUCE": self._call,
            "BUILD": self._build,
            "FRAME": lambda: self._bytes(8),
            "PROTO": lambda: self._bytes(1),
            "POP": self.stack.pop,
        }

    def all(self) -> Any:
        """What the pickle makes, which is all that the file holds."""
        known = {one.code: one.name for one in pickletools.opcodes}
        while True:
            code = self._bytes(1).decode("latin-1")
            name = known.get(code, repr(code))
            self._take(STEP_BYTES)
            if name == "STOP":
                break
            self._step(name)
        if self.file.read(1):
            raise ValueError("it holds more than its pickle")
        (made,) = self.stack
        return made

    def _take(self, n_bytes: int) -> None:
        self.taken += n_bytes
        if self.taken > self.most_bytes:
            reading.check_fits(self.where, "what it holds", self.taken, self.most_bytes, RAISE)

    def _step(self, name: str) -> None:
        if name in self.steps:
            self.steps[name]()
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in INTEGERS:
            self.stack.append(self._number(INTEGERS[name]))
        elif name in TUPLES:
            n = TUPLES[name]
            if len(self.stack) < n:
                raise ValueError("an instruction lacks what it works on")
            self.stack[-n:] = [tuple(self.stack[-n:])]
        elif name.removeprefix("SHORT_") in (
            "BINUNICODE",
            "BINUNICODE8",
            "BINBYTES",
            "BINBYTES8",
            "BINSTRING",
        ):
            self._content(name)
        else:
            raise ValueError(f"its instruction {name} makes other than these")

    def _content(self, name: str) -> None:
        """Text, or bytes: long ones are left where they are."""
        width = 1 if name.startswith("SHORT_") else 8 if name.endswith("8") else 4
        n = self._number(LENGTHS[width])
        if n > self.n_bytes - self.file.tell():
            raise ValueError("it is cut off")
        if "UNICODE" in name:
            self._take(n)
            self.stack.append(self._bytes(n).decode("utf-8", "surrogatepass"))
        elif n <= LONGEST_TEXT or self.path is None:
            self._take(n)
            content = self._bytes(n)
            self.stack.append(content.decode("latin-1") if "STRING" in name else content)
        else:
            self.stack.append(Span(self.path, self.file.tell(), n))
            self.file.seek(n, os.SEEK_CUR)

    def _bytes(self, n: int) -> bytes:
        content = self.file.read(n)
        if len(content) != n:
            raise ValueError("it is cut off")
        return content

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._bytes(struct.calcsize(form)))[0]

    def _long(self) -> None:
        self.stack.append(int.from_bytes(self._bytes(self._number("<B")), "little", signed=True))

    def _line(self) -> str:
        return self._raw_line().decode("utf-8")

    def _raw_line(self) -> bytes:
        line = self.file.readline(LONGEST_TEXT)
        self._take(len(line))
        if not line.endswith(b"\n"):
            raise ValueError("a line is cut off, or too long")
        return line[:-1]

    def _escaped(self) -> str:
        return self._raw_line().decode("raw-unicode-escape")

    def _marked(self) -> list[Any]:
        at = max(number for number, one in enumerate(self.stack) if one is MARK)
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def _append(self, values: list[Any], new: list[Any] | None = None) -> None:
        if new is not None:
            self.stack.append(new)
        if not isinstance(self.stack[-1], list):
            raise ValueError("it appends to no list")
        self.stack[-1].extend(values)

    def _set(self, values: list[Any], new: dict[Any, Any] | None = None) -> None:
        if new is not None:
            self.stack.append(new)
        if not isinstance(self.stack[-1], dict) or len(values) % 2:
            raise ValueError("it sets what no dict has")
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def _stacked_name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(str(module), str(name))

    def _name(self, module: str, name: str) -> None:
        if (module, name) not in NAMES:
            raise BadInput(
                f"{self.where} needs {f'{module}.{name}'[:LONGEST_NAME]!r}, which is neither an array nor text "
                "nor a number and is never run; save arrays alone"
            )
        self.stack.append(Name(NAMES[module, name]))

    def _call(self) -> None:
        given, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, Name) or not isinstance(given, tuple):
            raise ValueError("it calls what is no name")
        self.stack.append(_made(name.meaning, given))

    def _build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, Type) and isinstance(state, tuple):
            # The second of a type's state is its byte order.
            if state[1] in ("<", ">"):
                made.dtype = made.dtype.newbyteorder(state[1])
            if state[2:5] != (None, None, None):
                raise ValueError("its values are of more than one part")
        elif isinstance(made, Stored) and isinstance(state, tuple) and len(state) == 5:
            _fill(made, *state[1:])
        else:
            raise ValueError("it changes what is no array")


def _integer(written: str) -> int | bool:
    """A number of the first protocol, in which 00 and 01 are truths."""
    return written == "01" if written in ("00", "01") else int(written)


def _made(meaning: str, given: tuple[Any, ...]) -> Any:
    """What a call gives: an array or a type still to be described, a number, or bytes."""
    if meaning == MAKE and given[:1] == (Name(ARRAY),):
        return Stored()
    if meaning == TYPE and given and isinstance(given[0], str) and len(given[0]) <= 8:
        dtype = np.dtype(given[0])
        if dtype.kind not in KINDS:
            raise ValueError(f"its values are of type {dtype}")
        return Type(dtype)
    if meaning == SCALAR and len(given) == 2 and isinstance(given[0], Type):
        return _scalar(given[0].dtype, given[1])
    if meaning == ENCODE and len(given) == 2 and given[1] == "latin1":
        return str(given[0]).encode("latin-1")
    raise ValueError("it calls a name in another way than NumPy does")


def _scalar(dtype: np.dtype[Any], content: Any) -> Any:
    """A number or text of NumPy, as Python has it."""
    content = content.encode("latin-1") if isinstance(content, str) else content
    if not isinstance(content, bytes) or len(content) != dtype.itemsize or dtype.hasobject:
        raise ValueError("a number has no value")
    return np.frombuffer(content, dtype)[0].item()


def _fill(array: Stored, shape: Any, kind: Any, by_columns: Any, values: Any) -> None:
    """Gives an array its shape, type and values, which must be as many as it says."""
    if not isinstance(shape, tuple) or not all(type(one) is int and one >= 0 for one in shape):
        raise ValueError(f"an array has the shape {shape!r:.60}")
    if len(shape) > MOST_AXES or not isinstance(kind, Type):
        raise ValueError("an array has no type, or too many axes")
    n, dtype = math.prod(shape), kind.dtype
    values = values.encode("latin-1") if isinstance(values, str) else values
    if not isinstance(values, bytes | list | Span):
        raise ValueError("an array has no values")
    held = values.n_bytes if isinstance(values, Span) else len(values)
    expected = n if dtype.hasobject else n * dtype.itemsize
    if held != expected or isinstance(values, list) != dtype.hasobject:
        raise ValueError(f"an array {shape} of {dtype} holds {held} of {expected}: {AGAIN}")
    array.shape, array.dtype, array.by_columns, array.values = (
        shape,
        dtype,
        bool(by_columns),
        values,
    )
