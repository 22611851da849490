"""What a page holds can be read back, and no value can leave its place."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.report.conftest import held
from zoo_eval.report import written

HOSTILE = [
    "</script><script>alert(1)",
    "<!--",
    "]]>",
    'quote"',
    "back\\slash",
    "line\u2028",
    "a&b",
    "né",
    "猫",
]


def test_numbers_and_times_come_back():
    value = {
        "a": [1, -2.5, True, None, 1 / 3],
        "b": {"c": Decimal("0.25")},
        "d": datetime(2024, 1, 2, 3, 4, tzinfo=UTC),
    }
    read = json.loads(written.as_json(value))
    assert read == {
        "a": [1, -2.5, True, None, pytest.approx(1 / 3, rel=1e-6)],
        "b": {"c": 0.25},
        "d": "2024-01-02 03:04+00:00",
    }
    assert read["a"][2] is True


def test_what_is_no_number_is_said_and_infinity_is_beyond_every_number():
    assert json.loads(written.as_json([math.nan, math.inf, -math.inf])) == [
        "NaN",
        math.inf,
        -math.inf,
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_comes_back_and_never_ends_its_element(text):
    block = written.block("x", {text: [text]})
    assert block.count("<") == 2
    shown = written.said(text)
    assert held(block, "x") == {shown: [shown]}
    assert held(written.packed("y", [text]), "y") == [shown]


def test_text_that_turns_a_line_around_or_holds_a_key_is_shown_without():
    assert json.loads(written.as_json("a\u202eb\x1b[2J")) == "a\\u202eb\\x1b[2J"
    assert "secret" not in written.as_json("s3://id:secret@bucket/x")


def test_code_stays_as_it_is():
    code = {"expr": "a\n<b", "list": [1, 2.5]}
    assert json.loads(written.as_json({"vega": written.Exact(code)})) == {"vega": code}
    assert "<" not in written.as_json(written.Exact(code))


def test_equal_values_are_equal_bytes():
    assert written.packed("x", [1.5, "a"]) == written.packed("x", [1.5, "a"])


def test_what_a_page_cannot_write_is_an_error():
    with pytest.raises(TypeError, match="no way to write bytes"):
        written.as_json(b"x")
