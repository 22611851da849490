"""CRC-32C of bytes (Castagnoli polynomial, RFC 3720), a record at a time in array operations.

A checksum is linear: that of two blocks is that of the first, moved past the length of the second,
plus (exclusive or) that of the second. So all bytes start as blocks of their own, and neighbours
are joined until one block is left.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
POLYNOMIAL = 0x82F63B78  # reflected
ALL_ONES = 0xFFFFFFFF
MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes) -> int:
    """The CRC-32C of the data, 32 bits; 0 for no data."""
    # The register starts as ones: its state travels past the data like any other block.
    return _joined(data) ^ _moved_ones(len(data)) ^ ALL_ONES


def masked_crc32c(data: bytes) -> int:
    """The CRC-32C as TFRecord files store it: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & ALL_ONES


def _joined(data: bytes) -> int:
    if not data:
        return 0
    blocks = _byte_table()[np.frombuffer(data, np.uint8)]
    level = 0
    while len(blocks) > 1:
        if len(blocks) % 2:
            # A block of zeros in front changes no checksum.
            blocks = np.concatenate([np.zeros(1, np.uint32), blocks])
        blocks = _past(level, blocks[0::2]) ^ blocks[1::2]
        level += 1
    return int(blocks[0])


def _moved_ones(n_bytes: int) -> int:
    state = np.array([ALL_ONES], np.uint32)
    for level in range(n_bytes.bit_length()):
        if n_bytes >> level & 1:
            state = _past(level, state)
    return int(state[0])


def _past(level: int, states: Words) -> Words:
    """The states of the register (block,) after 2^level zero bytes."""
    table = _zeros_tables(level)
    moved: Words = table[0][states & 255]
    for byte in (1, 2, 3):
        moved = moved ^ table[byte][states >> np.uint32(8 * byte) & 255]
    return moved


@cache
def _byte_table() -> Words:
    """The register (byte,) after each single byte, from zero."""
    states = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        states = np.where(states & 1, states >> 1 ^ np.uint32(POLYNOMIAL), states >> 1)
    return states


@cache
def _zeros_tables(level: int) -> Words:
    """What 2^level zero bytes do to each of a state's four bytes: (byte of the state, its value)."""
    values = np.arange(256, dtype=np.uint32)
    states = np.stack([values << np.uint32(8 * byte) for byte in range(4)])
    if level == 0:
        moved: Words = states >> np.uint32(8) ^ _byte_table()[states & 255]
        return moved
    return _past(level - 1, _past(level - 1, states))
