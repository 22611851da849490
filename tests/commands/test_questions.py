"""`zoo-eval questions`: listed, shown, answered; and what a query that finds nothing says."""

import csv
import io
import json

import pytest

from tests.queries.zoo import Zoo
from zoo_eval import cli
from zoo_eval.queries.connection import connect
from zoo_eval.queries.questions import question, questions
from zoo_eval.store import Store

HOSTILE = "\x1b[2J<b>'"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two models with an accuracy, one of a name that would steer a terminal; nothing else was run."""
    zoo = Zoo(Store(str(tmp_path_factory.mktemp("planted") / "store"), create=True))
    zoo.card(HOSTILE)
    zoo.accuracy(HOSTILE, 0.5)
    zoo.card("plain")
    zoo.add("features", "features", [{"layer": "x", "vector": []}], model="plain")
    return zoo.commit()


def said(capsys, *words, code=0):
    assert cli.main(list(words)) == code
    told = capsys.readouterr()
    return told.out, told.err


def test_all_are_listed_with_what_they_ask(capsys):
    out, _ = said(capsys, "questions", "--format", "json")
    assert json.loads(out) == [
        {"name": name, "question": one.question} for name, one in questions().items()
    ]
    table, _ = said(capsys, "questions")
    for name, one in questions().items():
        assert f"{name} " in table
        assert one.question in table


@pytest.mark.parametrize("name", questions())
def test_without_a_store_a_question_is_shown_as_sql(capsys, name):
    out, _ = said(capsys, "questions", name)
    assert out.strip() == question(name).sql.strip()


def test_an_answer_stands_between_the_question_and_what_its_columns_mean(capsys, store):
    out, err = said(capsys, "questions", "completeness", "--store", store.uri)
    lines = out.splitlines()
    assert lines[0] == question("completeness").question
    assert "never run" in out
    assert lines[-1].endswith(".")
    assert "\x1b" not in out
    assert "\\x1b[2J" in out
    assert err == ""


def test_an_answer_for_programs_holds_the_rows_alone_as_they_are(capsys, store):
    out, _ = said(capsys, "questions", "completeness", "--store", store.uri, "--format", "csv")
    found = list(csv.DictReader(io.StringIO(out)))
    expected = connect(store).rows(question("completeness").sql)
    assert [(r["model"], r["state"]) for r in found] == [(r["model"], r["state"]) for r in expected]
    assert HOSTILE in {row["model"] for row in found}


def test_a_condition_selects_rows_of_the_answer(capsys, store):
    out, err = said(
        capsys, "questions", "completeness", "--store", store.uri, "--where", "state = 'ok'", "--format", "json",
    )  # fmt: skip
    assert {row["state"] for row in json.loads(out)} == {"ok"}
    none, err = said(capsys, "questions", "completeness", "--store", store.uri, "--where", "n_ok > 9", "--format", "json")  # fmt: skip
    assert json.loads(none) == []
    assert err == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["questions", "completness"], "unknown question 'completness'; nearest: completeness"),
        (["questions", "completeness", "--where", "1 = 1"], "give the --store that shall answer"),
        (["questions", "--store", "STORE"], "name the question"),
        (["questions", "completeness", "--store", "STORE", "--where", "nothing = 1"], "--where: "),
        (["questions", "completeness", "--store", "/nowhere"], "no store at /nowhere"),
        (["sql", "SELECT model,\n top2 FROM accuracy", "--store", "STORE"], "(line 2, column 2: top2 FROM accuracy)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(capsys, store, words, told):
    _, err = said(capsys, *(store.uri if w == "STORE" else w for w in words), code=2)
    assert told in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM tolerances", "attacks (filled by minimal_attack)"),
        ("SELECT * FROM similarities", "neural_scores (filled by neural_fit)"),
        ("SELECT * FROM trends", "trends (filled by zoo-eval trends)"),
        ("SELECT model AS layers FROM accuracy WHERE top1 > 2", ""),
        ("WITH attacks AS (SELECT 1 AS x) SELECT * FROM attacks WHERE x = 2", ""),
        ("SELECT count(*) FROM attacks", ""),
    ],
)
def test_a_query_that_finds_nothing_says_what_would_fill_its_tables(capsys, store, query, told):
    _, err = said(capsys, "sql", query, "--store", store.uri)
    assert told in err
    assert len(err.strip().splitlines()) == bool(told)
