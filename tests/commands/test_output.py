"""Tables on the terminal: numbers short and to the right, maps readable."""

import json

import pyarrow as pa

from zoo_eval.commands import output

SCORES = pa.table(
    {
        "model": ["a", "longer"],
        "n": [1, 20],
        "scores": pa.array([[("it", 0.123456), ("v4", 1.0)], None], pa.map_("string", "float64")),
    }
)


def test_text_is_aligned_and_short():
    assert output.as_text(SCORES).splitlines() == [
        "model    n  scores",
        "------  --  -----------------",
        "a        1  it: 0.1235, v4: 1",
        "longer  20",
    ]


def test_long_values_are_cut():
    text = output.as_text(pa.table({"x": ["y" * 100]})).splitlines()[-1]
    assert text == "y" * (output.WIDEST - 3) + "..."


def test_a_table_without_rows_shows_its_columns():
    assert output.as_text(SCORES.slice(0, 0)).splitlines()[0] == "model  n  scores"


def test_json_and_csv_keep_every_digit(capsys):
    output.write(SCORES, "json")
    assert json.loads(capsys.readouterr().out)[0]["scores"] == {"it": 0.123456, "v4": 1.0}
    output.write(SCORES, "csv")
    assert capsys.readouterr().out.splitlines() == [
        "model,n,scores",
        'a,1,"{""it"": 0.123456, ""v4"": 1.0}"',
        "longer,20,",
    ]
