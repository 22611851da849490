"""How `make site` builds the pages of this folder, which are read on GitHub as they are."""

import json
import re
from pathlib import Path
from typing import Any

from myst_parser.sphinx_ import Parser as Markdown
from sphinx.application import Sphinx

HERE = Path(__file__).parent
project = "zoo_eval"
extensions = ["myst_parser"]
exclude_patterns = ["conf.py"]
html_theme = "furo"
html_title = "zoo_eval"
html_show_copyright = html_copy_source = False
# As GitHub makes them, so that one link leads there on both.
myst_heading_anchors = 4
# What an outline of a model's layers or a terminal shows is no language.
highlight_language = "text"
suppress_warnings = ["epub.unknown_project_files"]
# Pages that say here what one of the folder above says, under a title of their own.
ABOVE = {"quick_start": "README.md", "adding": "CONTRIBUTING.md"}
OTHERS = "   @others@"
FENCE = re.compile("```")


def from_above(name: str, text: str) -> str:
    """A page of the folder above under this page's title, its links as they are from here."""
    title = text.splitlines()[0]
    _, _, rest = (HERE.parent / ABOVE[name]).read_text().partition("\n")
    parts = re.split(r"(^```.*?^```$)", rest, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        [title, "\n", *(part if FENCE.match(part) else _from_here(part) for part in parts)]
    )


def _from_here(text: str) -> str:
    return re.sub(r"\]\((?!docs/|[a-z]+:|#)", "](../", text).replace("](docs/", "](")


def linked(text: str) -> str:
    """A page whose links to those of the folder above lead to where these are here."""
    for name, file in ABOVE.items():
        text = re.sub(rf"\]\((?:\.\./)+{re.escape(file)}", f"](/{name}.md", text)
    return text


def pages() -> list[str]:
    """Every page of this folder by name, without its ending."""
    found = [*HERE.rglob("*.md"), *HERE.rglob("*.rst"), *HERE.glob("*.ipynb")]
    return sorted(path.relative_to(HERE).with_suffix("").as_posix() for path in found)


def with_others(index: str) -> str:
    """The index with every page that it does not name itself, so that none is forgotten."""
    named = set(re.findall(r"^   ([\w/]+)$", index, re.MULTILINE)) | {"index"}
    others = [f"   {name}" for name in pages() if name not in named]
    return index.replace(OTHERS, "\n".join(others))


def read(app: Sphinx, name: str, text: list[str]) -> None:
    """What Sphinx takes instead of a page's text."""
    if name == "index":
        text[0] = with_others(text[0])
    elif name in ABOVE:
        text[0] = linked(from_above(name, text[0]))
    else:
        text[0] = linked(text[0])


def markdown(notebook: str) -> str:
    """A notebook's cells with what they printed, as Markdown."""
    return "\n\n".join(part for cell in json.loads(notebook)["cells"] for part in _parts(cell))


def _parts(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    printed = [
        "".join(one.get("text") or one.get("data", {}).get("text/plain") or "")
        for one in cell["outputs"]
    ]
    shown = "\n".join(text.rstrip("\n") for text in printed if text)
    return [f"```python\n{source}\n```", *([f"```text\n{shown}\n```"] if shown else [])]


class Notebook(Markdown):
    """Reads a notebook as the Markdown that it is made of."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: Any) -> None:
        """Adds a notebook's content to a document."""
        super().parse(markdown(inputstring), document)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(Notebook)
    app.connect("source-read", read)
