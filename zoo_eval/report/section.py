"""Section: a part of a page, with its place in the page's list of contents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zoo_eval.files.names import in_html
from zoo_eval.report.table import Table


@dataclass(frozen=True)
class Section:
    """A titled part of a page, as HTML; one with nothing inside is left out."""

    name: str
    title: str
    inside: str

    def __bool__(self) -> bool:
        return bool(self.inside)

    def html(self) -> str:
        """The section under its heading."""
        title = f"{self.name}-title"
        return (
            f'<section id="{self.name}" aria-labelledby="{title}"><h2 id="{title}" tabindex="-1">'
            f"{in_html(self.title)}</h2>\n{self.inside}</section>\n"
        )

    def link(self) -> str:
        """Its line in the list of contents."""
        return f'<li><a href="#{self.name}">{in_html(self.title)}</a></li>'


def together(sections: Iterable[Section]) -> str:
    """Sections that have something inside, one below the other."""
    return "".join(one.html() for one in sections if one)


def contents(sections: Iterable[Section]) -> str:
    """Links to sections that have something inside."""
    links = "".join(one.link() for one in sections if one)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def place(table: Table) -> str:
    """Where the page's script draws a table; nothing for one without rows."""
    return f'<div class="table" data-table="{table.name}"></div>' if table else ""


def soft(text: str) -> str:
    """A paragraph in a lighter colour."""
    return f'<p class="soft">{in_html(text)}</p>' if text else ""


def listed(sentences: Sequence[str]) -> str:
    """Sentences as a list; nothing of none."""
    items = "".join(f"<li>{in_html(one)}</li>" for one in sentences)
    return f"<ul>{items}</ul>" if sentences else ""
