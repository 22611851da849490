"""Questions: listed with what they ask, shown as SQL, or answered by a store."""

import sys
from collections.abc import Iterable
from textwrap import wrap

import pyarrow as pa

from zoo_eval.commands.output import write
from zoo_eval.errors import BadInput
from zoo_eval.files.names import say
from zoo_eval.queries.cells import ARROW, TEXT
from zoo_eval.queries.connection import Connection, connect, select
from zoo_eval.queries.questions import notes, question, questions
from zoo_eval.queries.unfilled import unfilled
from zoo_eval.store import Store

# Of the words around an answer, in characters.
WIDTH = 100


def listed(form: str) -> None:
    """Writes all questions by name."""
    asked = [{"name": one.name, "question": one.question} for one in questions().values()]
    write(pa.Table.from_pylist(asked), form, widest=10**6)


def shown(name: str) -> None:
    """Writes a question's SQL, to be changed and asked with `zoo-eval sql`.

    Raises:
        BadInput: there is no such question.
    """
    _say_lines(question(name).sql.splitlines())


def answered(name: str, uri: str, form: str, where: str | None) -> None:
    """Writes a store's answer; as a table to read, between the question and what its columns mean.

    Raises:
        BadInput: there is no such question or store, or the condition is wrong.
    """
    asked = question(name)
    connection = connect(Store(uri))
    rows = connection.query(asked.sql, ARROW if form == "parquet" else TEXT)
    is_read = form == "table"
    if is_read:
        _say_lines([*wrap(asked.question, WIDTH), ""])
    write(select(rows, where), form)
    if is_read:
        _say_lines(["", *wrap(notes(asked), WIDTH)])
    tell_unfilled(rows, connection, asked.sql)


def tell_unfilled(rows: pa.Table, connection: Connection, sql: str) -> None:
    """Tells on standard error what nobody has filled yet, where a query found nothing."""
    if rows.num_rows == 0 and (why := unfilled(connection, sql)):
        print(f"no rows; {why}", file=sys.stderr)


def check(name: str | None, store: str | None, where: str | None) -> None:
    """Refuses what says nothing together.

    Raises:
        BadInput: a store or a condition without a question, or a condition without a store.
    """
    if name is None and (store or where):
        raise BadInput(
            "name the question that --store shall answer; `zoo-eval questions` lists them"
        )
    if where and not store:
        raise BadInput("--where is of an answer: give the --store that shall answer")


def _say_lines(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)
