"""Files of torch.save: what they say that they hold, compared with what they are, before any is loaded."""

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from zoo_eval.units import size_text

# An archive's own tables, beside the members that they tell of.
SLACK_BYTES = 2**16
# The least that an element of a tensor takes.
ELEMENT_BYTES = 1
# As many pickles stand before the storages in the format without an archive.
N_PICKLES = 4
PICKLE = 0x80


class TooLarge(ValueError):
    """A file that would take more memory than it has bytes; the message says how much."""


def check(path: Path) -> None:
    """Compares what a file of torch.save declares with its size, without unpacking anything.

    torch.save compresses nothing, so that what it wrote is never larger in memory than on disk.
    What is no such file, or damaged, is left to whoever reads it.

    Raises:
        TooLarge: it declares more bytes than the file has.
        OSError: the file cannot be read.
    """
    n_bytes = path.stat().st_size
    if zipfile.is_zipfile(path):
        declared = _in_archive(path)
    else:
        with path.open("rb") as file:
            declared = max(_in_pickles(file), default=0)
    if declared > n_bytes + SLACK_BYTES:
        raise TooLarge(
            f"it has {size_text(n_bytes)} and declares {size_text(declared)}, which torch.save, that "
            "compresses nothing, never writes"
        )


def _in_archive(path: Path) -> int:
    """What the members of an archive take unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (ValueError, zipfile.BadZipFile, NotImplementedError):
        return 0


def _in_pickles(file: BinaryIO) -> Iterator[int]:
    """The elements of each storage that the pickles at the start of a file name."""
    last = 0
    try:
        for _ in range(N_PICKLES):
            for operation, argument, _ in pickletools.genops(file):
                # A storage is named by a tuple whose last number is that of its elements.
                if operation.name == "BINPERSID":
                    yield last * ELEMENT_BYTES
                elif isinstance(argument, int) and "PUT" not in operation.name:
                    last = last if "GET" in operation.name else argument
    except Exception:  # noqa: BLE001 - the reader says what is wrong with what is no pickle
        return
