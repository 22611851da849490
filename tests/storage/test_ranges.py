"""Any bit that is changed in what a query reads is noticed before it is read; nothing else is read."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.storage import s3_server
from zoo_eval.storage import address, pages, ranges
from zoo_eval.storage.ledger import Named
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.pages import Corrupt
from zoo_eval.storage.parquet import parquet
from zoo_eval.storage.ranges import Ranges

PATH = "accuracy/planted.parquet"


def planted(n=3000):
    draw = np.random.default_rng(0)
    return pa.table(
        {
            "name": [f"row {number}" for number in range(n)],
            "score": draw.normal(size=n),
            "r": pa.array(list(draw.normal(size=(n, 5)).astype("f4")), pa.list_(pa.float32())),
            "halves": pa.array([[1.5, 2.5]] * n, pa.list_(pa.float16())),
            "none": pa.nulls(n, pa.string()),
        }
    )


def opened(folder, held, named=None):
    (folder / "accuracy").mkdir(parents=True, exist_ok=True)
    (folder / PATH).write_bytes(held)
    return Ranges(LocalFolder(folder), named or Named.of(PATH, held, ()))


@pytest.fixture(scope="module")
def held():
    found = parquet(planted())
    assert len(found) > ranges.SMALL_BYTES
    return found


def test_any_part_is_what_was_written(held, tmp_path):
    one, draw = opened(tmp_path, held), random.Random(0)
    for _ in range(200):
        start, end = sorted(draw.choices(range(len(held) + 1), k=2))
        assert one.read(start, end) == held[start:end]


def test_the_columns_that_are_found_are_the_whole_file(held):
    footer = held[-pages.footer_bytes(held[-100:]) :]
    found = pages.chunks(footer)
    # Between the format's name and the footer there are columns alone, one after the other.
    assert [one.start for one in found] == [4, *(one.end for one in found[:-1])]
    assert found[-1].end == len(held) - len(footer)
    told = pq.read_metadata(pa.BufferReader(held))
    assert len(found) == told.num_columns * told.num_row_groups
    for one in found:
        pages.check(held[one.start : one.end])


def test_every_changed_bit_of_a_column_is_noticed_unless_nothing_reads_it(held, tmp_path):
    draw = random.Random(1)
    whole = pq.read_table(pa.BufferReader(held))
    for _ in range(150):
        footer = pages.footer_bytes(held[-8:])
        place = draw.randrange(4, len(held) - footer)
        changed = bytearray(held)
        changed[place] ^= 1 << draw.randrange(8)
        one = opened(tmp_path, bytes(changed), Named.of(PATH, held, ()))
        try:
            again = one.read(0, len(held))
        except Corrupt:
            continue
        # A page's header holds more than its length and checksum; Arrow is the witness.
        assert pq.read_table(pa.BufferReader(again)).equals(whole)


def test_only_what_is_read_is_looked_at(held, tmp_path):
    changed = bytearray(held)
    first, *_, last = pages.chunks(held[-pages.footer_bytes(held[-8:]) :])
    changed[last.end - 1] ^= 1
    one = opened(tmp_path, bytes(changed), Named.of(PATH, held, ()))
    assert one.read(first.start, first.end) == held[first.start : first.end]
    with pytest.raises(Corrupt, match="damaged page"):
        one.read(last.start, last.end)


@pytest.mark.parametrize("n_rows", [0, 1, 10])
def test_of_a_small_file_every_bit_counts(n_rows, tmp_path):
    small = parquet(planted(n_rows))
    assert len(small) <= ranges.SMALL_BYTES
    assert opened(tmp_path, small).read(0, len(small)) == small
    for place in range(0, len(small), 97):
        changed = bytearray(small)
        changed[place] ^= 1
        with pytest.raises(Corrupt):
            opened(tmp_path, bytes(changed), Named.of(PATH, small, ())).read(0, 1)


@pytest.mark.parametrize(
    "footer", [b"", b"PAR", b"\0" * 16, b"\xff\xff\xff\x7fPAR1", b"\0\0\0\0PAR1"]
)
def test_what_is_no_parquet_file_is_said(footer, held, tmp_path):
    broken = held[: -len(footer) or None] + footer if footer else held[:-4]
    with pytest.raises(Corrupt):
        opened(tmp_path, broken, Named(PATH, len(broken), "", ())).read(0, 1)


def test_pages_without_checksums_of_version_0_1_0_are_read(tmp_path):
    sink = pa.BufferOutputStream()
    pq.write_table(planted(), sink, compression="zstd")
    old = sink.getvalue().to_pybytes()
    one = opened(tmp_path, old, Named(PATH, len(old), "", ()))
    assert pq.read_table(pa.BufferReader(one.read(0, len(old)))).equals(planted())


def test_of_a_bucket_each_part_is_fetched_once(held, monkeypatch):
    for name, value in s3_server.KEYS.items():
        monkeypatch.setenv(name, value)
    with s3_server.running() as server:
        objects = address.opened(server.uri("parts"))
        objects.create(PATH, held)
        one = Ranges(objects, Named.of(PATH, held, ()))
        assert one.read(4, 1000) == held[4:1000]
        before = server.counts().total()
        assert one.read(4, 900) == held[4:900]
        assert one.read(500, 1000) == held[500:1000]
        assert server.counts().total() == before


def test_reals_are_split_and_all_else_is_a_dictionary(held):
    told = pq.read_metadata(pa.BufferReader(held)).row_group(0)
    encodings = {
        told.column(place).path_in_schema: set(told.column(place).encodings)
        for place in range(told.num_columns)
    }
    for name in ("score", "r.list.element"):
        assert "BYTE_STREAM_SPLIT" in encodings[name]
    # DuckDB reads no halves that are split.
    assert encodings["halves.list.element"] <= {"PLAIN", "RLE"}
    for name in ("name", "none"):
        assert "RLE_DICTIONARY" in encodings[name]
    assert pq.read_table(pa.BufferReader(held)).equals(planted())


def test_unrounded_independent_scores_need_3_3_bytes():
    draw = np.random.default_rng(0)
    scores = draw.normal(0.3, 0.15, (2000, 168)).astype(np.float32)
    table = pa.table({"r": pa.array(list(scores), pa.list_(pa.float32()))})
    assert 3.0 < len(parquet(table)) / scores.size < 3.3


def test_a_folder_of_a_store_may_be_elsewhere_but_no_name_leads_out(tmp_path):
    folder = LocalFolder(tmp_path)
    with pytest.raises(OSError, match="leads out"):
        folder.part("accuracy/../../etc/hostname", 0, 1)
    assert Path(folder.root) == tmp_path
