"""Settings are words and values, not JSON."""

import json

import pytest

from zoo_eval.report.settings import in_a_line, listed, settings


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (None, []),
        ("{}", []),
        ('{"canvas": "own", "n_folds": 5}', [("canvas", "own"), ("n folds", "5")]),
        ('{"choose": true, "skip": false, "none": null}', [("choose", "yes"), ("skip", "no")]),
        ('{"alphas": [1e-06, 10.0], "empty": []}', [("alphas", "1e-06, 10"), ("empty", "none")]),
        ('{"importance": {"sigma_px": 10, "of": {"planted": true}}, "x": {}}',
         [("importance: sigma px", "10"), ("importance: of: planted", "yes")]),
    ],
)  # fmt: skip
def test_each_setting_has_its_words(parameters, said):
    assert settings(parameters) == said


def test_they_stand_in_a_line():
    assert in_a_line('{"canvas": "own", "a": {"b": 1}}') == "canvas own, a: b 1"


def test_a_list_opens_and_holds_no_markup_of_theirs():
    html = listed(json.dumps({"<b>": "</dl><script>"}))
    assert html.count("<") == html.count("</") * 2
    assert "&lt;/dl&gt;&lt;script&gt;" in html
    assert listed("{}") == ""
