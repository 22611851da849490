"""Sweep files that ask for other norms: planned, run, and each norm's tolerance by itself."""

import pytest

from zoo_eval import cli
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

ATTACK = """
[[evaluations]]
kind = "minimal_attack"
stimuli = "own_labels"
attacks = ["{attack}"]
norm = "{norm}"
options = {{ {attack} = {{ {options} }} }}
"""
CHOSEN = (
    ("l2", "ddn", "steps = 4"),
    ("l1", "proximal", "steps = 3, classes = 2"),
    ("l0_values", "greedy", "steps = 4, rounds = 0, classes = 2"),
    ("l0_pixels", "greedy", "steps = 4, rounds = 1, classes = 2"),
)


def written(tiny_sweep, *chosen):
    head = tiny_sweep.read_text().partition("[[evaluations]]")[0]
    head = head.replace('include = ["local/*"]', 'include = ["local/efficientnet"]')
    file = tiny_sweep.with_name("norms.toml")
    parts = (ATTACK.format(norm=n, attack=a, options=o) for n, a, o in chosen)
    file.write_text(head + "".join(parts))
    return str(file)


def test_every_norm_runs_and_has_a_tolerance_of_its_own(tiny_sweep, tmp_path, capsys):
    file = written(tiny_sweep, *CHOSEN)
    assert cli.main(["plan", file]) == 0
    assert "0 refused" in capsys.readouterr().out
    assert cli.main(["sweep", file, "--runner", "local"]) == 0
    connection = connect(Store(str(tmp_path / "store")))
    rows = connection.rows("SELECT * FROM attacks WHERE status = 'found'")
    assert {(row["norm"], row["attack"]) for row in rows} <= {(n, a) for n, a, _ in CHOSEN}
    assert {row["norm"] for row in rows} >= {"l2", "l1"}
    for row in rows:
        assert row["distance"] == row[row["norm"]]
        assert row["l0_pixels"] <= row["l0_values"] <= 3 * row["l0_pixels"]
        assert row["linf"] <= row["l2"] <= row["l1"] * (1 + 1e-12)
    tolerances = connection.rows("SELECT norm, attack FROM tolerances ORDER BY norm")
    assert len(tolerances) == len({row["norm"] for row in tolerances}) == len(CHOSEN)
    # The leaderboard's tolerance is the one in l2, whatever else was run.
    (board,) = connection.rows("SELECT tolerance FROM leaderboard")
    (l2,) = connection.rows("SELECT tolerance FROM tolerances WHERE norm = 'l2'")
    assert board["tolerance"] == l2["tolerance"]


@pytest.mark.parametrize(
    ("norm", "attack", "said"),
    [("l1", "ddn", "in l1: ensemble, proximal"),
     ("l0", "ensemble", "l0_values"),
     ("l0_pixels", "fmn", "in l0_pixels: ensemble, greedy")],
)  # fmt: skip
def test_a_norm_that_is_not_there_is_refused_before_anything_runs(
    tiny_sweep, tmp_path, capsys, norm, attack, said
):
    assert cli.main(["plan", written(tiny_sweep, (norm, attack, "steps = 4"))]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
