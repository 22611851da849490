"""Which ceiling each score is held against, on hand-written (planted) rows."""

import math

import pytest
import torch

from tests.queries.test_views import add, ceiling, neural, rows
from zoo_eval.numerics.rdm_ceilings import nili_lower, nili_upper
from zoo_eval.numerics.rsa import Rdm, compare, mean_rdm
from zoo_eval.store import Store

RATIOS = ("r_over_sqrt_ceiling", "r_over_ceiling", "r2_over_ceiling", "r_over_ceiling_squared")
FIT = {"recording": "it", "recording_digest": "r", "protocol": "nested"}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def fit(store, r, **facts):
    """One fold of one layer: r per target."""
    row = {"fold": 0, "score": sum(r) / len(r), "selection_score": 0.1, "statistic": "pearson_r",
           "r": r, "target_ids": [f"t{i}" for i in range(len(r))]}  # fmt: skip
    add(store, "neural_fit", "neural_scores", [row], layer="l", readout="pls", **FIT | facts)


def subjects(store, scores, *, score=0.5, statistic="spearman_rho", **facts):
    """An RSA over all stimuli."""
    row = {"score": score, "statistic": statistic, "r": scores,
           "target_ids": [f"s{i}" for i in range(len(scores))]}  # fmt: skip
    add(store, "neural_fit", "neural_scores", [row], layer="l", readout="rsa", **FIT | facts)


def bounds(store, lower, upper, *, statistic="spearman_rho", **facts):
    for estimator, value in (("nili_lower", lower), ("nili_upper", upper)):
        row = {"target": "all", "ceiling": value, "estimator": estimator, "scale": "correlation",
               "statistic": statistic}  # fmt: skip
        facts = {**facts, "recording": "it", "recording_digest": "r", "protocol": estimator}
        add(store, "ceilings", "ceilings", [row], model=None, **facts)


def versions_and_seeds(plant, store):
    """Ceilings 0.16 (old version), 0.25 (seed 0), 0.36 (seed 1) and 0.49 (seed 1, begun later)."""
    plant(store, 0.16, version=1, minute=9)
    plant(store, 0.25, version=2, minute=1)
    plant(store, 0.36, version=2, minute=2, seed=1)
    plant(store, 0.49, version=2, minute=3, seed=1, parameters={"n_splits": 20})


# Seed 2 has no ceiling of its own: the newest.
CEILING_OF_SEED = {0: 0.25, 1: 0.49, 2: 0.49}


def test_a_fit_has_one_ceiling_per_target_of_its_own_seed_and_the_newest_version(store):
    versions_and_seeds(lambda store, c, **facts: ceiling(store, [c, c], **facts), store)
    for seed in CEILING_OF_SEED:
        fit(store, [0.2, 0.4], seed=seed)
    found = rows(store, "SELECT seed, target, ceiling FROM neural_targets ORDER BY ALL")
    assert [(row["seed"], row["target"], row["ceiling"]) for row in found] == [
        (seed, target, c) for seed, c in CEILING_OF_SEED.items() for target in ("t0", "t1")
    ]
    for view in ("neural_folds", "best_layer", "best_layer_on_test"):
        found = rows(store, f"SELECT seed, reliability FROM {view} ORDER BY ALL")
        assert [(row["seed"], row["reliability"]) for row in found] == [*CEILING_OF_SEED.items()]


def test_the_ceilings_of_all_targets_are_of_one_trial(store):
    ceiling(store, [0.1, 0.2], minute=1, parameters={"n_splits": 5})
    ceiling(store, [0.3], minute=2)
    found = rows(store, "SELECT target, ceiling FROM current_ceilings")
    assert found == [{"target": "t0", "ceiling": 0.3}]


def test_a_similarity_has_the_bounds_of_its_own_seed_and_the_newest_version(store):
    versions_and_seeds(lambda store, c, **facts: bounds(store, c, 2 * c, **facts), store)
    for seed in CEILING_OF_SEED:
        subjects(store, [0.2, 0.4], seed=seed)
    found = rows(store, "SELECT seed, nili_lower, nili_upper FROM similarities ORDER BY ALL")
    assert [tuple(row.values()) for row in found] == [
        (seed, c, 2 * c) for seed, c in CEILING_OF_SEED.items()
    ]


