"""Weights at an address: downloaded once, resumed where it broke off, verified, kept."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.parse import urlsplit

import huggingface_hub as hub

from zoo_eval import __version__
from zoo_eval.errors import Refusal, one_line
from zoo_eval.paths import cache_folder
from zoo_eval.privacy import files
from zoo_eval.privacy.addresses import key_in, shown, without_query
from zoo_eval.weights import cache, transfers
from zoo_eval.weights.transfers import Interrupted

BLOCK_BYTES = 2**20
# The longest name that every file system takes, less what is added to it.
NAME_CHARACTERS = 200
VARIABLE = "ZOO_EVAL_CACHE"
# What stands in an address as %XX only; after these, nothing would be known to belong to it.
UNQUOTED = re.compile(r"[\x00-\x20\x7f]|[?#].*[\"'<>`]")


@dataclass(frozen=True)
class _Part:
    """A file as far as it has come, and beside it the version that the server called it."""

    path: Path

    @property
    def n_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str:
        return self._note.read_text() if self._note.exists() else ""

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.version")

    def begin(self, version: str) -> None:
        """An empty file of another version."""
        self.remove()
        with files.opened(self._note, "w") as note:
            note.write(version)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become(self, kept: Path) -> None:
        """The whole file under its own name, also after a power failure."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, kept)
        self.remove()


def download(url: str, sha256: str) -> Path:
    """The file at an address, on this machine, with this SHA-256 (or one that begins like this).

    `sha256` has 8 hexadecimal characters at least: as many are in the names of torchvision's files.
    Safe to be called from several threads and processes at once.

    Raises:
        Refusal: no address or digest, unreachable, not there, other bytes, no room.
    """
    check(url, sha256)
    # Signed anew it is the same file.
    known = f"{without_query(url)}\n{sha256.lower()}"
    key = hashlib.sha256(known.encode()).hexdigest()[:16]
    kept = cache_folder("urls") / key / _file_name(url)
    try:
        with cache.held(cache.url_key(kept.parent)):
            if not _is_right(kept, sha256):
                _bring(url, kept, sha256)
    except OSError as error:
        raise _unwritable(url, kept.parent, error) from error
    return kept


def check(url: str, sha256: str) -> None:
    """Nothing, where a file may be downloaded from an address.

    Raises:
        Refusal: it is none, holds a password, or is not of https; or `sha256` is no digest.
    """
    if not re.match(r"https?://[^/\s]+/", url):
        raise Refusal(f"{shown(url)!r} is no address; expected https://...")
    if UNQUOTED.search(url):
        raise Refusal(
            f"{shown(url)!r} is no address (it has a space, control character or quote); correct it"
        )
    if key_in(without_query(url)) is not None:
        raise Refusal(
            f"{shown(url)}: a user name or password stands before the @, which is not sent; take a "
            "signed address, or download it by hand and give its path"
        )
    transfers.refuse_insecure(url, url)
    if not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
        raise Refusal(
            f"{url}: {sha256!r} is no SHA-256; expected 64 hexadecimal characters, or the first 8 "
            "at least"
        )


def _file_name(url: str) -> str:
    name = PurePosixPath(urlsplit(url).path).name.strip(".") or "weights"
    return name[-NAME_CHARACTERS:]


def _is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and transfers.sha256(path).startswith(sha256.lower())


def _bring(url: str, kept: Path, sha256: str) -> None:
    transfers.refuse_offline(url)
    files.make_folder(kept.parent)
    with cache.alone(kept.parent / ".lock"):
        # Another process may have brought it meanwhile.
        if _is_right(kept, sha256):
            return
        part = _Part(kept.with_name(f"{kept.name}.part"))
        resumed = transfers.patiently(url, partial(_continue, url, part))
        if resumed and not _is_right(part.path, sha256):
            # Two versions may be glued together, whatever the server says.
            part.remove()
            transfers.patiently(url, partial(_continue, url, part))
        _refuse_other_bytes(url, part, sha256)
        part.become(kept)


def _refuse_other_bytes(url: str, part: _Part, sha256: str) -> None:
    found = transfers.sha256(part.path)
    if found.startswith(sha256.lower()):
        return
    is_page = transfers.is_page_file(part.path)
    part.remove()
    if is_page:
        raise transfers.page_instead(url)
    raise Refusal(
        f"{url}: the file has SHA-256 {found[:12]}..., expected {sha256[:12]}...; it was removed: "
        "run again, or correct `sha256`"
    )


