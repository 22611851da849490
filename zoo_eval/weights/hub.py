"""Weights on the Hugging Face hub: found without downloading, downloaded once, verified."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache as remembered
from functools import partial
from pathlib import Path
from threading import get_ident
from time import time
from typing import Any
from urllib.parse import urljoin

import huggingface_hub as hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from zoo_eval.digests import DIGEST_CHARACTERS
from zoo_eval.errors import Refusal, Unreachable, one_line
from zoo_eval.privacy.logs import hide_secrets
from zoo_eval.weights import cache, transfers
from zoo_eval.weights.transfers import Interrupted

FILES = ("model.safetensors", "pytorch_model.bin")
SHA1_CHARACTERS, SHA256_CHARACTERS = 40, 64
# What has not grown for so long is of a process that was killed.
ABANDONED_S = 3600.0
VARIABLE = "HF_HOME"
REASON_CHARACTERS = 200
# They name the signed addresses that the hub redirects to.
hide_secrets("huggingface_hub.file_download", "huggingface_hub.utils._http", "httpx")


@dataclass(frozen=True)
class HubFile:
    """One file of one revision; `etag` is its SHA-256 for large files."""

    repo: str
    name: str
    revision: str
    etag: str
    n_bytes: int | None = None

    @property
    def digest(self) -> str:
        """The weights digest: equals that of the same file read from disk."""
        return self.etag[:DIGEST_CHARACTERS]


@remembered
def locate(repo: str, *names: str) -> HubFile:
    """The weights of a repository, the first that is there of some file names (default: `FILES`).

    From the local cache if there, else by asking the hub; once per process, so that a digest and
    the bytes loaded later are of one revision.

    Raises:
        Refusal: the repository or its weights cannot be reached.
    """
    names = names or FILES
    what = f"weights of {repo} ({' or '.join(names)})"
    try:
        for name in names:
            if (path := _cached(repo, name)) is not None:
                revision = path.relative_to(_repository(repo) / "snapshots").parts[0]
                return HubFile(repo, name, revision, _etag(path), path.stat().st_size)
    except OSError as error:
        raise _unwritable(what, error) from error
    except ValueError as error:
        raise _judged(what, repo, error) from error
    transfers.refuse_offline(what)
    for name in names:
        try:
            return transfers.patiently(f"weights of {repo}", partial(_asked, repo, name))
        except EntryNotFoundError:
            continue
    raise Refusal(
        f"weights of {repo}: none of {', '.join(names)} is on the hub; use a local checkpoint"
    )


def download(file: HubFile) -> Path:
    """The file on this machine, verified against its SHA-256.

    Safe to be called from several threads and processes at once.

    Raises:
        Refusal: it cannot be downloaded, or its bytes are not the expected ones.
    """
    key = cache.hub_key(file.repo, file.revision)
    try:
        with cache.held(key):
            return _right(file) or _brought(file, key)
    except OSError as error:
        raise _unwritable(_what(file), error, file.n_bytes) from error


def _brought(file: HubFile, key: str) -> Path:
    what = _what(file)
    transfers.refuse_offline(what)
    with cache.alone(cache.lock_of(key)):
        # Another process may have brought it meanwhile.
        if (path := _right(file)) is not None:
            return path
        _remove(_snapshot(file))
        if file.n_bytes is not None:
            transfers.refuse_too_large(what, file.n_bytes)
            cache.refuse_small_disk(what, file.n_bytes, _folder(), VARIABLE)
            cache.make_room(key, file.n_bytes, what)
        _remove_abandoned(file)
        fetched = transfers.patiently(what, partial(_fetched, file))
        _refuse_other_bytes(file, fetched)
        return fetched


def _what(file: HubFile) -> str:
    return f"weights of {file.repo} ({file.name})"


def _folder() -> Path:
    return Path(hub.constants.HF_HUB_CACHE)


def _repository(repo: str) -> Path:
    return _folder() / f"models--{repo.replace('/', '--')}"


def _unwritable(what: str, error: BaseException, n_bytes: int | None = None) -> Refusal:
    if cache.is_full(error) or "No space left" in str(error):
        return cache.full_disk(what, n_bytes, _folder(), VARIABLE)
    return Refusal(
        f"{what} cannot be kept in {_folder()} ({one_line(error)[:REASON_CHARACTERS]}); set "
        f"{VARIABLE} and ZOO_EVAL_CACHE to folders on a disk of this machine"
    )


def _asked(repo: str, name: str) -> HubFile:
    """A file as the hub describes it.

    Raises:
        EntryNotFoundError: the repository has no such file.
    """
    what, url = f"weights of {repo} ({name})", hub.hf_hub_url(repo, name)
    try:
        found = hub.get_hf_file_metadata(url, timeout=transfers.TIMEOUT_S)
    except EntryNotFoundError:
        raise
    except Exception as error:
        raise _judged(what, repo, error) from error
    if found.etag is None or found.commit_hash is None:
        if transfers.is_page_there(url):
            raise transfers.page_instead(what)
        raise Refusal(f"{what}: the file has no digest on the hub; try again later")
    return HubFile(repo, name, found.commit_hash, found.etag, found.size)


def _right(file: HubFile) -> Path | None:
    """The cached file, if its bytes are the expected ones."""
    path = _snapshot(file)
    try:
        return path if path.is_file() and _has_digest(path, file.etag) else None
    except FileNotFoundError:
        # Another process has just found that they are not, and removed it.
        return None


def _snapshot(file: HubFile) -> Path:
    """Where the library keeps a file: a link to its bytes, or the file itself without links."""
    return _repository(file.repo) / "snapshots" / file.revision / file.name


def _has_digest(path: Path, etag: str) -> bool:
    return _digest(path, etag) == etag


def _digest(path: Path, etag: str) -> str:
    """The digest of a file's bytes, of the kind that an etag is."""
    if len(etag) == SHA256_CHARACTERS:
        return transfers.sha256(path)
    # Small files are named by git's digest; what else a mirror says names no bytes.
    return transfers.git_digest(path) if len(etag) == SHA1_CHARACTERS else etag


