"""What would write, read elsewhere or take everything is refused or cut off in words; the server stays up."""

import re
from html import unescape
from pathlib import Path

import pytest

from tests.queries.attempts import EXHAUSTS, READS, WRITES
from zoo_eval.digests import bytes_digest

# The others of their kind take as long: `python -m benchmarks.serve` asks them all.
HERE = {
    "a counting loop",
    "rows without end",
    "long rows",
    "a list of a range",
    "a regular expression",
}
ATTEMPTS = [*WRITES, *READS, *(one for one in EXHAUSTS if one.name in HERE)]


def held(folder: Path) -> dict[str, str]:
    """Every file below a folder, by what is in it."""
    return {
        str(path.relative_to(folder)): bytes_digest([path.read_bytes()])
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.name)
def test_an_attempt_is_refused_in_words(attempt, client, folder):
    before = held(folder)
    sql = attempt.at(str(folder / "outside.parquet"), str(folder / "store"))
    found = client.post("/sql.csv", data={"q": sql})
    assert found.status_code in (400, 503), found.text
    (said,) = re.findall(r'<p class="error" role="alert">(.*?)</p>', found.text, re.DOTALL)
    assert len(unescape(said)) > 20
    assert "Traceback" not in found.text
    assert held(folder) == before
    assert client.get("/leaderboard.json").status_code == 200


def test_there_are_many_attempts_of_every_kind():
    assert len(ATTEMPTS) >= 40
    assert len([one for one in ATTEMPTS if one in EXHAUSTS]) == len(HERE)


def test_after_all_of_them_a_query_is_answered(client):
    assert client.post("/sql.csv", data={"q": "SELECT 1 AS a"}).text == "a\r\n1\r\n"
