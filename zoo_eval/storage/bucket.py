"""Bucket: the objects under a prefix of S3, GCS, Azure or what speaks as they do."""

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from zoo_eval.privacy.places import plain
from zoo_eval.storage.objects import PROBES, Found, NotExclusive, each, waits

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import AzureStore, GCSStore, S3Store

T = TypeVar("T")
DELETED_AT_ONCE = 1000
# As many as clouds list at once, so that what came before a failed request is known.
PAGE = 1000
# One request, of a merged file too, on a slow line.
TIMEOUT_S = 120
# Between the tries of one request, at most: some 15 s in all, then it is an error, but for who is patient.
WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class Bucket:
    """Every request is tried again for a while; what must happen once is compared, not repeated."""

    is_local = False
    patience_s = 0.0

    def __init__(self, store: "S3Store | GCSStore | AzureStore") -> None:
        self.store = store
        # For its owner alone, and gone with this.
        self._fetched = TemporaryDirectory(prefix="zoo_eval-")
        # What of an object lies on this machine, from a place up to another.
        self._parts: dict[str, list[tuple[int, int]]] = {}

    def create(self, path: str, content: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError

        plain(path)

        def made() -> bool:
            try:
                self.store.put(path, content, mode="create")
                return True
            except AlreadyExistsError:
                # Perhaps it is ours, and the answer was lost; or there is none, and others tried too.
                return self._held(path) == content

        return self._tried(made)

    def _held(self, path: str) -> bytes:
        from obstore.exceptions import GenericError

        try:
            return bytes(self.store.get(path).bytes())
        except FileNotFoundError as error:
            raise GenericError(f"{path}: refused, and not there") from error

    def replace(self, path: str, content: bytes) -> None:
        self._tried(lambda: self.store.put(plain(path), content, mode="overwrite"))

    def get(self, path: str) -> bytes:
        return self._tried(lambda: bytes(self.store.get(plain(path)).bytes()))

    def head(self, path: str) -> Found | None:
        try:
            meta = self._tried(lambda: self.store.head(plain(path)))
        except FileNotFoundError:
            return None
        return Found(path, meta["size"], meta["last_modified"].timestamp())

    def listed(self, folder: str, after: str = "") -> list[Found]:
        prefix = f"{folder}/"
        found = list[Found]()

        def asked() -> None:
            if not folder:
                found[:] = _found(self.store.list_with_delimiter()["objects"])
                return
            # Tried again it goes on from where it was: one of many pages often fails.
            offset = found[-1].path if found else f"{prefix}{after}" if after else None
            for chunk in self.store.list(folder, offset=offset, chunk_size=PAGE):
                found.extend(_found(chunk))

        self._tried(asked)
        direct = [one for one in found if "/" not in one.path.removeprefix(prefix)]
        return sorted(direct if folder else found, key=lambda one: one.path)

    def folders(self) -> Sequence[str]:
        listed = self._tried(lambda: self.store.list_with_delimiter())
        return sorted(listed["common_prefixes"])

    def delete(self, *paths: str) -> None:
        for first in range(0, len(paths), DELETED_AT_ONCE):
            self._tried(partial(self._deleted, paths[first : first + DELETED_AT_ONCE]))

    def _deleted(self, paths: Sequence[str]) -> None:
        try:
            self.store.delete([plain(path) for path in paths])
        except FileNotFoundError:
            # Some kinds say so of one that is not there, and leave the others.
            for one in () if len(paths) == 1 else paths:
                self._deleted([one])

    def now(self) -> float:
        probe = f"{PROBES}/{uuid4().hex}"
        self.replace(probe, b"")
        found = self.head(probe)
        self.delete(probe)
        return found.modified if found else time.time()

    def leftovers(self) -> list[Found]:
        return self.listed(PROBES)

    def check_exclusive(self) -> None:
        probe = f"{PROBES}/{uuid4().hex}"
        overwritten = self.create(probe, b"first") and self.create(probe, b"second")
        self.delete(probe)
        if overwritten:
            raise NotExclusive("it ignores If-None-Match, so that writers overwrite each other")

    def part(self, path: str, start: int, end: int) -> bytes:
        held = self._place(path)
        if not held.exists():
            held = held.with_suffix(".parts")
            self._fetch_part(path, held, start, end)
        with open(held, "rb", buffering=0) as file:
            return os.pread(file.fileno(), end - start, start)

    def _fetch_part(self, path: str, file: Path, start: int, end: int) -> None:
        known = self._parts.setdefault(path, [])
        if any(first <= start and end <= last for first, last in known):
            return
        asked = partial(self.store.get_range, plain(path), start=start, end=end)
        content = self._tried(lambda: bytes(asked()))
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, content, start)
        finally:
            os.close(descriptor)
        known.append((start, end))

    def _place(self, path: str) -> Path:
        """Where on this machine an object's bytes are kept, once they are fetched."""
        return Path(self._fetched.name, plain(path).replace("/", ":"))

    def on_disk(self, paths: Sequence[str]) -> list[str]:
        def fetch(path: str) -> str:
            file = self._place(path)
            if not file.exists():
                held, aside = self.get(path), file.with_suffix(f".{uuid4().hex}")
                aside.write_bytes(held)
                aside.replace(file)
            return str(file)

        return each(self, fetch, paths)

    def _tried(self, do: Callable[[], T]) -> T:
        """What `do` gives, tried again after errors that may pass."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        for wait in waits(WAITS_S, self.patience_s):
            try:
                return do()
            except FileNotFoundError as error:
                raise FileNotFoundError(without_addresses(error)) from error
            except (PermissionDeniedError, UnauthenticatedError) as error:
                raise PermissionError(
                    f"its credentials are missing, expired or without this right: {without_addresses(error)}"
                ) from error
            except BaseError as error:
                if "NoSuchBucket" in str(error):
                    raise FileNotFoundError("there is no such bucket") from error
                if wait is None:
                    raise OSError(without_addresses(error)) from error
                time.sleep(wait * random.uniform(0.2, 1.0))
        raise AssertionError


def _found(listed: "Iterable[ObjectMeta]") -> list[Found]:
    return [Found(one["path"], one["size"], one["last_modified"].timestamp()) for one in listed]


def without_addresses(error: BaseException) -> str:
    """The first line of what was said, without the addresses in it: they may be signed."""
    line = str(error).split("\n")[0].partition("<?xml")[0]
    words = [word for word in line.split() if "://" not in word]
    return " ".join(words)[:200].rstrip(": ")
