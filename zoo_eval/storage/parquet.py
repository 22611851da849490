"""Parquet: the bytes of a file of rows, with a checksum for each page.

Real numbers are written byte by byte of all values (BYTE_STREAM_SPLIT): their first bytes are much alike
and compress, the others do not. All else is written as a dictionary of its values.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 122_880


def parquet(table: pa.Table) -> bytes:
    """A table as one file."""
    sink = pa.BufferOutputStream()
    leaves = [leaf for one in table.schema for leaf in _leaves(one.name, one.type)]
    pq.write_table(
        table,
        sink,
        compression="zstd",
        write_page_checksum=True,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=[path for path, kind in leaves if not pa.types.is_floating(kind)],
        column_encoding={
            # Of halves, which DuckDB does not read so, nothing is gained.
            path: "BYTE_STREAM_SPLIT" if kind != pa.float16() else "PLAIN"
            for path, kind in leaves
            if pa.types.is_floating(kind)
        },
    )
    held: bytes = sink.getvalue().to_pybytes()
    return held


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """The columns that a file has for one of a table, by the names that Parquet gives them."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for one in kind:
            yield from _leaves(f"{path}.{one.name}", one.type)
    else:
        yield path, kind
