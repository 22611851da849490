"""What the views say of alignment and of protocols, on hand-written (planted) rows."""

import math

import numpy as np
import pytest

from tests.queries.test_views import accuracy, add, gate
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

HUMAN = {"importance": "clickme", "importance_digest": "i"}
PARAMETERS = {"decision": "argmax", "canvas": "own", "importance": {"planted": False}}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def rows(store, sql):
    return connect(store).rows(sql)


def align(store, values, *, method="ddn", reduction="abs_of_mean", model="a", null=0.1, ceiling=0.5,
          published=None, evaluation="minimal_attack", n_null=39, **facts):  # fmt: skip
    """One row per value; None where undefined."""
    made = [
        {"stimulus_id": str(i), "method": method, "channel_reduction": reduction, "spearman": value,
         "published_reduction": published, "null_spearman": null, "null_high": 0.3,
         "n_null": n_null, "human_ceiling": ceiling}
        for i, value in enumerate(values)
    ]  # fmt: skip
    facts = {"attack": method, "parameters": PARAMETERS, "protocol": "corrected", **HUMAN, **facts}
    add(store, evaluation, "alignment", made, model=model, **facts)


def attack(store, distances, *, model="a", protocol="corrected", name="ddn", flags=(), **facts):
    """One row per distance, inf where the bound was hit; lengths in pixels are half of it."""
    made = []
    for i, distance in enumerate(distances):
        found = {"status": "found", "distance": distance, "l2": distance / 2}
        made.append({
            "stimulus_id": str(i), "norm": "l2", "flags": list(flags) if i % 2 else [],
            **(found if distance < math.inf else {"status": "bound_hit"}),
        })  # fmt: skip
    facts = {"parameters": PARAMETERS, **HUMAN, **facts}
    add(store, "minimal_attack", "attacks", made, model=model, attack=name, protocol=protocol, **facts)  # fmt: skip


def test_of_too_few_other_maps_no_share_is_above_their_quantile(store):
    align(store, [0.2, 0.6], n_null=38)
    (row,) = rows(store, "SELECT * FROM alignments")
    assert row["share_above_null"] is None
    assert row["alignment_above_null"] == pytest.approx(0.3)


def test_alignment_stands_beside_its_null_its_ceiling_and_its_error(store):
    values = [0.2, 0.6, None, 0.4]
    align(store, values)
    (row,) = rows(store, "SELECT * FROM alignments")
    known = [0.2, 0.6, 0.4]
    assert row["alignment"] == pytest.approx(np.mean(known))
    assert row["standard_error"] == pytest.approx(np.std(known, ddof=1) / 3**0.5)
    assert row["null_alignment"] == pytest.approx(0.1)
    assert row["alignment_above_null"] == pytest.approx(np.mean(known) - 0.1)
    assert row["share_above_null"] == pytest.approx(2 / 3)
    assert row["ceiled_alignment"] == pytest.approx(np.mean(known) / 0.5)
    assert (row["n_images"], row["n_undefined"]) == (3, 1)
    assert (row["importance"], row["human_ceiling"], row["planted"]) == ("clickme", 0.5, False)


def test_without_a_ceiling_only_the_ceiled_alignment_is_missing(store):
    align(store, [0.2], ceiling=None)
    (row,) = rows(store, "SELECT alignment, ceiled_alignment FROM alignments")
    assert row == {"alignment": pytest.approx(0.2), "ceiled_alignment": None}


def test_other_maps_methods_and_reductions_are_never_mixed(store):
    both = [
        {"method": "ddn", "channel_reduction": r, "spearman": 0.1} for r in ("abs_of_mean", "l2")
    ]
    add(store, "minimal_attack", "alignment", both, **HUMAN)
    align(store, [0.3], importance_digest="other")
    align(store, [0.4], parameters={**PARAMETERS, "canvas": 224})
    align(store, [0.5], method="input_gradient", attack=None, evaluation="human_alignment")
    assert [row["n_images"] for row in rows(store, "SELECT n_images FROM alignments")] == [1] * 5


