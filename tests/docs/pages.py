"""The pages for users, and every fenced block of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"( *)(`{3,}|~{3,})\s*(.*)")


@dataclass(frozen=True)
class Block:
    """One fenced block: its page, its number there (from 1), its first line, language and text."""

    page: Path
    number: int
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.page.stem}-{self.number}-line{self.line}"


def blocks_of(page: Path, text: str) -> list[Block]:
    """The fenced blocks of a page, those inside lists too.

    Raises:
        ValueError: a fence has no end.
    """
    found: list[Block] = []
    opened: tuple[str, str, int] | None = None
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        fence = FENCE.fullmatch(line)
        if opened is None and fence:
            opened = (fence[2], fence[3], number)
        elif opened and fence and fence[2].startswith(opened[0]) and not fence[3]:
            inside = dedent("\n".join(lines[opened[2] : number - 1]) + "\n")
            found.append(Block(page, len(found) + 1, opened[2] + 1, opened[1], inside))
            opened = None
    if opened:
        raise ValueError(f"{page}, line {opened[2]}: the fence has no end")
    return found


def outside_of_blocks(text: str) -> list[str]:
    """The lines of a page that are in no fenced block."""
    inside = {
        number
        for block in blocks_of(Path(), text)
        for number in range(block.line - 1, block.line + len(block.text.splitlines()) + 1)
    }
    return [line for number, line in enumerate(text.splitlines(), 1) if number not in inside]


BLOCKS = [block for page in PAGES for block in blocks_of(page, page.read_text())]
