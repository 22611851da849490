"""Scratch: matrices kept on disk instead of in memory, in a file that has no name."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.errors import Refusal
from zoo_eval.units import size_text

NEXT_STEP = "set TMPDIR to a folder on a disk with more room"


@dataclass(frozen=True, eq=False)
class Matrix:
    """(row, column) of one type, zero until it is written; what is read is the caller's own copy."""

    scratch: "Scratch"
    first_byte: int
    n_rows: int
    n_columns: int
    dtype: torch.dtype

    @property
    def n_bytes(self) -> int:
        return self.n_rows * self._row_bytes

    @property
    def _row_bytes(self) -> int:
        return self.n_columns * self.dtype.itemsize

    def read(self, start: int, stop: int) -> Tensor:
        """Rows from `start` up to `stop`."""
        rows = torch.empty(stop - start, self.n_columns, dtype=self.dtype)
        self.scratch.read_into(_view(rows), self.first_byte + start * self._row_bytes)
        return rows

    def write(self, start: int, rows: Tensor) -> None:
        """Puts rows (row, column) in the place of those from `start` on.

        Raises:
            Refusal: the disk is full.
        """
        own = rows.to("cpu", self.dtype).contiguous()
        self.scratch.write(_view(own), self.first_byte + start * self._row_bytes)


def check_room(n_bytes: int) -> None:
    """Refuses what the temporary folder has no room for.

    Raises:
        Refusal: less is free.
    """
    folder = tempfile.gettempdir()
    if n_bytes > (free := shutil.disk_usage(folder).free):
        raise Refusal(
            f"{size_text(n_bytes)} of disk are needed for a while, {folder} has {size_text(free)} "
            f"free; {NEXT_STEP}"
        )


class Scratch:
    """Room for matrices in a file of the temporary folder, which `TMPDIR` names.

    Having no name, the file is gone with its last matrix, or with the process, however that ends.
    """

    def __init__(self) -> None:
        self._folder = tempfile.gettempdir()
        # Unbuffered: large rows go to the disk and come from it without another copy in memory.
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # lives with its matrices
        self._n_bytes = 0

    def __del__(self) -> None:
        self._file.close()

    def matrix(self, n_rows: int, n_columns: int, dtype: torch.dtype) -> Matrix:
        """A new one, behind those before."""
        new = Matrix(self, self._n_bytes, n_rows, n_columns, dtype)
        self._n_bytes += new.n_bytes
        with self._refusing():
            # Holes: they read as zeros and take no room.
            self._file.truncate(self._n_bytes)
        return new

    def read_into(self, view: memoryview, first_byte: int) -> None:
        """Fills the view from there on."""
        done = 0
        # One call moves 2 GiB at most.
        while done < len(view):
            done += os.preadv(self._file.fileno(), [view[done:]], first_byte + done)

    def write(self, view: memoryview, first_byte: int) -> None:
        """Puts the view there.

        Raises:
            Refusal: the disk is full.
        """
        done = 0
        with self._refusing():
            while done < len(view):
                done += os.pwrite(self._file.fileno(), view[done:], first_byte + done)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Refusal(f"{self._folder} takes no more: {error.strerror}; {NEXT_STEP}") from error


def _view(rows: Tensor) -> memoryview:
    # As bytes, for NumPy lacks bfloat16.
    return rows.view(torch.uint8).numpy().reshape(-1).data