def test_rows_say_which_reduction_was_published_for_their_method(store):
    for reduction in ("abs_of_mean", "abs_max", "l2"):
        align(store, [0.1, None], method="own", reduction=reduction, published=reduction == "l2",
              seed=len(reduction))  # fmt: skip
    marked = rows(store, "SELECT channel_reduction FROM alignments WHERE published_reduction")
    assert marked == [{"channel_reduction": "l2"}]


def test_the_published_reduction_of_older_rows_is_that_of_their_protocol(store):
    for method, evaluation, protocol in (
        ("ddn", "minimal_attack", "corrected"),
        ("input_gradient", "human_alignment", "standard"),
        ("fmn", "minimal_attack", "feng2025_release"),
    ):
        for reduction in ("abs_of_mean", "abs_max", "l2", "abs_of_max"):
            align(store, [0.1], method=method, reduction=reduction, evaluation=evaluation,
                  protocol=protocol, seed=len(reduction))  # fmt: skip
    marked = rows(store, "SELECT method, channel_reduction FROM alignments WHERE published_reduction ORDER BY method")  # fmt: skip
    assert [(r["method"], r["channel_reduction"]) for r in marked] == [
        ("ddn", "abs_of_mean"), ("fmn", "abs_of_max"), ("input_gradient", "abs_max"),
    ]  # fmt: skip


def test_planted_maps_are_called_planted(store):
    align(store, [0.1], parameters={"importance": {"planted": True}})
    assert rows(store, "SELECT planted FROM alignments") == [{"planted": True}]


def test_accuracy_is_set_against_alignment_of_each_kind(store):
    for model, top1 in (("a", 0.5), ("b", 0.7)):
        accuracy(store, model, top1)
        align(store, [top1 / 2], model=model)
        align(store, [None], model=model, reduction="l2", seed=1)
    found = rows(store, "SELECT * FROM accuracy_vs_alignment ORDER BY model")
    assert [(row["top1"], row["alignment"]) for row in found] == [(0.5, 0.25), (0.7, 0.35)]


def test_maps_do_not_count_an_attack_twice(store):
    attack(store, [0.1, 0.3])
    without = {k: v for k, v in PARAMETERS.items() if k != "importance"}
    attack(store, [0.1, 0.3], importance=None, importance_digest=None, parameters=without)
    found = rows(store, "SELECT n_found, n_common, tolerance_common FROM tolerances")
    assert found == [{"n_found": 2, "n_common": 2, "tolerance_common": pytest.approx(0.2)}] * 2


def test_a_mean_over_what_was_found_is_beside_the_censored_median(store):
    attack(store, [0.1, 0.5, math.inf, math.inf])
    (row,) = rows(store, "SELECT * FROM tolerances")
    assert row["tolerance"] == math.inf  # halfway from 0.5 to infinity
    assert row["median_found"] == row["mean_found"] == pytest.approx(0.3)
    assert row["mean_l2"] == pytest.approx(0.15)
    assert row["bound_hit_share"] == 0.5


def test_protocols_stand_side_by_side(store):
    attack(store, [0.1, 0.2, 0.3])
    attack(store, [0.3, 0.4, 0.5], name="deepfool")
    attack(store, [1.0, 2.0, math.inf], name="l2_pgd_release", protocol="linsley2023_release",
           flags=["constant_radius"])  # fmt: skip
    attack(store, [3.0, 3.0, 3.0], name="foolbox_fmn_release", protocol="feng2025_release",
           parameters={**PARAMETERS, "decision": "animate"})  # fmt: skip
    align(store, [0.2, 0.4, None], method="l2_pgd_release", protocol="linsley2023_release")
    align(store, [0.9, 0.9, 0.9], method="l2_pgd_release", protocol="linsley2023_release",
          reduction="l2", seed=1)  # fmt: skip
    found = rows(store, "SELECT * FROM protocols")
    by_attack = {row["attack"]: row for row in found}
    assert len(found) == 4
    released = by_attack["l2_pgd_release"]
    assert released["tolerance"] == 2
    assert (released["mean_found"], released["mean_l2"]) == (1.5, 0.75)
    assert released["times_corrected"] == pytest.approx(2 / 0.2)
    assert released["bound_hit_share"] == pytest.approx(1 / 3)
    assert (released["alignment"], released["n_aligned"]) == (pytest.approx(0.3), 2)
    assert released["channel_reduction"] == "abs_of_mean"
    assert dict(released["flags"]) == {"constant_radius": pytest.approx(1 / 3)}
    # A decision that the corrected protocol was not run for is compared with nothing.
    assert by_attack["foolbox_fmn_release"]["times_corrected"] is None
    assert by_attack["ddn"]["times_corrected"] == 1
    assert by_attack["deepfool"]["times_corrected"] == pytest.approx(2)
    assert by_attack["ddn"]["flags"] is None


