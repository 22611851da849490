"""ArrowFiles: a bucket as a file system that Arrow reads from, with the bucket's own retries."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from pyarrow import fs

from zoo_eval.storage.objects import Objects

# Up to here a file is fetched by one request; of larger ones only the ranges that are asked for.
WHOLE_BYTES = 32 * 2**20


class ArrowFiles(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """Reads alone: what is written goes through `Objects`.

    `ranges` opens an object of a size so that only what is asked of it is fetched; `sizes` are those
    that are known, for which nothing is asked.
    """

    def __init__(
        self, bucket: Objects, ranges: Callable[[str, int], Any], sizes: Mapping[str, int]
    ) -> None:
        self.bucket = bucket
        self.ranges = ranges
        self.sizes = sizes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrowFiles) and other.bucket is self.bucket

    def __hash__(self) -> int:
        return id(self.bucket)

    def get_type_name(self) -> str:
        return "bucket"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> fs.FileInfo:
        size = self._size(path)
        if size is None:
            return fs.FileInfo(path, fs.FileType.NotFound)
        return fs.FileInfo(path, fs.FileType.File, size=size)

    def _size(self, path: str) -> int | None:
        if path in self.sizes:
            return self.sizes[path]
        found = self.bucket.head(path)
        return None if found is None else found.size

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        return [
            fs.FileInfo(one.path, fs.FileType.File, size=one.size)
            for one in self.bucket.listed(selector.base_dir)
        ]

    def open_input_file(self, path: str) -> pa.NativeFile:
        size = self._size(path)
        if size is not None and size > WHOLE_BYTES:
            return pa.PythonFile(self.ranges(path, size), "r")
        return pa.BufferReader(self.bucket.get(path))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def _refused(self, *_args: Any) -> None:
        raise NotImplementedError("a store's objects are written through Objects")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refused
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refused
