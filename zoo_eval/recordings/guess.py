"""Which kind of recording a file is, as far as its name says that."""

from fnmatch import fnmatchcase
from pathlib import Path

from zoo_eval.errors import BadInput
from zoo_eval.recordings.recording import RECORDINGS


def of_files() -> list[str]:
    """The kinds that read files, in alphabetical order."""
    return [kind for kind, one in RECORDINGS.things().items() if "path" in one.model_fields]


def kind_of(path: Path) -> str:
    """The kind whose files are called so, or of whose files a folder has one.

    Raises:
        BadInput: no kind's are, or several kinds' alike.
    """
    is_folder = path.is_dir()
    found: dict[int, set[str]] = {}
    for kind in of_files():
        known = RECORDINGS.get(kind)
        for pattern in known.inside if is_folder else known.names:
            fits = any(path.glob(pattern)) if is_folder else fnmatchcase(path.name, pattern)
            if fits:
                found.setdefault(len(pattern), set()).add(kind)
    # The longest pattern says most.
    likeliest = found[max(found)] if found else set[str]()
    if len(likeliest) != 1:
        raise BadInput(
            f"{path}: its name does not say what kind of recording it is; add one of {', '.join(of_files())}, such "
            "as --kind arrays"
        )
    return likeliest.pop()
