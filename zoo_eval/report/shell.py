"""A page's shell: one HTML file that runs its own scripts and styles, by their hashes, and no others."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from zoo_eval.files.names import in_html

# In the order in which they build on each other.
STYLES = ("page.css", "table.css", "gallery.css")
SCRIPTS = (
    "words.js", "choice.js", "table.js", "filters.js", "card.js", "plot.js", "model.js", "theme.js",
    "address.js", "page.js",
)  # fmt: skip


def document(title: str, body: str, *, scripts: Sequence[str] = (), head: str = "") -> str:
    """An HTML page; nothing in it refers to anything outside, and nothing else in it can run.

    `scripts` are JavaScript, run in this order after the body.
    """
    css = style()
    policy = "; ".join((
        "default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'",
        f"style-src {allowed([css])}", f"script-src {allowed(scripts)}",
    ))  # fmt: skip
    run = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{in_html(title)}</title>{head}<style>{css}</style></head>\n"
        f"<body>{body}{run}</body></html>\n"
    )


def allowed(texts: Iterable[str]) -> str:
    """A source list of a Content-Security-Policy that allows exactly these inline texts."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"


def style() -> str:
    """Every style of the page."""
    return "".join(map(asset, STYLES))


def script() -> str:
    """The page's own script: its files, in one scope."""
    return '"use strict";\n{\n' + "".join(map(asset, SCRIPTS)) + "}\n"


def asset(name: str) -> str:
    """A file of this room."""
    return files("zoo_eval.report").joinpath(name).read_text(encoding="utf-8")
