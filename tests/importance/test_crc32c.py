"""CRC-32C equals the published vectors and a byte-by-byte computation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.importance.shards import crc32c_byte_by_byte, masked
from zoo_eval.importance.crc32c import crc32c, masked_crc32c

# RFC 3720, appendix B.4, and the usual check value.
PUBLISHED = [
    (b"", 0x00000000),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
]


@pytest.mark.parametrize(("data", "expected"), PUBLISHED)
def test_published_vectors(data, expected):
    assert crc32c(data) == expected


@given(st.binary(max_size=300))
def test_any_bytes_as_byte_by_byte(data):
    assert crc32c(data) == crc32c_byte_by_byte(data)
    assert masked_crc32c(data).to_bytes(4, "little") == masked(data)


@pytest.mark.parametrize("n_bytes", [4095, 4096, 4097, 20_001])
def test_long_data_of_any_length(n_bytes):
    data = np.random.default_rng(0).bytes(n_bytes)
    assert crc32c(data) == crc32c_byte_by_byte(data)
