"""tf.Example messages are read as protobuf writes them, and nonsense is told from them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.importance.shards import example
from zoo_eval.importance.tf_example import Malformed, parse

INT64 = st.integers(-(2**63), 2**63 - 1)
LISTS = st.one_of(
    st.lists(st.binary(max_size=200), min_size=1, max_size=4),
    st.lists(INT64, min_size=1, max_size=20),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20),
)


@given(st.dictionaries(st.text(max_size=5), LISTS, max_size=4))
def test_what_protobuf_wrote_is_read(features):
    message = example(**features)
    assert parse(message) == features


def test_values_that_are_not_packed_are_read_too():
    # Older writers give every value a tag of its own: field 1, varint or fixed 32 bits.
    integers = b"\x1a\x04" + b"\x08\x05" + b"\x08\x07"
    floats = b"\x12\x05" + b"\x0d\x00\x00\xc0\x3f"
    for feature, expected in ((integers, [5, 7]), (floats, [1.5])):
        entry = b"\x0a\x01x" + b"\x12" + bytes([len(feature)]) + feature
        features = b"\x0a" + bytes([len(entry)]) + entry
        assert parse(b"\x0a" + bytes([len(features)]) + features) == {"x": expected}


def test_unknown_fields_are_passed_over():
    message = example(label=[3])
    unknown = b"\x10\x01" + b"\x19" + bytes(8) + b"\x25" + bytes(4) + b"\x2a\x02ab"
    assert parse(unknown + message) == {"label": [3]}


def test_a_feature_without_values_is_empty():
    assert parse(b"\x0a\x07\x0a\x05\x0a\x01x\x12\x00") == {"x": []}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (example(label=[3])[:-1], "longer than its message"),
        (b"\x0b", "unknown wire type 3"),
        (b"\xff" * 11, "more than ten bytes"),
        (b"\x0a", "cut off"),
        (b"\x0a\x05\x0a\x03\x0a\x01\xff", "not text"),
        (b"\x0a\x0c\x0a\x0a\x0a\x01x\x12\x05\x12\x03\x0a\x01x", "part of one"),
    ],
)
def test_nonsense_is_malformed(message, reason):
    with pytest.raises(Malformed, match=reason):
        parse(message)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_malformed(message):
    with contextlib.suppress(Malformed):
        parse(message)
