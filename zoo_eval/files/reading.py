"""Reading: whatever a library raises of a file that it was fed is one line that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo_eval.errors import BadInput, ZooEvalError, one_line
from zoo_eval.files import foreign
from zoo_eval.units import size_text

# As [run] memory_budget, where nobody says another.
MOST_BYTES = 2**31
LONGEST_REASON = 200


@contextmanager
def told(where: str, path: Path, failure: str = "cannot be read") -> Iterator[None]:
    """Within it, a library reads a file: what it raises is told with what the file looks like.

    Args:
        where: what is read, for messages; it names the file.
        path: the file.
        failure: what the file is not, or what it cannot be.

    Raises:
        BadInput: anything was raised that this package does not raise itself.
    """
    try:
        yield
    except ZooEvalError:
        raise
    except MemoryError as error:
        raise BadInput(
            f"{where} {failure}: it takes more memory than there is; give less of it, or use a "
            "larger machine"
        ) from error
    # Readers of binary formats raise anything when they are fed nonsense.
    except Exception as error:
        reason = one_line(error)[:LONGEST_REASON]
        raise BadInput(f"{where} {failure} ({reason}): {foreign.told(path)}") from error


def check_fits(where: str, what: str, n_bytes: int, most_bytes: int, advice: str) -> None:
    """Refuses what would take more memory than it may, before anything is allocated.

    Raises:
        BadInput: it would; both sizes and `advice` are said.
    """
    if n_bytes > most_bytes:
        raise BadInput(
            f"{where}: {what} would take {size_text(n_bytes)}, more than the {size_text(most_bytes)} "
            f"of memory_budget; {advice}"
        )
