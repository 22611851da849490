"""Objects: named bytes in a folder or a bucket, all that a store needs of either.

Who was first is decided by one operation alone, `create`: it makes an object unless there is one.
Local disks, S3, GCS and Azure all have it, so that no store needs locks, renames or a database.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

K = TypeVar("K")
T = TypeVar("T")
# A bucket answers many requests at once, each after a long way.
AT_ONCE = 16
# How long a sweep waits for a store; less than the time after which a slot is taken to hang.
PATIENCE_S = 300.0
LONGEST_WAIT_S = 10.0
# The folder of objects that are made to try something, and removed again.
PROBES = "probes"


@dataclass(frozen=True)
class Found:
    """What a listing says of one object; `modified` is in seconds of the storage's own clock."""

    path: str
    size: int
    modified: float

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Objects(Protocol):
    """A folder or a bucket's prefix. Paths are relative to it; every error is an OSError."""

    is_local: bool
    # How long what may pass is waited for beyond the first tries: a full disk, a network that is away.
    patience_s: float

    def create(self, path: str, content: bytes) -> bool:
        """Makes an object, whole, unless there is one; whether what is there now has these bytes.

        An answer that was lost costs nothing: what is there is compared.
        """
        ...

    def replace(self, path: str, content: bytes) -> None:
        """Makes an object whether or not there is one: for what is derived from others alone."""
        ...

    def get(self, path: str) -> bytes:
        """An object's bytes; FileNotFoundError without one."""
        ...

    def part(self, path: str, start: int, end: int) -> bytes:
        """An object's bytes from one place up to another; fetched once, as objects never change."""
        ...

    def head(self, path: str) -> Found | None:
        """What a listing would say of one object."""
        ...

    def listed(self, folder: str, after: str = "") -> list[Found]:
        """The objects directly in a folder by name, those after a name alone."""
        ...

    def folders(self) -> Sequence[str]:
        """The names of the folders directly beneath."""
        ...

    def delete(self, *paths: str) -> None:
        """Removes objects, as far as they are there."""
        ...

    def now(self) -> float:
        """The time by the clock that `Found.modified` is read from."""
        ...

    def leftovers(self) -> list[Found]:
        """What writers that died have left aside."""
        ...

    def check_exclusive(self) -> None:
        """Tries whether `create` creates; NotExclusive where it overwrites."""
        ...

    def on_disk(self, paths: Sequence[str]) -> list[str]:
        """Files of this machine with these objects' bytes, for Arrow to read; objects never change."""
        ...


class NotExclusive(OSError):
    """A bucket that ignores conditions: a second `create` overwrites what the first has made."""


def waits(first: Sequence[float], patience_s: float) -> Iterator[float | None]:
    """How long to wait before each next try, in seconds; None where there is none: it is an error."""
    yield from first
    left = patience_s
    while left > 0:
        yield (wait := min(left, LONGEST_WAIT_S))
        left -= wait
    yield None


def each(objects: Objects, do: Callable[[K], T], of: Iterable[K]) -> list[T]:
    """What `do` gives for each path or number, in order; from a bucket many at once."""
    if objects.is_local:
        return [do(one) for one in of]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(do, of))
