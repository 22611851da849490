"""Every fault of a download ends as a refusal or with the right bytes; none spoils the cache."""

import errno
import re
from dataclasses import dataclass

import pytest

from tests.hosting.faults import (
    CONTENT,
    HALF,
    NAME,
    OTHER,
    PAGE,
    REPO,
    WAYS,
    Injection,
    Scene,
    always,
    file_in_the_way,
    filling_disk,
    in_turn,
    killed,
    killed_with_another_version,
    limited_files,
    lost,
    once,
    patience,
    small_disk,
    spoilt,
    status,
    switched_off,
    without_names,
    without_permission,
    without_ranges,
)
from tests.hosting.serving import BOTH
from zoo_eval.errors import Refusal

RIGHT = "the right bytes"
# The faults of the specification, in its words, and those that its answers to them can meet.
KINDS = {
    "truncated",
    "HTML",
    "wrong digest",
    "timeout",
    "server error",
    "too many requests",
    "no connection",
    "gated",
    "vanished",
    "disk full",
    "unwritable",
    "interrupted",
    "corrupted later",
}
NEXT_STEPS = (
    "check the network and run again",
    "run again then",
    "it was removed, run again",
    "run again, or correct `sha256`",
    "log in",
    "correct the address",
    "correct the name",
    "use a local checkpoint",
    "download it by hand",
    "try again later",
    "free space",
    "on a disk of this machine",
)
UNREACHABLE, FULL, UNKEPT = "cannot be reached", "does not fit into", "cannot be kept in"
PAGE_CAME, OTHER_BYTES = "an HTML page came instead", "has SHA-256"
GATED, PRIVATE = "gated: accept its terms at", r"may not be read|\(status 40[13]\)"
GONE = r"no such repository|not on the hub any more|none of .* is on the hub|not there any more"
LOCKED = ("X-Error-Code", "GatedRepo")
PORTAL = {"body": PAGE, "says_digest": False, "methods": BOTH}


@dataclass(frozen=True)
class Case:
    """A fault, and how a download ends by the hub's way and from a plain address."""

    kind: str
    inject: Injection
    hub: str = RIGHT
    address: str = RIGHT

    def ending(self, way: str) -> str:
        return self.address if way == "address" else self.hub


def refused(kind: str, inject: Injection, reason: str) -> Case:
    return Case(kind, inject, reason, reason)


