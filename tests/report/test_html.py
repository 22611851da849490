"""The report is one file that works offline, shows what the store holds, and survives any name."""

import base64
import hashlib
import re

import pytest

from tests.report.conftest import FAILED, NAMES, commit_model, held, planted, tables
from zoo_eval.files.names import printable
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page as page_of
from zoo_eval.report.html import write
from zoo_eval.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = planted(tmp_path_factory.mktemp("planted") / "store")
    commit_model(store, "local/wrong", 3, "fail")
    return store


@pytest.fixture(scope="module")
def page(store, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    write(store, out)
    return out.read_text()


def test_it_refers_to_nothing_outside(page):
    own = page.partition("<body>")[2].partition("<script>")[0]
    assert not re.findall(r"\b(?:src|href|url|action)\s*=\s*[\"'](?!#|data:)", own)
    assert "default-src 'none'" in page
    assert "unsafe" not in page.partition("Content-Security-Policy")[2].partition(">")[0]


def test_its_policy_allows_exactly_its_own_scripts_and_style(page):
    policy = page.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    for tag in ("script", "style"):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes = {
            base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inline
        }
        allowed = re.search(rf"{tag}-src ([^;]*)", policy)[1]
        assert set(re.findall("'sha256-([^']+)'", allowed)) == hashes


def test_every_name_and_error_is_held_and_none_is_markup(page):
    shown = tables(page)
    assert [row["model"] for row in shown["leaderboard"]] == NAMES
    (failed,) = shown["failures"]
    assert failed["model"] == printable(FAILED)
    assert failed["error_message"] == "planted <error></script>"
    assert "\u202e" not in page
    assert NAMES[0] not in page
    # Of elements that hold text as it stands only these: data, details, two scripts.
    assert page.count("</script>") == 4


def test_tables_hold_what_sql_says(page, store):
    shown = tables(page)
    connection = connect(store)
    for row, said in zip(
        connection.rows("SELECT * FROM leaderboard"), shown["leaderboard"], strict=True
    ):
        assert said["model"] == row["model"]
        for name in ("top1", "top5", "tolerance", "n_params", "gate", "family"):
            assert (
                said[name] == pytest.approx(row[name])
                if isinstance(row[name], float)
                else said[name] == row[name]
            )
        assert said["score0"] == pytest.approx(dict(row["neural_scores"])["it"])
    assert shown["leaderboard"][1]["tolerance"] == float("inf")
    best = connection.rows("SELECT model, layer, score FROM best_layer ORDER BY model")
    assert [(row["model"], row["layer"]) for row in shown["scores"]] == [
        (row["model"], row["layer"]) for row in best
    ]
    assert [row["score"] for row in shown["scores"]] == pytest.approx(
        [row["score"] for row in best]
    )
    provenance = connection.rows(
        "SELECT count(*) AS n FROM trials WHERE status = 'ok' AND model IS NOT NULL"
    )
    assert sum(row["n"] for row in shown["provenance"]) == provenance[0]["n"]


def test_columns_without_values_are_left_out(page):
    (leaderboard,) = [one for one in held(page, "data")["tables"] if one["name"] == "leaderboard"]
    names = [column["name"] for column in leaderboard["columns"]]
    assert "alignment" not in names
    assert "ceiled0" not in names
    assert {"top1", "score0", "tolerance"} <= set(names)


def test_planted_responses_are_called_planted(page):
    assert "They are not neural data." in page


def test_a_model_that_failed_its_gate_is_shown_apart(page):
    shown = tables(page)
    assert [row["model"] for row in shown["quarantined"]] == ["local/wrong"]
    assert "local/wrong" not in {row["model"] for row in shown["leaderboard"]}


def test_infinite_values_are_counted_in_words(page):
    assert "1 of 5 tolerances is infinite" in page


def test_an_empty_store_gives_a_page(tmp_path):
    write(Store(str(tmp_path / "store"), create=True), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "No model has been evaluated yet." in text
    assert "No trial failed or was refused." in text
    assert held(text, "data") == {"tables": [], "drawn": {"models": [], "figures": {}}}
    assert 'id="methods"' not in text


def test_equal_stores_give_equal_pages(page, store):
    assert page_of(connect(store), store.uri) == page
