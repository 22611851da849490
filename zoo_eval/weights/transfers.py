"""What all downloads share: trying again, going offline, and knowing right bytes from wrong ones."""

import hashlib
import ipaddress
import os
import re
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from random import uniform
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

from huggingface_hub import constants

from zoo_eval.errors import Refusal, Unreachable
from zoo_eval.units import size_in_bytes, size_text

T = TypeVar("T")

TRIES = 5
FIRST_WAIT_S = 1.0
# A server that asks for more is taken at its word: come back later. The hub counts requests in
# windows of five minutes.
LONGEST_WAIT_S = 330.0
# For a connection, and for each read.
TIMEOUT_S = 30.0
# As many bytes as tell a page from a checkpoint.
START_BYTES = 512
PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


# What no checkpoint of an image model has; a larger one is downloaded after this is set.
CAP = "ZOO_EVAL_DOWNLOAD_BYTES"
CAP_BYTES = 2**36
LOOPBACK_NAMES = ("localhost", "ip6-localhost")


class Interrupted(Exception):
    """A try that failed for what may pass; `wait_s` is how long the server asked to wait."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def patiently(what: str, attempt: Callable[[], T]) -> T:
    """An attempt's result, tried again with doubled waits while it raises `Interrupted`.

    Raises:
        Unreachable: it was interrupted `TRIES` times, or the server asks to wait for too long.
    """
    for trial in range(1, TRIES + 1):
        try:
            return attempt()
        except Interrupted as error:
            last = error
        if last.wait_s > LONGEST_WAIT_S:
            raise Unreachable(
                f"{what} cannot be had now ({last}): the server asks to wait {last.wait_s:.0f} s; "
                "run again then"
            )
        if trial < TRIES:
            # Not all machines of a cluster at once.
            sleep(max(last.wait_s, FIRST_WAIT_S * 2 ** (trial - 1)) * uniform(1.0, 1.25))
    raise Unreachable(
        f"{what} cannot be reached ({last}) after {TRIES} tries; check the network and run again"
    )


def passing(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in (408, 425, 429) or status >= 500


def retry_after_s(header: str | None) -> float:
    """The seconds that a Retry-After header asks for, given as such or as a date; 0 without one."""
    text = (header or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def asked_wait_s(retry_after: str | None, rate_limit: str | None) -> float:
    """The seconds that an answer asks to wait, by its headers Retry-After and RateLimit.

    RateLimit is what the hub sends: how many requests remain (r) and when they are renewed (t).
    """
    used_up = re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", rate_limit or "")
    return max(retry_after_s(retry_after), float(used_up.group(1)) if used_up else 0.0)


def refuse_offline(what: str) -> None:
    """Nothing, where downloads are allowed: one switch, the hub's own, for hub and addresses.

    Raises:
        Refusal: HF_HUB_OFFLINE is set.
    """
    if constants.HF_HUB_OFFLINE:
        raise Refusal(
            f"{what}: not on this machine, which is offline (HF_HUB_OFFLINE is set); unset it, or "
            "fetch the file where there is a network"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file; read once per process, and again when the file was written to."""
    status = path.stat()
    return _sha256(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_digest(path: Path) -> str:
    """The SHA-1 by which git names a file of these bytes."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_page(start: bytes) -> bool:
    """Whether what begins like this is an HTML page."""
    return start.removeprefix(BYTE_ORDER_MARK).lstrip().lower().startswith(PAGES)


def is_page_file(path: Path) -> bool:
    """Whether a file is an HTML page."""
    with path.open("rb") as file:
        return is_page(file.read(START_BYTES))


def cap_bytes() -> int:
    """How many bytes a download may have at most.

    Raises:
        Refusal: `ZOO_EVAL_DOWNLOAD_BYTES` is no size.
    """
    text = os.environ.get(CAP, "")
    try:
        return (int(text) if text.isdecimal() else size_in_bytes(text)) if text else CAP_BYTES
    except ValueError as error:
        raise Refusal(f"{CAP}: {error}") from error


def refuse_too_large(what: str, n_bytes: int) -> None:
    """Nothing, where a download may have so many bytes.

    Raises:
        Refusal: it may not.
    """
    if n_bytes > (cap := cap_bytes()):
        raise Refusal(
            f"{what} has {size_text(n_bytes)} or more, and a download at most {size_text(cap)}; set "
            f"{CAP} to allow it, or give a file of this machine"
        )


def refuse_insecure(what: str, url: str) -> None:
    """Nothing, where an address is https, or of this machine itself.

    Raises:
        Refusal: anybody on the way could read and change what it sends.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise Refusal(
            f"{what}: {parts.scheme}://{parts.hostname or ''} is not https, which downloads follow "
            "alone; write https://, or download it by hand and give its path"
        )


def _is_loopback(host: str | None) -> bool:
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where downloads may lead."""

    def redirect_request(self, *given: Any) -> urllib.request.Request | None:
        request, *_, target = given
        refuse_insecure(f"{request.full_url} leads elsewhere", target)
        return super().redirect_request(*given)


def opened(request: urllib.request.Request | str) -> Any:
    """The answer to a request, of https or of this machine; so are all that it is redirected to.

    Raises:
        Refusal: it leads elsewhere.
        OSError: as `urllib.request.urlopen` does.
    """
    url = request if isinstance(request, str) else request.full_url
    refuse_insecure(url, url)
    return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT_S)


def is_page_there(url: str) -> bool:
    """Whether an address answers with an HTML page; False where it does not answer."""
    try:
        with opened(url) as answer:
            return is_page(answer.read(START_BYTES))
    except Exception:  # noqa: BLE001 - asked only to explain a failure that is raised anyway
        return False


def page_instead(what: str) -> Refusal:
    """What to say when a captive portal or a moved link has answered."""
    return Refusal(
        f"{what}: an HTML page came instead of a checkpoint; log in to the network, or correct the "
        "address if the link has moved"
    )