def _remove_abandoned(file: HubFile) -> None:
    """Removes what killed processes have left: the library would neither use nor remove it."""
    for path in _repository(file.repo).glob("blobs/*.incomplete"):
        with suppress(FileNotFoundError):
            if time() - path.stat().st_mtime > ABANDONED_S:
                path.unlink()


def _fetched(file: HubFile) -> Path:
    """A download by `huggingface_hub`, which resumes what breaks off before it gives up."""
    try:
        with _heeding():
            return Path(hub.hf_hub_download(file.repo, file.name, revision=file.revision))
    except Exception as error:
        if _is_local(error):
            raise _unwritable(_what(file), error, file.n_bytes) from error
        url = hub.hf_hub_url(file.repo, file.name, revision=file.revision)
        if _is_unlike_a_hub(error) and transfers.is_page_there(url):
            raise transfers.page_instead(_what(file)) from error
        judged = _judged(_what(file), file.repo, error)
        if isinstance(judged, Interrupted) and _is_tried(error):
            raise Unreachable(
                f"{_what(file)} cannot be reached ({judged}); check the network and run again"
            ) from error
        raise judged from error


@contextmanager
def _heeding() -> Iterator[None]:
    """Interrupts the library where a server asks for a long wait, or leads to what is not https.

    It would sleep through a day, and follow wherever it is sent.
    """
    thread, hooks = get_ident(), hub.get_session().event_hooks["response"]

    def heed(answer: Any) -> None:
        if get_ident() == thread and answer.is_redirect:
            target = urljoin(str(answer.url), answer.headers.get("Location", ""))
            transfers.refuse_insecure(f"{answer.url} leads elsewhere", target)
        wait_s = _asked_wait_s(answer)
        if (
            transfers.passing(answer.status_code)
            and wait_s > transfers.LONGEST_WAIT_S
            and get_ident() == thread
        ):
            raise Interrupted(f"status {answer.status_code}", wait_s)

    hooks.append(heed)
    try:
        yield
    finally:
        hooks.remove(heed)


