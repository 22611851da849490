"""Views of what is known of targets, and of published splits' ceilings, over planted rows."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.planted_rows import ledger_row, result_row
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.trial import Trial

RECORDING = {
    "recording": "it",
    "recording_digest": "r",
    "stimuli": "s",
    "stimuli_digest": "s",
    "seed": 0,
}
REGIONS = {"a": ("IT", "F"), "b": ("V4", "F"), "c": ("IT", "F"), "d": ("IT", "N")}
R = {"a": 0.2, "b": 0.9, "c": 0.4, "d": float("nan")}
CEILINGS = {"a": 0.25, "b": 0.81, "c": 0.64, "d": 0.5}


def trial(evaluation, **given):
    return Trial(evaluation, 1, given.pop("protocol", "nested"), **{**RECORDING, **given})


def fitted(split=None, model="m"):
    """A fit's trial and row, one fold."""
    known = {"parameters": {"split": split, "split_digest": "x"} if split else {}}
    of_model = {"model": model, "weights_digest": "w", "transform": {}, "numerics": {}}
    own = trial("neural_fit", layer="l", readout="ridge", **of_model, **known)
    row = result_row(
        "neural_scores", own, recording="it", layer="l", readout="ridge", mode="fit",
        protocol="nested", statistic="pearson_r", fold=0, score=0.4, r=list(R.values()),
        target_ids=list(R), n_constant_targets=1, undefined=["", "", "", "constant responses"],
    )  # fmt: skip
    return own, {"neural_scores": [row]}


def ceilings(split=None, factor=1.0):
    known = {"parameters": {"split": split, "split_digest": "x"} if split else {}}
    own = trial("ceilings", protocol="splithalf_spearman_brown", **known)
    rows = [
        result_row(
            "ceilings", own, recording="it", recording_digest="r", target=target, ceiling=c * factor,
            estimator="splithalf_spearman_brown", statistic="pearson_r", scale="reliability",
            split=split,
        )
        for target, c in CEILINGS.items()
    ]  # fmt: skip
    return own, {"ceilings": rows}


def targets(regions=REGIONS, digest="t"):
    own = trial("targets", protocol="as_published", parameters={"targets_digest": digest})
    rows = [
        result_row(
            "targets", own, recording="it", recording_digest="r", target=target, region=region,
            subject=subject, known=json.dumps({"depth_um": number}),
        )
        for number, (target, (region, subject)) in enumerate(regions.items())
    ]  # fmt: skip
    return own, {"targets": rows}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def commit(store, *everything):
    for minute, (own, rows) in enumerate(everything):
        store.commit(rows, [ledger_row(own, minute=minute)])


def test_regions_of_subjects_are_medians_over_their_targets(store):
    commit(store, fitted(), ceilings(), targets())
    found = {
        (row["region"], row["subject"]): row
        for row in connect(store).rows("SELECT * FROM neural_regions")
    }
    assert found.keys() == {("IT", "F"), ("V4", "F"), ("IT", "N")}
    row = found["IT", "F"]
    assert (row["n_targets"], row["n_scored"], row["layer"], row["model"]) == (2, 2, "l", "m")
    assert_allclose(row["score"], 0.3, rtol=1e-6)
    assert_allclose(row["ceiled_score"], np.median([0.2 / 0.5, 0.4 / 0.8]), rtol=1e-6)
    assert (found["IT", "N"]["n_targets"], found["IT", "N"]["n_scored"]) == (1, 0)
    assert found["IT", "N"]["score"] is None


def test_a_recording_whose_files_say_nothing_of_targets_is_one_region(store):
    commit(store, fitted(), ceilings())
    (row,) = connect(store).rows("SELECT * FROM neural_regions")
    assert (row["region"], row["subject"], row["n_targets"], row["n_scored"]) == (None, None, 4, 3)
    assert_allclose(row["score"], 0.4, rtol=1e-6)


def test_what_the_files_said_last_counts(store):
    moved = {target: ("TEO", subject) for target, (_, subject) in REGIONS.items()}
    commit(store, targets(), targets(moved, "later"))
    found = connect(store).rows("SELECT target, region, known ->> '$.depth_um' AS depth FROM current_targets ORDER BY ALL")  # fmt: skip
    assert [tuple(row.values()) for row in found] == [
        ("a", "TEO", "0"), ("b", "TEO", "1"), ("c", "TEO", "2"), ("d", "TEO", "3"),
    ]  # fmt: skip


@pytest.mark.parametrize("split", [None, "tau"])
def test_scores_of_a_split_are_held_against_its_own_ceilings(store, split):
    commit(store, fitted(), fitted("tau"), ceilings(), ceilings("tau", 0.25))
    factor = 0.25 if split else 1
    condition = f"json_extract_string(parameters, '$.split') IS NOT DISTINCT FROM {'NULL' if split is None else repr(split)}"  # fmt: skip
    found = connect(store).rows(f"SELECT target, ceiling FROM neural_targets WHERE {condition} ORDER BY ALL")  # fmt: skip
    assert_allclose([row["ceiling"] for row in found], [c * factor for c in CEILINGS.values()])
    (fold,) = connect(store).rows(f"SELECT reliability FROM neural_folds WHERE {condition}")
    assert_allclose(fold["reliability"], np.median(list(CEILINGS.values())) * factor)


def test_scores_of_a_split_without_its_ceilings_have_none(store):
    commit(store, fitted("tau"), ceilings())
    assert {row["ceiling"] for row in connect(store).rows("SELECT ceiling FROM neural_targets")} == {None}  # fmt: skip
