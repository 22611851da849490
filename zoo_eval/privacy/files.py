"""Files and folders that are made for their owner and group, whatever the umask leaves of that.

A umask of 022 makes them 640 and 750; one of 002, as groups that share a disk have it, 660 and 770.
The world is never among those who may read. The umask itself is the process's: nothing here sets it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

FILE_MODE = 0o660
FOLDER_MODE = 0o770


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are missing.

    Raises:
        OSError: one cannot be made.
    """
    for one in (*reversed(path.parents), path):
        if not one.is_dir():
            one.mkdir(FOLDER_MODE, exist_ok=True)


def opened(path: Path, mode: str, *, follow: bool = True, **how: Any) -> IO[Any]:
    """`open`, which makes the file for its owner and group where it makes it.

    `follow` says whether a symlink under that name leads to the file; if not, it is an error.

    Raises:
        OSError: as `open` does.
    """
    kept_back = 0 if follow else os.O_NOFOLLOW

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | kept_back, FILE_MODE)

    return open(path, mode, opener=opener, **how)


def make_empty(path: Path) -> None:
    """A new empty file, for a library to fill that would make it for everybody.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))


@contextmanager
def made_elsewhere(out: Path) -> Iterator[Path]:
    """A path to make a file at, in a folder beside its own that its owner alone can enter.

    For libraries that make their files for everybody, and take no empty one. It is moved to its own
    place when it is whole, and is nowhere if it does not become so.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder / "made"
        make_empty(folder / "like")
        # Whatever the umask leaves of the mode.
        (folder / "made").chmod((folder / "like").stat().st_mode & 0o777)
        os.replace(folder / "made", out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def folder_made_elsewhere(out: Path) -> Iterator[Path]:
    """A new folder to fill, which is moved to its own place when it is whole, as `made_elsewhere` does.

    Raises:
        OSError: it cannot be made, or there is something by then.
    """
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        make_folder(aside / "made")
        yield aside / "made"
        # It takes the place of an empty folder at most.
        os.rename(aside / "made", out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