def test_a_protocol_is_set_against_corrected_attacks_for_its_own_decision_and_canvas(store):
    own, wide = PARAMETERS, {**PARAMETERS, "canvas": 224}
    animate = {**PARAMETERS, "decision": "animate"}
    attack(store, [0.4], parameters=own)
    attack(store, [0.1], parameters=wide)
    attack(store, [0.8], parameters=animate)
    # A name that no view knows: what is not `corrected` is a protocol beside it.
    attack(store, [2.0], protocol="defect_anything", flags=["anything"], parameters=own)
    attack(store, [2.0], protocol="feng2025_release", parameters=animate)
    attack(store, [2.0], protocol="elsewhere", parameters={**animate, "canvas": 224})
    align(store, [0.3], protocol="defect_anything", parameters=own)
    found = rows(store, "SELECT * FROM protocols WHERE protocol <> 'corrected'")
    times = {
        row["protocol"]: (row["decision"], row["canvas"], row["times_corrected"]) for row in found
    }
    assert times == {
        "defect_anything": ("argmax", "own", pytest.approx(2.0 / 0.4)),
        "feng2025_release": ("animate", "own", pytest.approx(2.0 / 0.8)),
        "elsewhere": ("animate", "224", None),
    }
    (single,) = [row for row in found if row["protocol"] == "defect_anything"]
    assert (single["alignment"], single["channel_reduction"]) == (pytest.approx(0.3), "abs_of_mean")


def test_the_leaderboard_leaves_released_protocols_and_other_norms_out(store):
    gate(store)
    attack(store, [0.4])
    attack(store, [0.001], name="l2_pgd_sphere", protocol="linsley2023_paper")
    attack(store, [0.001], name="l2_pgd_sphere", protocol="defect_constant_radius")
    add(store, "minimal_attack", "attacks", [{"status": "found", "norm": "linf", "distance": 0.002}],
        attack="deepfool", protocol="corrected", parameters={"norm": "linf"})  # fmt: skip
    align(store, [0.7], method="l2_pgd_sphere", protocol="linsley2023_paper")
    align(store, [0.3], method="deepfool")
    align(store, [0.2])
    align(store, [0.6], method="input_gradient", reduction="abs_max", attack=None, evaluation="human_alignment")  # fmt: skip
    (row,) = rows(store, "SELECT * FROM leaderboard")
    assert (row["tolerance"], row["tolerance_attack"]) == (0.4, "ddn")
    assert (row["alignment"], row["alignment_method"]) == (0.2, "ddn")
    assert (row["null_alignment"], row["ceiled_alignment"]) == (0.1, 0.4)


def test_without_attacks_the_leaderboard_shows_the_gradients_alignment(store):
    gate(store)
    for method, value in (("smooth_grad", 0.9), ("input_gradient", 0.6)):
        align(store, [value], method=method, reduction="abs_max", attack=None, protocol="standard",
              evaluation="human_alignment", parameters={"method": method})  # fmt: skip
    (row,) = rows(store, "SELECT alignment, alignment_method FROM leaderboard")
    assert row == {"alignment": 0.6, "alignment_method": "input_gradient"}


def test_a_human_ceiling_that_is_not_positive_is_no_ratio(store):
    align(store, [0.2, 0.4], ceiling=0.0)
    (row,) = rows(store, "SELECT alignment, ceiled_alignment FROM alignments")
    assert row == {"alignment": pytest.approx(0.3), "ceiled_alignment": None}


def test_an_infinite_tolerance_is_no_multiple_of_another(store):
    attack(store, [math.inf, math.inf])
    (row,) = rows(store, "SELECT corrected_tolerance, times_corrected FROM protocols")
    assert row == {"corrected_tolerance": math.inf, "times_corrected": None}