def _continue(url: str, part: _Part) -> bool:
    """Fills the rest of a file, or all of it where that cannot be; whether it was the rest."""
    have = part.n_bytes if part.version else 0
    with _opened(url, have, part.version) as answer:
        if answer.status == 416 and answer.headers["Content-Range"] == f"bytes */{have}":
            # The last try ended between the last byte and the check.
            return True
        resumed = answer.status == 206
        if answer.status == 416 or (resumed and not _continues(answer, have, part.version)):
            part.remove()
            raise Interrupted("the file has changed meanwhile")
        if not resumed:
            part.begin(_version(answer))
        try:
            _receive(url, answer, part)
        except OSError as error:
            if not cache.is_full(error):
                raise
            part.remove()
            raise cache.full_disk(url, _length(answer), part.path.parent, VARIABLE) from error
    return resumed


@contextmanager
def _opened(url: str, have: int, version: str) -> Iterator[HTTPResponse]:
    request = urllib.request.Request(url, headers={"User-Agent": f"zoo_eval/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", version)
    token = hub.get_token()
    if token and url.startswith(f"{hub.constants.ENDPOINT}/"):
        # Not for whoever the hub redirects to.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        answer = transfers.opened(request)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise _answered(url, error) from error
        answer = error
    except InvalidURL as error:
        raise Refusal(f"{url!r} is no address ({one_line(error)}); correct it") from error
    except (OSError, HTTPException) as error:
        raise Interrupted(one_line(error)) from error
    with answer:
        yield cast(HTTPResponse, answer)


def _version(answer: HTTPResponse) -> str:
    """What a later try can name as the version it continues; empty where there is nothing."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")


def _continues(answer: HTTPResponse, have: int, version: str) -> bool:
    span = answer.headers.get("Content-Range", "")
    return span.startswith(f"bytes {have}-") and _version(answer) == version


def _length(answer: HTTPResponse) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _receive(url: str, answer: HTTPResponse, part: _Part) -> None:
    length, have = _length(answer), part.n_bytes
    if length is not None:
        transfers.refuse_too_large(url, have + length)
        cache.refuse_small_disk(url, length, part.path.parent, VARIABLE)
        cache.make_room(cache.url_key(part.path.parent), have + length, url)
    with files.opened(part.path, "ab") as file:
        try:
            while block := _read(answer):
                # Whatever the server said of its length, or did not say.
                transfers.refuse_too_large(url, file.tell() + len(block))
                file.write(block)
        except Refusal:
            part.remove()
            raise
        received = file.tell() - have
    if length is None:
        _make_room_after_all(url, part)
    elif received < length:
        raise Interrupted(f"the connection ended after {received} of {length} bytes")


def _make_room_after_all(url: str, part: _Part) -> None:
    """Room for a file whose length the server did not tell."""
    try:
        cache.make_room(cache.url_key(part.path.parent), part.n_bytes, url)
    except Refusal:
        part.remove()
        raise


def _read(answer: HTTPResponse) -> bytes:
    try:
        return answer.read(BLOCK_BYTES)
    except (OSError, HTTPException) as error:
        raise Interrupted(one_line(error)) from error


def _answered(url: str, error: urllib.error.HTTPError) -> Exception:
    """What to raise for a status that is no success."""
    with error:
        status = f"status {error.code}"
        if transfers.passing(error.code):
            wait_s = transfers.asked_wait_s(
                error.headers.get("Retry-After"), error.headers.get("RateLimit")
            )
            return Interrupted(status, wait_s)
        if error.headers.get("X-Error-Code") == "GatedRepo":
            repo = url.partition("/resolve/")[0]
            return Refusal(f"{url} is gated: accept its terms at {repo} and log in (hf auth login)")
    if error.code in (401, 403):
        return Refusal(f"{url} may not be read ({status}); download it by hand and give its path")
    if error.code in (404, 410):
        return Refusal(f"{url} is not there any more ({status}); correct the address")
    return Refusal(f"{url} cannot be had ({status}); correct the address or try again later")


def _unwritable(url: str, folder: Path, error: OSError) -> Refusal:
    if cache.is_full(error):
        return cache.full_disk(url, None, folder, VARIABLE)
    return Refusal(
        f"{url} cannot be kept in {folder} ({one_line(error)}); set {VARIABLE} to a folder on a "
        "disk of this machine"
    )
