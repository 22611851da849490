"""Text of files that people write: UTF-8, with a byte order mark or without, or UTF-16 with one."""

import re
from pathlib import Path

from zoo_eval.errors import BadInput
from zoo_eval.files import foreign

# More than a table that somebody wrote: a million rows of a thousand characters.
MOST_BYTES = 2**30
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
ENDS = re.compile("\r\n|\r|\n")


def read(where: str, path: Path, kind: str) -> str:
    """The text of a file, without its byte order mark.

    Args:
        where: what is read, for messages.
        path: the file.
        kind: what it should be ("CSV"), for messages.

    Raises:
        BadInput: the file cannot be read, or is no text; what it looks like is said.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{where} is larger than 1 GiB; give the {kind} of what is needed")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{where} cannot be read ({error.strerror}); correct the path") from error
    told = foreign.of_bytes(content[: foreign.HEAD_BYTES]) if content else foreign.UNKNOWN
    try:
        text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        if told != foreign.UNKNOWN:
            raise BadInput(f"{where} is no {kind}: it is {told}") from error
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(
            f"{where}, line {line}: is no text in UTF-8; save it as {kind} in UTF-8"
        ) from error
    if told != foreign.UNKNOWN:
        raise BadInput(f"{where} is no {kind}: it is {told}")
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise BadInput(
            f"{where}, line {line}: is no {kind}: it has bytes of zero, as UTF-16 without a byte order "
            f"mark has; save it as {kind} in UTF-8"
        )
    return text


def lines(text: str) -> list[str]:
    """Its lines, of Windows, Unix or an old Mac; no other character ends one."""
    return ENDS.split(text)
