"""Records are read in order; a damaged one is named by file and number, whatever is damaged."""

import struct

import pytest

from tests.importance.shards import framed, masked, write
from zoo_eval.errors import BadInput
from zoo_eval.importance.tfrecord import records

RECORDS = [b"first", b"", bytes(range(256)) * 5, b"last"]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train-0.tfrecords"
    write(path, RECORDS)
    return path


def test_records_come_in_order(shard):
    assert list(records(shard)) == RECORDS


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert list(records(tmp_path / "empty")) == []


@pytest.mark.parametrize("at", range(len(framed(RECORDS[0]))))
def test_any_flipped_byte_is_found_and_its_record_named(shard, at):
    content = bytearray(shard.read_bytes())
    start = len(framed(RECORDS[0])) + len(framed(RECORDS[1]))
    content[start + at] ^= 0x10
    shard.write_bytes(content)
    found = records(shard)
    assert [next(found), next(found)] == RECORDS[:2]
    with pytest.raises(BadInput, match=r"train-0.tfrecords: record 2: its (length|data)"):
        next(found)


@pytest.mark.parametrize("n_bytes", [1, 4, 10, 16, 19])
def test_a_file_cut_off_inside_a_record_is_refused(shard, n_bytes):
    shard.write_bytes(shard.read_bytes()[:-n_bytes])
    found = records(shard)
    assert [next(found) for _ in range(3)] == RECORDS[:3]
    with pytest.raises(BadInput, match=r"record 3: its (length|data) is cut off"):
        next(found)


def test_an_absurd_length_with_a_right_checksum_allocates_nothing(tmp_path):
    length = struct.pack("<Q", 2**62)
    (tmp_path / "huge").write_bytes(length + masked(length) + b"little")
    with pytest.raises(BadInput, match="record 0: its data is cut off"):
        list(records(tmp_path / "huge"))


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "zip").write_bytes(b"PK\x03\x04" * 20)
    with pytest.raises(BadInput, match="no TFRecord file"):
        list(records(tmp_path / "zip"))
    with pytest.raises(BadInput, match="cannot be read"):
        list(records(tmp_path / "absent"))
