"""What a served store answers: its report, its leaderboard, its tables, SQL and downloads."""

import io
import json
import re
from html import unescape

import pyarrow.parquet as pq
import pytest

from tests.explorer.planted import BOUNDS, NAMES, TOP1, renew, served
from zoo_eval.explorer import app
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page
from zoo_eval.store import Store
from zoo_eval.tables import TABLES, VIEWS, View


def refusal(found) -> str:
    """What a page says was wrong, on one line."""
    (said,) = re.findall(r'<p class="error" role="alert">(.*?)</p>', found.text, re.DOTALL)
    assert "Traceback" not in found.text
    return unescape(said)


def test_the_report_is_that_of_the_command_with_links_and_its_age(client, folder):
    renew(client)
    found = client.get("/")
    assert found.status_code == 200
    uri = str(folder / "store")
    before, after = page(connect(Store(uri)), uri).split("<body>")
    assert found.text.startswith(f"{before}<body>")
    assert found.text.endswith(after)
    assert "The store as it was " in found.text
    assert 'href="/sql"' in found.text
    assert found.headers["age"].isdigit()


def test_the_leaderboard_is_what_sql_says(client, folder):
    rows = client.get("/leaderboard.json").json()
    own = connect(Store(str(folder / "store"))).rows("SELECT model, top1 FROM leaderboard")
    assert [{key: row[key] for key in ("model", "top1")} for row in rows] == own
    assert {row["model"]: row["top1"] for row in rows} == dict(zip(NAMES, TOP1))


def test_every_table_and_view_is_listed_with_what_it_means(client):
    text = unescape(client.get("/tables").text)
    for name in (*TABLES, *VIEWS):
        assert f'<details id="{name}">' in text
    for column in TABLES["attacks"].columns:
        assert column.meaning in text
    assert "Columns: <code>model</code>" in text


def test_the_box_begins_with_an_example_that_works(client):
    (example,) = re.findall(r"<textarea.*?>\n(.*?)</textarea>", client.get("/sql").text, re.DOTALL)
    found = client.post("/sql", data={"q": unescape(example)})
    assert found.status_code == 200
    assert "3 rows x 5 columns" in found.text


def test_what_is_asked_often_fills_the_box_and_is_answered(folder, monkeypatch):
    planted = [
        View("how_many", "-- How many <models> are there?\nSELECT count(*) AS n FROM models")
    ]
    monkeypatch.setattr(app, "questions", lambda: {one.name: one for one in planted})
    with served(folder / "store") as one:
        text = one.get("/sql").text
        assert '<a href="/sql?question=how_many">How many &lt;models&gt; are there?</a>' in text
        asked = one.get("/sql", params={"question": "how_many"}).text
        (sql,) = re.findall(r"<textarea.*?>\n(.*?)</textarea>", asked, re.DOTALL)
        assert unescape(sql) == planted[0].sql
        assert one.post("/sql.csv", data={"q": unescape(sql)}).text == "n\r\n3\r\n"


def test_a_link_fills_the_box_and_runs_nothing(client):
    assert 'FROM "models" LIMIT 100' in unescape(client.get("/sql", params={"of": "models"}).text)
    given = client.get("/sql", params={"q": "</textarea><script>alert(1)</script>"}).text
    assert "<script>alert" not in given
    kept = "SELECT 'a\tb', 's3://key:word@bucket' -- \u202e\n"
    (shown,) = re.findall(
        r"<textarea.*?>\n(.*?)</textarea>", client.get("/sql", params={"q": kept}).text, re.DOTALL
    )
    assert unescape(shown) == kept
    assert 'id="result"' not in given


def test_a_result_is_a_table_of_escaped_cells(client):
    found = client.post(
        "/sql", data={"q": 'SELECT model AS "<b>", top1 FROM leaderboard ORDER BY top1'}
    )
    cells = re.findall(r"<td[^>]*>(.*?)</td>", found.text)
    assert [unescape(one) for one in cells] == [
        text for name, top1 in reversed(list(zip(NAMES, TOP1))) for text in (name, f"{top1:g}")
    ]
    assert "<b>" not in found.text
    assert "&lt;b&gt;" in found.text


def test_of_many_rows_the_first_are_shown_in_order_and_it_is_said(client):
    found = client.post("/sql", data={"q": "SELECT i FROM range(5000) AS t(i) ORDER BY i DESC; "})
    assert "more than 1,000 rows x 1 columns, the first 500 shown" in found.text
    cells = [int(one) for one in re.findall(r"<td[^>]*>(\d+)</td>", found.text)]
    assert cells == list(range(4999, 4499, -1))