CASES = {
    "cut once": Case("truncated", once(sent_bytes=HALF)),
    "cut twice": Case("truncated", in_turn(once(sent_bytes=HALF), once(sent_bytes=HALF // 3))),
    "cut before the first byte, ever": refused("truncated", always(sent_bytes=0), UNREACHABLE),
    "cut where no length was told": Case(
        "truncated", once(sent_bytes=HALF, says_length=False), RIGHT, OTHER_BYTES
    ),
    "cut in a chunk": Case("truncated", once(sent_bytes=HALF, chunked=True)),
    "shorter once": Case("truncated", once(body=CONTENT[:HALF]), RIGHT, OTHER_BYTES),
    "shorter ever": Case("truncated", always(body=CONTENT[:HALF]), UNREACHABLE, OTHER_BYTES),
    "longer ever": Case("truncated", always(body=CONTENT + b"more"), UNREACHABLE, OTHER_BYTES),
    "empty ever": Case("truncated", always(status=204), UNREACHABLE, OTHER_BYTES),
    "page once": Case("HTML", once(body=PAGE), RIGHT, PAGE_CAME),
    "page ever": refused("HTML", always(body=PAGE), PAGE_CAME),
    "page with the file's length": refused(
        "HTML", always(body=PAGE.ljust(len(CONTENT))), PAGE_CAME
    ),
    "page for all questions": refused("HTML", always(**PORTAL), PAGE_CAME),
    "page after a cut": Case(
        "HTML",
        in_turn(once(sent_bytes=HALF), once(body=PAGE, says_digest=False)),
        RIGHT,
        PAGE_CAME,
    ),
    "other bytes": refused("wrong digest", always(body=OTHER), OTHER_BYTES),
    "one bit": refused(
        "wrong digest", always(body=CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])), OTHER_BYTES
    ),
    "other bytes after a cut": Case(
        "wrong digest", in_turn(once(sent_bytes=HALF), once(body=OTHER)), OTHER_BYTES, RIGHT
    ),
    "stalled once": Case(
        "timeout", in_turn(patience(0.5), once(sent_bytes=HALF, stalls=True)), RIGHT
    ),
    "stalled ever": refused(
        "timeout", in_turn(patience(0.05), always(sent_bytes=0, stalls=True)), UNREACHABLE
    ),
    "mute once": Case("timeout", in_turn(patience(0.5), once(mute=True, methods=BOTH))),
    "mute ever": refused(
        "timeout", in_turn(patience(0.05), always(mute=True, methods=BOTH)), UNREACHABLE
    ),
    "status 408 once": Case("timeout", once(status=408, methods=BOTH)),
    **{
        f"status {code} once": Case("server error", once(status=code, methods=BOTH))
        for code in (500, 502, 503, 504)
    },
    "status 500 for the bytes once": Case("server error", once(status=500)),
    "status 500 for the bytes ever": refused("server error", always(status=500), UNREACHABLE),
    "status 503 ever": refused("server error", status(503), UNREACHABLE),
    "status 418 ever": refused("server error", status(418), r"cannot be had|cannot be reached"),
    "limit once": Case(
        "too many requests", once(status=429, headers=(("Retry-After", "7"),), methods=BOTH)
    ),
    "limit for the bytes once": Case(
        "too many requests", once(status=429, headers=(("Retry-After", "7"),))
    ),
    "limit ever": refused("too many requests", status(429), UNREACHABLE),
    "limit for an hour": refused(
        "too many requests", status(429, ("Retry-After", "3600")), "asks to wait 3600 s"
    ),
    "limit for the bytes for an hour": refused(
        "too many requests",
        always(status=429, headers=(("Retry-After", "3600"),)),
        "asks to wait 3600 s",
    ),
    "refused": refused("no connection", switched_off, UNREACHABLE),
    "no name": refused("no connection", without_names, UNREACHABLE),
    "hung up once": Case("no connection", once(silent=True, methods=BOTH)),
    "hung up ever": refused("no connection", always(silent=True, methods=BOTH), UNREACHABLE),
    "gated, not logged in": refused("gated", status(401, LOCKED), GATED),
    "gated, not accepted": refused("gated", status(403, LOCKED), GATED),
    "gated since it was located": refused("gated", always(status=403, headers=(LOCKED,)), GATED),
    "private": refused("gated", status(401, ("X-Error-Code", "RepoNotFound")), PRIVATE),
    "forbidden": refused("gated", status(403), PRIVATE),
    "no repository": refused("vanished", status(404, ("X-Error-Code", "RepoNotFound")), GONE),
    "no revision": refused("vanished", status(404, ("X-Error-Code", "RevisionNotFound")), GONE),
    "no file": refused("vanished", status(404, ("X-Error-Code", "EntryNotFound")), GONE),
    "no bytes": refused("vanished", always(status=404), GONE),
    "removed": refused("vanished", status(410), GONE),
    "small": refused("disk full", small_disk, FULL),
    "full in the middle": refused("disk full", filling_disk(errno.ENOSPC), FULL),
    "quota in the middle": refused("disk full", filling_disk(errno.EDQUOT), FULL),
    "limit in the middle": refused("disk full", limited_files, FULL),
    "broken disk": refused("unwritable", filling_disk(errno.EIO), UNKEPT),
    "file in the way": refused("unwritable", file_in_the_way, UNKEPT),
    "no permission": refused("unwritable", without_permission, UNKEPT),
    "killed": Case("interrupted", killed),
    "killed, then changed": Case("interrupted", killed_with_another_version),
    "killed, then without ranges": Case("interrupted", in_turn(killed, without_ranges)),
    "killed, then beyond the end": Case("interrupted", in_turn(killed, once(status=416))),
    "flipped": Case("corrupted later", spoilt(lambda b: bytes([b[0] ^ 1]) + b[1:])),
    "shortened": Case("corrupted later", spoilt(lambda b: b[:HALF])),
    "emptied": Case("corrupted later", spoilt(lambda b: b"")),
    "overwritten by a page": Case("corrupted later", spoilt(lambda b: PAGE)),
    "lost": Case("corrupted later", lost),
}


def assert_refused(scene: Scene, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        scene.bring()
    message = str(refusal.value)
    assert re.search(reason, message), message
    assert any(step in message for step in NEXT_STEPS), message
    assert (scene.url if scene.way == "address" else REPO) in message
    assert "\n" not in message


@pytest.mark.parametrize("scene", WAYS, indirect=True)
@pytest.mark.parametrize("name", CASES)
def test_a_fault_ends_refused_or_with_the_right_bytes_and_spoils_nothing(scene, name):
    ending = CASES[name].ending(scene.way)
    CASES[name].inject(scene)
    if ending == RIGHT:
        assert scene.bring().read_bytes() == CONTENT
    else:
        assert_refused(scene, ending)
    scene.mend()
    assert all(path.read_bytes() == CONTENT for path in scene.kept())
    path = scene.bring()
    assert path.name == NAME
    assert path.read_bytes() == CONTENT
    assert not list(scene.folder.rglob("*.part"))


def test_every_kind_of_fault_has_a_case():
    assert {case.kind for case in CASES.values()} == KINDS
