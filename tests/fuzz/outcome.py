"""What became of a file that was tried: a value, or one line that names it; anything else escaped."""

import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.fuzz.readers import Reader
from zoo_eval.errors import BadInput, Refusal, StoreError, ZooEvalError

REFUSALS = (BadInput, Refusal, StoreError)
SAME, OTHER, REFUSED, ESCAPED = (
    "accepted, equal",
    "accepted, other",
    "refused in one line",
    "escaped",
)


def outcome(reader: Reader, path: Path, expected: object) -> str:
    """One of the four; what escaped ends with its reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reader.read(path)
    except ZooEvalError as error:
        said = str(error)
        if not isinstance(error, REFUSALS):
            return f"{ESCAPED}: {type(error).__name__}"
        if "\n" in said or path.name not in said:
            return f"{ESCAPED}: does not name the file on one line: {said!r}"
        return REFUSED
    except BaseException as error:  # noqa: BLE001  # whatever it is, it should not have come
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{ESCAPED}: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    return SAME if found == expected else OTHER


def tried(
    reader: Reader, folder: Path, changes: Iterable[Callable[[bytes], bytes]]
) -> Counter[str]:
    """How often each outcome came of changed files."""
    path = reader.write(folder)
    whole, counts = path.read_bytes(), Counter[str]()
    expected = reader.read(path)
    for change in changes:
        path.write_bytes(change(whole))
        counts[outcome(reader, path, expected)] += 1
    path.write_bytes(whole)
    return counts