@pytest.mark.parametrize("sql", [
    "SELECT 1 AS x -- and a comment", "SELECT 1 AS x; -- and a comment", "/* ; */ SELECT 1 AS x;;",
    "WITH a AS (SELECT 1 AS x) SELECT x FROM a;", "VALUES (1)", "FROM (SELECT 1 AS x)", "DESCRIBE accuracy",
    "SHOW TABLES", "SELECT 1 AS x, 2 AS x", "SELECT x FROM (SELECT 1 AS x) ORDER BY x LIMIT 1",
])  # fmt: skip
def test_any_one_select_is_answered(client, sql):
    assert 'id="result"' in client.post("/sql", data={"q": sql}).text


def test_downloads_hold_the_same(client):
    sql = "SELECT model, top1 FROM leaderboard ORDER BY top1 DESC"
    rows = [{"model": name, "top1": top1} for name, top1 in zip(NAMES, TOP1)]
    found = {
        form: client.post(f"/sql.{form}", data={"q": sql}) for form in ("json", "csv", "parquet")
    }
    assert found["json"].json() == rows
    assert pq.read_table(io.BytesIO(found["parquet"].content)).to_pylist() == rows
    assert found["csv"].text.splitlines()[-1] == f"{NAMES[-1]},{TOP1[-1]}"
    for form, one in found.items():
        assert one.headers["content-disposition"] == f'attachment; filename="result.{form}"'


def test_a_download_that_is_not_whole_is_refused(client):
    many = client.post("/sql.csv", data={"q": "SELECT * FROM range(1001)"})
    assert (many.status_code, "more than 1,000 rows" in refusal(many)) == (400, True)
    assert (
        len(client.post("/sql.csv", data={"q": "SELECT * FROM range(1000)"}).text.splitlines())
        == 1001
    )
    long = client.post("/sql.json", data={"q": "SELECT repeat('x', 3000) FROM range(1000)"})
    assert (long.status_code, "1.0 MiB" in refusal(long)) == (400, True)


@pytest.mark.parametrize(("sql", "said"), [
    ("SELECT modle FROM leaderboard", "nearest: model"),
    ("SELECT 1 FROM leaderbord", "nearest: leaderboard"),
    ("SELEC 1", "syntax error"),
    ("SELECT (1", "syntax error"),
    ("SELECT 1) FROM (SELECT 1", "syntax error"),
    ("SELECT CAST('a' AS INT)", "Could not convert"),
    ("SELECT 'a", "unterminated"),
    ("SELECT 1 /* a", "unterminated"),
    ("", "one SELECT"),
])  # fmt: skip
def test_what_is_wrong_with_a_query_is_said_on_one_line(client, sql, said):
    found = client.post("/sql", data={"q": sql})
    assert found.status_code == 400
    assert said in refusal(found)
    assert "\n" not in refusal(found)


@pytest.mark.parametrize(("content", "status"), [
    (b"", 400), (b"q", 400), (b"p=1", 400), (b"q=1&q=2", 400), (b"q=%ff", 400), (b"\xff=1", 400),
    (b"q=" + b"x" * 2**17, 413), (b"&" * 1000, 400), (b"q=SELECT+%00", 400), (b"q=\xed\xa0\x80", 400),
])  # fmt: skip
def test_a_form_that_is_none_is_refused(client, content, status):
    found = client.post("/sql", content=content)
    assert found.status_code == status
    assert "Traceback" not in found.text


@pytest.mark.parametrize("path", [
    "/../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../app.py", "/app.py",
    "/explorer.css/../app.py", "//etc/passwd", "/explorer.js%00.py", "/sql.txt", "/sql.csv/", "/tables/",
    "/accuracy/", "/zoo_eval_store.json", "/.git/config", "/%c0%ae%c0%ae/", "/docs", "/openapi.json",
])  # fmt: skip
def test_nothing_of_other_paths_is_served(client, path):
    found = client.get(path)
    assert found.status_code in (404, 405)
    assert found.text.startswith("zoo-eval serve: ")
    assert found.text.count("\n") == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_nothing_else_can_be_done(client, method):
    for path in ("/", "/sql", "/leaderboard.json"):
        found = client.request(method, path, headers={"origin": "http://127.0.0.1:8020"})
        assert found.status_code == 405
        assert "access-control-allow-origin" not in found.headers


def test_its_own_files_are_strict_enough_for_its_policy(client):
    for path in ("/sql", "/tables"):
        text = client.get(path).text
        assert not re.findall(r"<style|style=|<script>|\son\w+=|https?://", text)
    assert client.get("/explorer.css").headers["content-type"].startswith("text/css")
    assert "javascript" in client.get("/explorer.js").headers["content-type"]
    assert json.dumps(BOUNDS.most_rows) in client.get("/sql").text.replace(",", "")
