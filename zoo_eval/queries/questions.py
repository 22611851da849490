"""Questions: those that are asked of a store most often, each one SELECT in a file of its own."""

import itertools
from functools import cache
from importlib import resources

from zoo_eval.errors import BadInput, nearest
from zoo_eval.tables import View

SUFFIX = ".sql"


@cache
def questions() -> dict[str, View]:
    """All questions by name, sorted: a file `questions/NAME.sql` whose first line asks."""
    folder = resources.files("zoo_eval.queries").joinpath("questions")
    found = {
        file.name.removesuffix(SUFFIX): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(SUFFIX)
    }
    return {name: View(name, found[name]) for name in sorted(found)}


def question(name: str) -> View:
    """The question of that name.

    Raises:
        BadInput: there is none; the nearest are named.
    """
    if name not in questions():
        raise BadInput(f"unknown question {name!r}; {nearest(name, questions())}")
    return questions()[name]


def notes(asked: View) -> str:
    """What the columns of a question's answer mean, which values count, and which do not."""
    lines = asked.sql.splitlines()[1:]
    said = itertools.takewhile(lambda line: line.startswith("-- "), lines)
    return " ".join(line.removeprefix("-- ") for line in said)
