"""Places: paths below a folder that do not lead out of it, by name or by symlink."""

import errno
import os
import re
from pathlib import Path

# No separator of any system, no control character, and neither `.` nor `..`.
PLAIN = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f:]{1,255}")


class LeadsOut(OSError):
    """A path that leads out of the folder that it should be in: nothing was read or written."""

    def __init__(self, relative: str) -> None:
        super().__init__(f"{relative!r} leads out of it")
        self.errno = errno.EPERM


def is_plain(name: str) -> bool:
    """Whether a text is the name of one file: no path, nothing above, nothing that is not printed."""
    return PLAIN.fullmatch(name) is not None


def plain(relative: str) -> str:
    """A path of plain names, as it is.

    Raises:
        LeadsOut: it has other parts: `..`, an empty one, a backslash, NUL.
    """
    if not all(map(is_plain, relative.split("/"))):
        raise LeadsOut(relative)
    return relative


def check_inside(root: str | Path, file: str | Path) -> None:
    """Nothing, where a file that is to be written or removed lies in a local folder.

    Its own name may be a symlink, which is replaced or removed and not followed; a folder on the way
    may be one only where it leads to somewhere inside.

    Raises:
        LeadsOut: it lies elsewhere.
    """
    folder = os.path.realpath(os.path.dirname(file))
    if not Path(folder).is_relative_to(os.path.realpath(root)):
        raise LeadsOut(os.path.relpath(file, root))
