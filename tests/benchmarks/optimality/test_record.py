"""The record: rows survive a kill, what is missing is named, and standings are of the same photos."""

import math
import re

import numpy as np
import pytest
import torch

from benchmarks.optimality import page
from benchmarks.optimality.__main__ import result
from benchmarks.optimality.contenders import ENSEMBLE, Contender, contenders
from benchmarks.optimality.matrix import MATRIX, Planned, gaps, planned
from benchmarks.optimality.networks import Network
from benchmarks.optimality.record import FILE, Gap, Row, Run, add, rows, write
from benchmarks.optimality.standing import best_rival, fields
from zoo_eval.errors import BadInput

RIVAL, OTHER = "adv-lib: ddn", "foolbox: ddn"


def row(attack, photo, l2, model="lite0", within=None):
    run = Run(model, "l2", attack, photo, 0, "")
    least = {"l2": l2, "linf": l2 / 10}
    return Row(
        run, least, (10, 20), within or (math.inf, l2), 8, 7, 2.0, 1.5, None, False, {"a": "1"}
    )


def test_a_row_comes_back_as_it_was(tmp_path):
    kept = [row(RIVAL, 3, 0.25), row(RIVAL, 4, math.inf)]
    for one in kept:
        add(tmp_path / "record.jsonl", one)
    found = rows(tmp_path / "record.jsonl")
    assert [one.run for one in found] == [one.run for one in kept]
    assert [one.least for one in found] == [one.least for one in kept]
    assert found[0].within == [math.inf, 0.25]


def test_a_line_that_was_cut_off_is_run_again(tmp_path):
    file = tmp_path / "record.jsonl"
    add(file, row(RIVAL, 3, 0.25))
    whole = file.read_text()
    file.write_text(whole + whole[:40])
    assert len(rows(file)) == 1
    add(file, row(RIVAL, 4, 0.5))
    assert [one.run.photo for one in rows(file)] == [3, 4]


@pytest.mark.parametrize("line", ["{}", "[1]", "7", "no JSON", '{"run": 3, "model": "<b>\\u0007"}'])
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    file = tmp_path / "record.jsonl"
    file.write_text(f"{line}\n")
    with pytest.raises(BadInput, match=r"record.jsonl, line 1: no row of the record"):
        rows(file)


def test_gaps_are_in_the_file_and_no_rows(tmp_path):
    file = tmp_path / "record.jsonl"
    write(file, [row(RIVAL, 3, 0.25)], [Gap("lite0", "l2", OTHER, (3, 4), "not run")])
    assert len(rows(file)) == 1
    assert '"gap": true' in file.read_text()
    add(file, row(OTHER, 3, 0.5))
    assert [one.run.attack for one in rows(file)] == [RIVAL, OTHER]


def test_every_run_of_the_matrix_has_a_row_or_is_in_a_gap():
    correct = {model: range(5) for model in MATRIX}
    missing = {(one.model, one.norm, one.attack): one for one in gaps([], correct)}
    assert missing["lite0", "l2", RIVAL].photos == [0, 1, 2, 3, 4]
    assert "numba" in missing["lite0", "l2", "foolbox: brendel & bethge"].reason
    setting = next(one.setting for one in contenders("l2") if one.name == RIVAL)
    made = [
        Row(Run("lite0", "l2", RIVAL, photo, 0, setting), {}, (), (), 0, 0, 0, 0, None, False, {})
        for photo in (0, 2)
    ]
    left = [
        one
        for one in gaps(made, correct)
        if (one.model, one.norm, one.attack) == ("lite0", "l2", RIVAL)
    ]
    assert [list(one.photos) for one in left] == [[1, 3, 4]]


def test_standings_are_over_the_photos_that_the_first_all_have():
    found = [
        row(ENSEMBLE, 0, 1.0), row(ENSEMBLE, 1, 3.0), row(ENSEMBLE, 2, 9.0),
        row(RIVAL, 0, 2.0), row(RIVAL, 1, 2.0),
        row(OTHER, 1, 1.5),
    ]  # fmt: skip
    (one,) = fields(found, {"l2": [ENSEMBLE, RIVAL]})
    assert one.photos == [0, 1]
    assert one.partly == {OTHER: 1}
    # What an attack found that is not compared counts in the envelope.
    assert one.least.tolist() == [1.0, 1.5]
    assert one.least_of_rivals.tolist() == [2.0, 1.5]
    ours, rival = sorted(one.standings(), key=lambda each: not each.is_ours)
    # m = 1.5, mean d* = 1.25; ours (1 + 1.5) / 2, the rival's (1.5 + 1.5) / 2.
    assert (ours.optimality, rival.optimality) == (1, 0)
    assert ours.worst_photo == 1
    assert ours.worst_ratio == 2
    assert ours.by_budget == [0, 1]
    assert best_rival(one.standings()) == rival
    # Rivals' envelope: m = 2, mean 1.75, room 0.25; ours min(d, 2) = (1, 2), mean 1.5.
    assert ours.without_ours == pytest.approx(2)


