"""tf.Example messages: named features, read from the protocol-buffer wire format.

Example { Features features = 1 }, Features { map<string, Feature> feature = 1 },
Feature { BytesList = 1 | FloatList = 2 | Int64List = 3 }, each list { repeated value = 1 }.
"""

import struct
from collections.abc import Iterator

Feature = list[bytes] | list[float] | list[int]
VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
WIDTH_BYTES = {FIXED64: 8, FIXED32: 4}
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3


class Malformed(ValueError):
    """The bytes are not a tf.Example message."""


def parse(message: bytes) -> dict[str, Feature]:
    """The features of a serialised tf.Example by name; a feature without values is an empty list.

    Raises:
        Malformed: the bytes are not such a message.
    """
    features: dict[str, Feature] = {}
    for example in _messages(message, 1):
        for entry in _messages(example, 1):
            name = b"".join(_messages(entry, 1)[-1:])
            value = b"".join(_messages(entry, 2)[-1:])
            try:
                features[name.decode()] = _feature(value)
            except UnicodeDecodeError as error:
                raise Malformed("a feature's name is not text") from error
    return features


def _feature(message: bytes) -> Feature:
    feature: Feature = []
    for kind, wire_type, value in _fields(message):
        if kind not in (BYTES_LIST, FLOAT_LIST, INT64_LIST):
            continue
        if wire_type != DELIMITED or not isinstance(value, bytes):
            raise Malformed(f"a list of values has wire type {wire_type}")
        if kind == BYTES_LIST:
            feature = _messages(value, 1)
        elif kind == FLOAT_LIST:
            feature = _floats(value)
        else:
            feature = _integers(value)
    return feature


def _messages(message: bytes, number: int) -> list[bytes]:
    return [value for n, _, value in _fields(message) if n == number and isinstance(value, bytes)]


def _floats(message: bytes) -> list[float]:
    packed = b"".join(_messages(message, 1))
    if len(packed) % 4:
        raise Malformed("a list of floats has a part of one")
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _integers(message: bytes) -> list[int]:
    values: list[int] = []
    for number, _, value in _fields(message):
        if number != 1:
            continue
        if isinstance(value, int):
            values.append(value)
            continue
        position = 0
        while position < len(value):
            integer, position = _varint(value, position)
            values.append(integer)
    # Negative integers are stored modulo 2^64.
    return [value - (value >> 63 << 64) for value in values]


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Field number, wire type and value of each field: an integer for varints, else bytes."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, position = _varint(message, position)
            yield number, wire_type, value
            continue
        if wire_type == DELIMITED:
            size, position = _varint(message, position)
        elif wire_type in WIDTH_BYTES:
            size = WIDTH_BYTES[wire_type]
        else:
            raise Malformed(f"unknown wire type {wire_type}")
        if position + size > len(message):
            raise Malformed("a field is longer than its message")
        yield number, wire_type, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise Malformed("a number is cut off")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise Malformed("a number has more than ten bytes")
