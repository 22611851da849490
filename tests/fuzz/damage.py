"""Damage to a file: cut off, flipped, inserted, removed, overwritten; or another file altogether."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

LONGEST = 64


@dataclass(frozen=True)
class Damage:
    """What is done to a file's bytes: `place` is a share of its length, `content` what is put there."""

    kind: str
    place: float
    content: bytes

    def __call__(self, whole: bytes) -> bytes:
        at = min(int(self.place * len(whole)), max(0, len(whole) - 1))
        n = len(self.content)
        return {
            "cut off": lambda: whole[:at],
            "flipped": lambda: (
                whole[:at] + bytes([whole[at] ^ (self.content[0] or 1)]) + whole[at + 1 :]
            ),
            "inserted": lambda: whole[:at] + self.content + whole[at:],
            "removed": lambda: whole[:at] + whole[at + n :],
            "overwritten": lambda: whole[:at] + self.content + whole[at + n :],
            "zeroed": lambda: whole[:at] + bytes(n) + whole[at + n :],
            "appended": lambda: whole + self.content,
        }[self.kind]()


KINDS = ("cut off", "flipped", "inserted", "removed", "overwritten", "zeroed", "appended")


def damages() -> st.SearchStrategy[Damage]:
    """Damage of every kind, anywhere, and twice as often near the ends, where formats keep their sizes."""
    places = st.one_of(st.floats(0, 1), st.floats(0, 0.05), st.floats(0.95, 1))
    return st.builds(
        Damage, st.sampled_from(KINDS), places, st.binary(min_size=1, max_size=LONGEST)
    )


FOREIGN: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "a byte": lambda _: b"\0",
    "zeros": lambda whole: bytes(len(whole)),
    "a Git LFS pointer": lambda _: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    ),
    "an HTML page": lambda _: b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "its gzip": gzip.compress,
    "its zlib": zlib.compress,
    "text": lambda _: b"no such file\n",
    "backwards": lambda whole: whole[::-1],
    "twice": lambda whole: whole + whole,
    "noise": lambda whole: zlib.compress(whole, 9)[2:-4],
}