def test_the_envelope_takes_queries_of_attacks_in_other_norms():
    other = Row(
        Run("lite0", "linf", RIVAL, 0, 0, ""),
        {"l2": 0.5, "linf": 0.1},
        (),
        (),
        1,
        1,
        1,
        1,
        None,
        False,
        {},
    )
    found = [row(ENSEMBLE, 0, 1.0), row(ENSEMBLE, 1, 2.0), other]
    (one, *_) = fields(found, {"l2": [ENSEMBLE], "linf": [ENSEMBLE]})
    assert one.least.tolist() == [0.5, 2.0]


def test_the_result_says_null_where_nothing_was_run():
    (one,) = fields([row(ENSEMBLE, 0, 1.0), row(ENSEMBLE, 1, 2.0)], {"l2": [ENSEMBLE]})
    found = result([one], {norm: [ENSEMBLE] for norm in ("l2", "linf", "l1", "l0_values")})
    assert found["lo_l2"] == 1
    assert found["lo_linf"] is None
    assert found["lo_best_rival_l2"] is None
    assert {"lo_l1", "lo_l0", "lo_best_rival_linf", "lo_best_rival_l0"} <= set(found)


def test_photos_are_taken_one_by_one_and_wrong_ones_not_at_all():
    networks = [_network("lite0", (1, 3)), _network("lite1", (2,))]
    contending = [Contender(name, "l2", lambda *_: None, "", name == "a") for name in ("a", "b")]
    found = [
        (one.network.name, one.contender.name, one.photo)
        for one in planned(networks, {"l2": contending})
    ]
    assert found == [
        ("lite0", "a", 1), ("lite1", "a", 2), ("lite0", "a", 3),
        ("lite0", "b", 1), ("lite1", "b", 2), ("lite0", "b", 3),
    ]  # fmt: skip


def _network(name, correct):
    def logits(images):
        mean = images.flatten(1).mean(1)
        return torch.stack([torch.full_like(mean, 0.6), mean], 1)

    return Network(
        name, logits, torch.full((4, 3, 2, 2), 0.5), torch.zeros(4, dtype=torch.long), correct
    )


def test_a_run_that_nobody_could_win_is_a_row_with_no_distance():
    nothing = Contender(
        "adv-lib: idle", "l2", lambda logits, images, labels: logits(images), "", True
    )
    made = Planned(_network("lite0", (1,)), nothing, 1).made((5,))
    assert made.within == [math.inf]
    assert made.n_forwards == 1
    assert '"l2": null' in made.line()


def test_the_page_says_who_loses_what_misses_and_what_is_missing():
    found = [
        row(ENSEMBLE, 0, 1.5), row(ENSEMBLE, 1, 2.0), row(RIVAL, 0, 1.0), row(RIVAL, 1, 2.0),
        row(OTHER, 0, 1.0),
    ]  # fmt: skip
    missing = [Gap("lite0", "l2", OTHER, (1,), "not run")]
    compared = fields(found, {"l2": [ENSEMBLE, RIVAL]})
    said = page.text(compared, missing, found)
    assert "Measured with a 1 (5 runs)." in said
    assert f"**Ours lose to `{RIVAL}`.**" in said
    assert f"`{ENSEMBLE}` misses its aim of 0.995." in said
    assert f"in the envelope only: {OTHER} (1 photos)" in said
    assert f"- l2, lite0, 1 photos, not run: {OTHER}." in said
    assert f"| {RIVAL} | 1.0000 | 1.0000 | 1.0000 | 1.000 | 1.000 | 0 | 15 | 1.5 |" in said
    (drawn,) = [page.figure(compared)]
    assert drawn.count("<polyline") == 1


def test_nobody_is_judged_on_one_photo():
    (one,) = fields([row(ENSEMBLE, 0, 1.5), row(RIVAL, 0, 1.0)], {"l2": [ENSEMBLE, RIVAL]})
    (said,) = page.verdicts([one])
    assert "nobody is judged" in said
    assert "lose" not in said
    assert "misses" not in said


def test_hostile_names_are_harmless_in_the_figure():
    found = [row("adv-lib: </script><b>", photo, 1.0 + photo) for photo in (0, 1)]
    drawn = page.figure(fields(found, {"l2": ["adv-lib: </script><b>"]}))
    assert "<b>" not in drawn
    assert "</script>" not in drawn


def test_the_committed_record_is_what_the_page_says():
    found = rows(FILE)
    for one in found:
        assert one.n_forwards + one.n_backwards <= one.budgets[-1]
        assert list(one.within) == sorted(one.within, reverse=True)
        if np.isfinite(one.within[-1]):
            assert one.within[-1] == pytest.approx(one.least[one.run.norm], rel=1e-6)
    (said,) = re.findall(r"^Measured with .*$", (page.DOCS / "record.md").read_text(), re.MULTILINE)
    assert sum(map(int, re.findall(r"\((\d+) runs\)", said))) == len(found)