def test_the_bounds_of_nili_are_those_of_the_mean_over_subjects(store):
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(45, generator=generator, dtype=torch.float64)
    noise = torch.rand(6, 45, generator=generator, dtype=torch.float64)
    rdms = [Rdm(truth + one) for one in noise]
    model = mean_rdm(rdms)
    scores = [compare(model, one, "pearson") for one in rdms]
    pearson = {"statistic": "pearson_r"}
    subjects(store, scores, score=compare(model, mean_rdm(rdms), "pearson"), **pearson)
    bounds(store, nili_lower(rdms, "pearson"), nili_upper(rdms, "pearson"), **pearson)
    (found,) = rows(store, "SELECT * FROM similarities")
    assert found["mean_subject_score"] == pytest.approx(sum(scores) / len(scores))
    assert found["nili_lower"] < found["mean_subject_score"] <= found["nili_upper"] + 1e-3
    assert found["score"] > found["nili_upper"] + 0.05


def test_a_subject_without_a_score_leaves_no_mean_over_subjects(store):
    subjects(store, [0.2, math.nan])
    assert rows(store, "SELECT mean_subject_score AS m FROM similarities") == [{"m": None}]


@pytest.mark.parametrize(
    ("scale", "reliability"), [("reliability", 0.64), ("variance", 0.64), ("correlation", 0.64**2)]
)
def test_without_repetitions_a_fits_ceiling_is_that_of_the_file(store, scale, reliability):
    fit(store, [0.4, 0.4])
    ceiling(store, [0.64, 0.64], "from_file", scale)
    ceiling(store, [0.9, 0.9], "planted_exact")
    (fold,) = rows(store, "SELECT * FROM neural_folds")
    assert (fold["reliability_estimator"], fold["reliability"]) == (
        "from_file", pytest.approx(reliability),
    )  # fmt: skip
    expected = [0.4 / reliability**0.5, 0.4 / reliability, 0.4**2 / reliability]
    assert [fold[name] for name in RATIOS] == pytest.approx([*expected, (0.4 / reliability) ** 2])
    for view in ("best_layer", "best_layer_on_test", "neural_leaderboard"):
        (best,) = rows(store, f"SELECT * FROM {view}")
        assert best["ceiled_score"] == pytest.approx(0.4 / reliability**0.5)
        assert best["reliability_estimator"] == "from_file"


def test_repetitions_outweigh_the_file_where_they_say_anything(store):
    neural(store, "l", [(0.3, 0.1)])
    neural(store, "l", [(0.3, 0.1)], recording_digest="constant")
    for digest, values in (("r", [0.4, None]), ("constant", [None, None])):
        ceiling(store, values, recording_digest=digest)
        ceiling(store, [0.9, 0.9], "from_file", recording_digest=digest, minute=5)
    found = rows(store, "SELECT recording_digest, reliability, reliability_estimator FROM best_layer "
                 "ORDER BY reliability")  # fmt: skip
    assert [tuple(row.values()) for row in found] == [
        ("r", 0.4, "splithalf_spearman_brown"), ("constant", 0.9, "from_file"),
    ]  # fmt: skip


def test_brain_scores_protocol_is_held_against_its_own_ceiling_and_others_never_are(store):
    for protocol in ("nested", "brainscore"):
        neural(store, "l", [(0.3, 0.1)], protocol=protocol)
    chosen = "SELECT protocol, reliability_estimator AS by, reliability AS c FROM neural_folds ORDER BY ALL"
    ceiling(store, [0.81, 0.81], "internal_consistency")
    assert [tuple(row.values()) for row in rows(store, chosen)] == [
        ("brainscore", "internal_consistency", 0.81), ("nested", None, None),
    ]  # fmt: skip
    ceiling(store, [0.64, 0.64])
    assert [tuple(row.values()) for row in rows(store, chosen)] == [
        ("brainscore", "internal_consistency", 0.81), ("nested", "splithalf_spearman_brown", 0.64),
    ]  # fmt: skip


