"""Records are read in order; a damaged one is named by file and number, whatever is damaged."""

import gzip
import struct
import zlib

import pytest

from tests.importance.shards import framed, masked, write
from zoo_eval.errors import BadInput
from zoo_eval.importance.tfrecord import at, placed, records

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


def zlibbed(content):
    return zlib.compress(content)


@pytest.mark.parametrize("compress", [gzip.compress, zlibbed])
def test_a_file_that_was_compressed_whole_is_read(tmp_path, shard, compress):
    path = tmp_path / "train-0.tfrecords.gz"
    path.write_bytes(compress(shard.read_bytes()))
    assert list(records(path)) == RECORDS
    assert [one.start for one in placed(path)] == [None] * len(RECORDS)


def test_members_one_after_another_are_one_file(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"".join(gzip.compress(framed(one)) for one in RECORDS))
    assert list(records(path)) == RECORDS


@pytest.mark.parametrize("compress", [gzip.compress, zlibbed])
def test_damage_to_a_compressed_file_is_told_wherever_it_is(tmp_path, shard, compress):
    sound = compress(shard.read_bytes())
    path = tmp_path / "a.gz"
    flips = [bytes([*sound[:at], sound[at] ^ 0x10, *sound[at + 1 :]]) for at in range(len(sound))]
    cuts = [sound[:at] for at in range(1, len(sound))]
    refused = []
    for content in [*flips, *cuts]:
        path.write_bytes(content)
        try:
            assert list(records(path)) == RECORDS
        except BadInput as refusal:
            refused.append("a.gz: record" in str(refusal) and "\n" not in str(refusal))
    assert all(refused)
    # gzip's time, flags for no reader and system may differ unnoticed.
    assert len(refused) >= len(flips) + len(cuts) - 8


def test_a_record_of_a_compressed_file_cannot_claim_any_size(tmp_path):
    length = struct.pack("<Q", 2**40)
    (tmp_path / "a.gz").write_bytes(gzip.compress(length + masked(length) + bytes(1000)))
    with pytest.raises(BadInput, match="record 0 claims 1099511627776 bytes, more than any image"):
        list(records(tmp_path / "a.gz"))


def test_a_length_that_begins_like_zlib_is_a_length(tmp_path):
    # 0x9C78 bytes: zlib's header is 78 9C.
    write(tmp_path / "a", [bytes(0x9C78), b"next"])
    assert [len(one) for one in records(tmp_path / "a")] == [0x9C78, 4]


def test_a_record_is_found_again_by_where_it_begins(shard):
    starts = [one.start for one in placed(shard)]
    assert [at(shard, start, number) for number, start in enumerate(starts)] == RECORDS
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(BadInput, match="record 3: its data is cut off"):
        at(shard, starts[3], 3)