def _is_unlike_a_hub(error: Exception) -> bool:
    """Whether an answer had no digest, or another number of bytes than the hub had announced."""
    if isinstance(error, LocalEntryNotFoundError):
        return isinstance(error.__cause__, FileMetadataError)
    return isinstance(error, OSError) and "Consistency check failed" in str(error)


def _is_tried(error: Exception) -> bool:
    """Whether the library has tried again for long enough."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429)
    return isinstance(error, LocalEntryNotFoundError)


def _judged(what: str, repo: str, error: BaseException) -> Exception:
    """What to raise for an error of the library's: `Interrupted` if it may pass, else a refusal."""
    if isinstance(error, LocalEntryNotFoundError):
        # What it says where there is nothing in the cache either.
        return _judged(what, repo, error.__cause__ or ConnectionError(str(error)))
    if isinstance(error, Interrupted | Refusal):
        return error
    if isinstance(error, ValueError | TypeError):
        return Refusal(f"{what}: {one_line(error)[:REASON_CHARACTERS]}; correct the name")
    if isinstance(error, HfHubHTTPError):
        return _answered(what, repo, error)
    return Interrupted(one_line(error)[:REASON_CHARACTERS])


def _answered(what: str, repo: str, error: HfHubHTTPError) -> Exception:
    """What to raise for a status that is no success."""
    code = error.response.status_code
    if isinstance(error, GatedRepoError):
        address = f"{hub.constants.ENDPOINT}/{repo}"
        return Refusal(
            f"{what} are gated: accept its terms at {address} and log in (hf auth login)"
        )
    # A range beyond the end: the next try begins anew.
    if transfers.passing(code) or code == 416:
        return Interrupted(f"status {code}", _asked_wait_s(error.response))
    if isinstance(error, RepositoryNotFoundError) or code in (401, 403):
        return Refusal(
            f"{what}: there is no such repository, or it may not be read (status {code}); correct "
            "the name or log in (hf auth login)"
        )
    if isinstance(error, EntryNotFoundError | RevisionNotFoundError) or code in (404, 410):
        return Refusal(
            f"{what} are not on the hub any more (status {code}); use a local checkpoint"
        )
    return Refusal(f"{what} cannot be had (status {code}); try again later")


def _asked_wait_s(answer: Any) -> float:
    headers = answer.headers
    return transfers.asked_wait_s(headers.get("Retry-After"), headers.get("RateLimit"))


def _refuse_other_bytes(file: HubFile, path: Path) -> None:
    if _has_digest(path, file.etag):
        return
    found, is_page = _digest(path, file.etag), transfers.is_page_file(path)
    _remove(path)
    if is_page:
        raise transfers.page_instead(_what(file))
    kind = "SHA-256" if len(file.etag) == SHA256_CHARACTERS else "git digest"
    raise Refusal(
        f"weights of {file.repo}: the downloaded {file.name} has {kind} {found[:12]}..., "
        f"expected {file.etag[:12]}...; it was removed, run again"
    )


def _remove(path: Path) -> None:
    """Removes a file and the links that lead to it."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)


def _is_local(error: BaseException) -> bool:
    """Whether it is this machine that fails, not the network."""
    if "No space left" in str(error):
        # The library for Xet files says it so.
        return True
    network = isinstance(error, ConnectionError | TimeoutError | HfHubHTTPError)
    return isinstance(error, OSError) and error.errno is not None and not network


def _cached(repo: str, name: str) -> Path | None:
    """A file in the local cache, snapshots/<revision>/<name>: the main revision's, else the newest.

    A download by revision, as `download` makes it, leaves no note of what `main` was.
    """
    main = hub.try_to_load_from_cache(repo, name)
    if isinstance(main, str):
        return Path(main)
    snapshots = _repository(repo).glob(f"snapshots/*/{name}")
    there = [path for path in snapshots if path.is_file()]
    return max(there, key=lambda path: path.lstat().st_mtime, default=None)


def _etag(path: Path) -> str:
    """A cached file's etag: it is a link to blobs/<etag>, which may itself be a link further on."""
    return path.readlink().name if path.is_symlink() else transfers.sha256(path)