def test_without_it_brain_scores_protocol_takes_split_halves_as_older_stores_have_them(store):
    neural(store, "l", [(0.3, 0.1)], protocol="brainscore")
    ceiling(store, [0.64, 0.64])
    (fold,) = rows(store, "SELECT * FROM neural_folds")
    assert (fold["reliability_estimator"], fold["reliability"]) == (
        "splithalf_spearman_brown",
        0.64,
    )


def test_a_ceiling_that_is_undefined_says_why_beside_the_target(store):
    fit(store, [0.2, 0.4])
    row = {"estimator": "leave_one_out", "scale": "correlation", "target": "t1", "ceiling": None,
           "undefined": "constant responses in repetition 1"}  # fmt: skip
    add(store, "ceilings", "ceilings", [row], model=None, recording="it", recording_digest="r",
        protocol="leave_one_out")  # fmt: skip
    found = rows(store, "SELECT target, undefined_ceiling AS why FROM neural_targets ORDER BY ALL")
    assert [tuple(one.values()) for one in found] == [
        ("t0", None), ("t1", "constant responses in repetition 1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "scale"), [(0.0, "reliability"), (-0.2, "reliability"), (-0.2, "correlation")]
)
def test_a_ceiling_that_is_not_positive_is_shown_but_no_ratio_is_formed(store, value, scale):
    fit(store, [0.4, 0.4])
    ceiling(store, [value, value], "from_file", scale)
    for view in ("neural_folds", "neural_targets"):
        for row in rows(store, f"SELECT * FROM {view}"):
            assert [row[name] for name in RATIOS] == [None] * 4
            assert row.get("ceiling", value) == value
    for view in ("best_layer", "best_layer_on_test"):
        (best,) = rows(store, f"SELECT * FROM {view}")
        assert best["ceiled_score"] is None
        assert best["reliability"] <= 0


def test_every_named_ceiling_is_in_a_view(store):
    ceiling(store, [0.4], "leave_one_out", "correlation")
    row = {"target": "all", "ceiling": 0.6, "estimator": "max_pairwise_target",
           "scale": "correlation"}  # fmt: skip
    add(store, "ceilings", "ceilings", [row], model=None, recording="it", recording_digest="r",
        protocol="max_pairwise_target", seed=3)  # fmt: skip
    found = rows(store, "SELECT estimator, target, scale, ceiling, ceiling_seed FROM current_ceilings "
                 "WHERE seed = 3 ORDER BY estimator")  # fmt: skip
    assert [tuple(row.values()) for row in found] == [
        ("leave_one_out", "t0", "correlation", 0.4, 0),
        ("max_pairwise_target", "all", "correlation", 0.6, 3),
    ]


def test_rows_that_do_not_say_are_of_a_similarity_where_one_is_over_all_stimuli(store):
    facts = {"layer": "l", **FIT}
    one = {"score": 0.5, "statistic": "pearson_r"}
    for readout, mode, folds in (
        ("pls", None, [0, 1]), ("rsa", None, [None, 0]), ("x", "fit", [None, 0]),
        ("y", "similarity", [0]),
    ):  # fmt: skip
        made = [{**one, "fold": fold, "mode": mode} for fold in folds]
        add(store, "neural_fit", "neural_scores", made, readout=readout, **facts)
    found = rows(
        store, "SELECT readout, m.mode FROM neural_modes AS m JOIN trials USING (trial_id)"
    )
    assert {row["readout"]: row["mode"] for row in found} == {
        "pls": "fit", "rsa": "similarity", "x": "fit", "y": "similarity",
    }  # fmt: skip
    folded = rows(store, "SELECT DISTINCT readout, mode FROM best_layer")
    assert {row["readout"]: row["mode"] for row in folded}["rsa"] == "similarity"
