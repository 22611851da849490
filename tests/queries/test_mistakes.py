"""Where a query is wrong: the place is where a test put the mistake, and what is near is said."""

import re

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.queries.connection import connect
from zoo_eval.queries.mistakes import explained
from zoo_eval.store import Store

# The mistake begins at the mark.
MARK = "§"
LONG = "model, " * 40
WIDE = "'" + "日本語ä" * 12 + "'"


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    return connect(Store(str(tmp_path_factory.mktemp("empty") / "store"), create=True))


def said(connection, sql):
    with pytest.raises(BadInput) as refusal:
        connection.query(sql)
    text = str(refusal.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("marked", "what"),
    [
        ("§SELEC 1", "syntax error"),
        ("SELECT model model §model FROM accuracy", "syntax error"),
        (f"SELECT {LONG} model model §model, {LONG} model FROM accuracy", "syntax error"),
        ("SELECT model,\n\n  model AS a §b\nFROM accuracy", "syntax error"),
        (f"SELECT {WIDE}, model model §x FROM accuracy", "syntax error"),
        ("SELECT\tmodel\tmodel\t§x x FROM accuracy", "syntax error"),
        ("SELECT §'abc FROM accuracy", "unterminated"),
        ("SELECT 1 WHERE 1 > §'x'", "Could not convert"),
        ("SELECT §top2 FROM accuracy", "unknown column 'top2'; nearest: top5, top1"),
        ("SELECT 'top2', -- top2\n /* top2 */ §top2 FROM accuracy", "unknown column 'top2'"),
        ("SELECT a.§top2 FROM accuracy AS a", "unknown column 'top2'; nearest: top5, top1"),
        ('SELECT §"top 1" FROM accuracy', "unknown column 'top 1'; nearest: top1"),
        ("SELECT * EXCLUDE (§modle) FROM accuracy", "unknown column 'modle'; nearest: model"),
        ("WITH x AS (SELECT 1 AS mine) SELECT §mime FROM x", "unknown column 'mime'; nearest: mine"),
        ("SELECT 1\nFROM §acuracy", "unknown table or view 'acuracy'; nearest: accuracy"),
        ("SELECT §medan(top1) FROM accuracy", "medan"),
        ("SELECT §model FROM accuracy, layers", "Ambiguous"),
        ("SELECT §b.top1 FROM accuracy AS a", 'Referenced table "b" not found'),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(connection, marked, what):
    before, _, rest = marked.partition(MARK)
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    text = said(connection, before + rest)
    assert what in text
    assert f"(line {line}, column {column}: " in text
    begins = " ".join(rest.split())[:5]
    assert text.split(f"column {column}: ")[1].startswith(begins)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT error('told') FROM range(1)",
        "SELECT 100::TINYINT * 100::TINYINT",
        "SELECT list_median(1) FROM accuracy",
    ],
)
def test_a_mistake_that_the_database_places_nowhere_has_no_place(connection, sql):
    text = said(connection, sql)
    assert not re.search(r"line \d", text)
    assert "Candidate functions" not in text


def test_a_place_in_a_views_own_text_is_not_said_to_be_in_the_query():
    message = (
        "Conversion Error: no JSON\n\nLINE 1: SELECT parameters::JSON FROM trials\n               ^"
    )
    text = explained(message, "SELECT * FROM alignments", ["alignments"], lambda name: [])
    assert text == "Conversion Error: no JSON"
    beyond = message.replace("LINE 1", "LINE 9")
    assert "line" not in explained(beyond, "SELECT 1", [], lambda name: [])


@pytest.mark.parametrize(
    "name", ["</script>", "a\x1b[2Jb", "q'uote", 'two "" quotes', "a\nb", "[a-z"]
)
def test_a_hostile_name_is_one_line(connection, name):
    quoted = name.replace('"', '""')
    for sql in (f'SELECT "{quoted}" FROM accuracy', f'SELECT * FROM "{quoted}"'):
        assert "unknown" in said(connection, sql) or "not exist" in said(connection, sql)
