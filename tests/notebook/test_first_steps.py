"""docs/first_steps.ipynb: its cells run, show what is stored in it, and its claims hold."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo_eval

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder it ran in, and what each cell shows."""
    folder = tmp_path_factory.mktemp("notebook")
    done = subprocess.run(
        [sys.executable, "-m", "tests.notebook.cells", str(NOTEBOOK)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1]), done.stderr


def stored(cell):
    """The text of what a cell showed when it was saved; None where it showed no value."""
    for output in cell["outputs"]:
        if output["output_type"] == "execute_result":
            return "".join(output["data"]["text/plain"])
    return None


def words(text):
    """A table's words, without its numbers, which may end otherwise elsewhere."""
    return [word for word in text.split() if not re.fullmatch(r"-?\d+\.\d+|NaN", word)]


def test_it_shows_what_is_stored_in_it(ran):
    _, shown, _ = ran
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    for now, cell in zip(shown, CODE, strict=True):
        then = stored(cell)
        assert (now is None) == (then is None), cell["source"]
        if then is not None:
            assert words(now) == words(then)


def test_nothing_in_it_failed_or_warned(ran):
    _, _, errors = ran
    assert "Warning" not in errors
    said = [o for cell in CODE for o in cell["outputs"]]
    assert not [o for o in said if o["output_type"] == "error" or o.get("name") == "stderr"]


def test_the_planted_layer_and_the_trend_are_found(ran):
    folder, _, _ = ran
    results = zoo_eval.open(folder / "results" / "first_steps")
    assert len(results.failures()) == 0
    best = results.sql("SELECT layer FROM best_layer WHERE model = 'local/mine'").df()
    assert best.layer.tolist() == ["net._blocks.8"]
    assert set(results.models().df().source) == {"live"}
    trends = results.sql(
        "SELECT estimate FROM trends WHERE trend = 'accuracy_vs_neural' "
        "AND statistic IN ('spearman_rho', 'pearson_r', 'kendall_tau')"
    ).df()
    assert len(trends) == 3
    assert (trends.estimate > 0).all()


def test_a_table_of_scores_takes_ten_lines_at_most():
    (cell,) = [
        c
        for c in CODE
        if "NeuralFit" in "".join(c["source"]) and "noise" not in "".join(c["source"])
    ]
    call = "".join(cell["source"]).partition("results.sql")[0].splitlines()
    # With the line that asks for the table, and the import.
    assert len(call) + 2 <= 10


def test_it_names_no_machine():
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", NOTEBOOK.read_text())
