"""Parquet: the bytes of a file of rows, with a checksum for each page."""

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 122_880


def parquet(table: pa.Table) -> bytes:
    """A table as one file."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, compression="zstd", write_page_checksum=True, row_group_size=ROWS_PER_GROUP
    )
    held: bytes = sink.getvalue().to_pybytes()
    return held
