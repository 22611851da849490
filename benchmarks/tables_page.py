"""Writes docs/tables.md from the declarations in zoo_eval/tables, and the views from their SQL."""

from pathlib import Path

from zoo_eval.queries.connection import question
from zoo_eval.tables import VIEWS, documentation

PAGE = Path(__file__).parent.parent / "docs" / "tables.md"


def page() -> str:
    """The page's text."""
    views = "".join(f"| `{name}` | {question(name)} |\n" for name in VIEWS)
    return f"{documentation()}\n# Views\n\n| view | question |\n|---|---|\n{views}"


if __name__ == "__main__":
    PAGE.write_text(page())
