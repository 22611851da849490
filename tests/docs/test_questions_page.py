"""docs/questions.md shows the questions that are shipped, as they are, with answers of the right columns."""

import re

import pytest

from benchmarks.questions_page import HEAD, LEFT_OUT, N_ROWS, PAGE, page
from tests.queries.zoo import Zoo
from zoo_eval.queries.connection import connect
from zoo_eval.queries.questions import notes, questions
from zoo_eval.store import Store

SECTIONS = PAGE.read_text().split("\n## ")


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    return connect(Store(str(tmp_path_factory.mktemp("empty") / "store"), create=True))


def test_the_page_has_every_question_in_order():
    assert SECTIONS[0] == HEAD.format(n_rows=N_ROWS)
    assert [one.partition("\n")[0] for one in SECTIONS[1:]] == list(questions())


@pytest.mark.parametrize("section", SECTIONS[1:], ids=lambda one: one.partition("\n")[0])
def test_a_question_is_shown_as_it_is_shipped(section, connection):
    asked = questions()[section.partition("\n")[0]]
    (sql,) = re.findall(r"```sql\n(.*?)\n```\n", section, re.DOTALL)
    assert sql == asked.sql.strip(), "run `make docs`"
    assert f"**{asked.question}**\n\n{notes(asked)}\n" in section
    tables = [line for line in section.splitlines() if line.startswith("| ")]
    columns = [one for one in connection.columns(asked.sql) if one not in LEFT_OUT]
    if not tables:
        assert "*No rows in the demo" in section
        return
    assert tables[0] == f"| {' | '.join(columns)} |"
    (n_rows,) = re.findall(r"^(\d+) rows\.$", section, re.MULTILINE)
    assert len(tables) - 2 == min(int(n_rows), N_ROWS)


def test_the_page_is_made_of_a_stores_own_answers(tmp_path):
    zoo = Zoo(Store(str(tmp_path / "store"), create=True))
    zoo.card("a|b")
    zoo.accuracy("a|b", 0.25)
    made = page(zoo.commit().uri)
    assert made.startswith(HEAD.format(n_rows=N_ROWS))
    assert "| a\\|b | accuracy | ok | 1 | 0 | 0 | 0 | pass |" in made
    assert "*No rows in the demo: of what this reads, empty in this store: neural_scores" in made
