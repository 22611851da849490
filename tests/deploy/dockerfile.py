"""The Dockerfile as instructions, and what of the repository its build is given."""

import fnmatch
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT

FILE = ROOT / "Dockerfile"
KNOWN = {"FROM", "RUN", "COPY", "ENV", "ARG", "USER", "WORKDIR", "CMD"}


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, what follows it (continued lines joined), its line (from 1)."""

    word: str
    rest: str
    line: int

    @property
    def assigned(self) -> dict[str, str]:
        """What an ENV or an ARG sets; an ARG without a value has an empty one."""
        pairs = (one.partition("=") for one in shlex.split(self.rest))
        return {name: value for name, _, value in pairs}


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, in order.

    Raises:
        ValueError: one is not of those that this file uses, so that nobody here knows what it does.
    """
    found: list[Instruction] = []
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not joined):
            continue
        start = start if joined else number
        joined += line.removesuffix("\\")
        if not line.endswith("\\"):
            word, _, rest = joined.strip().partition(" ")
            if word not in KNOWN:
                raise ValueError(f"line {start}: {word}")
            found.append(Instruction(word, rest.strip(), start))
            joined = ""
    return found


def read() -> list[Instruction]:
    return instructions(FILE.read_text())


def copies() -> Iterator[tuple[list[str], str]]:
    """The sources of every COPY, and where they go."""
    for one in read():
        if one.word == "COPY":
            *sources, target = one.rest.split()
            yield sources, target


def environment() -> dict[str, str]:
    """What every process of the image finds set."""
    return {
        name: value for one in read() if one.word == "ENV" for name, value in one.assigned.items()
    }


def context() -> list[str]:
    """Tracked files that the build is given, by .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [path for path in tracked if path and not ignored(path, rules)]


def ignored(path: str, rules: list[str]) -> bool:
    """Whether the last rule that fits a path, or a folder above it, leaves it out."""
    parents = [path, *(str(one) for one in Path(path).parents if str(one) != ".")]
    left_out = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        fits = any(
            fnmatch.fnmatchcase(one, pattern)
            or (anywhere != pattern and fnmatch.fnmatchcase(Path(one).name, anywhere))
            for one in parents
        )
        if fits:
            left_out = not rule.startswith("!")
    return left_out
