"""The shipped questions' answers, reckoned again with pandas, NumPy and SciPy from the raw rows."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.planted_rows import failure
from tests.queries.zoo import LAYERS, TARGETS, Zoo, planted
from zoo_eval.queries.connection import connect
from zoo_eval.queries.questions import question
from zoo_eval.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return planted(Store(str(tmp_path_factory.mktemp("zoo") / "store"), create=True), n_models=12)


@pytest.fixture(scope="module")
def asked(store):
    connection = connect(store)
    return lambda name: connection.query(question(name).sql).to_pandas()


@pytest.fixture(scope="module")
def cards(store):
    return store.read("models").to_pandas().set_index("model")


@pytest.fixture(scope="module")
def top1(store):
    return store.read("accuracy").to_pandas().set_index("model").top1


@pytest.fixture(scope="module")
def folds(store):
    return store.read("neural_scores").to_pandas()


@pytest.fixture(scope="module")
def best(folds):
    """By recording, readout and model: mode, mean score and mean selection score of each fold's choice."""
    best = folds.sort_values("selection_score", ascending=False)
    keys = ["recording", "readout", "model"]
    best = best.groupby([*keys, "fold"]).first().groupby(keys)
    return best.agg({"score": "mean", "selection_score": "mean", "mode": "first"})


def rho(a, b):
    """Spearman's; None below three pairs, and where one is constant."""
    a, b = np.asarray(a), np.asarray(b)
    if len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return stats.spearmanr(a, b).statistic


def same(found, expected):
    assert (found is None or math.isnan(found)) if expected is None else found == pytest.approx(expected)  # fmt: skip


@pytest.mark.parametrize("by", ["family", "year"])
def test_accuracy_and_score_by_group(asked, best, cards, top1, by):
    found = asked(f"accuracy_and_score_by_{by}")
    n_rows = 0
    forward = best[best["mode"] != "reverse"].reset_index()
    forward[by] = forward.model.map(cards[by])
    for (recording, readout, group), some in forward.groupby(["recording", "readout", by], dropna=False):  # fmt: skip
        there = found.recording.eq(recording) & found.readout.eq(readout)
        (row,) = found[there & (found[by].isna() if pd.isna(group) else found[by].eq(group))].to_dict("records")  # fmt: skip
        accuracy = some.model.map(top1)
        assert row["n_models"] == len(some)
        assert row["median_top1"] == pytest.approx(accuracy.median())
        assert row["median_score"] == pytest.approx(some.score.median())
        assert row["best_score"] == pytest.approx(some.score.max())
        same(row["spearman_rho"], rho(accuracy, some.score))
        n_rows += 1
    assert n_rows == len(found) >= 12


def test_scaling_in_parameters_leaves_out_graded_models(asked, best, cards, top1):
    found = asked("scaling_in_parameters")
    some = best[best["mode"] != "reverse"].reset_index()
    some = some[~some.model.map(cards.graded_from.notna())]
    assert "m7" not in set(some.model)
    some["pretraining"] = some.model.map(cards.pretraining).fillna("none")
    some["size"] = np.log10(some.model.map(cards.n_params).astype(float))
    found["pretraining"] = found.pretraining.fillna("none")
    found = found.set_index(["recording", "readout", "pretraining"])
    slopes = 0
    for key, group in some.groupby(["recording", "readout", "pretraining"]):
        row = found.loc[key]
        assert (row.n_models, row.n_families) == (
            len(group),
            group.model.map(cards.family).nunique(),
        )
        same(row.spearman_rho, rho(group["size"], group.score))
        if len(group) >= 3:
            slopes += 1
            assert row.score_per_tenfold == pytest.approx(
                stats.linregress(group["size"], group.score).slope
            )
            accuracy = group.model.map(top1)
            assert row.top1_per_tenfold == pytest.approx(
                stats.linregress(group["size"], accuracy).slope
            )
    assert slopes >= 4


def test_scaling_in_data_compares_within_architectures(asked, best, cards):
    found = asked("scaling_in_data")
    some = best[best["mode"] != "reverse"].reset_index()
    some = some[~some.model.map(cards.graded_from.notna())]
    some["pretraining"] = some.model.map(cards.pretraining)
    some["architecture"] = some.model.map(cards.architecture)
    gains = 0
    for _, row in found.iterrows():
        group = some[some.recording.eq(row.recording) & some.readout.eq(row.readout)]
        assert row.usual == "ImageNet-1k"
        own = group[group.pretraining.isna() if pd.isna(row.pretraining) else group.pretraining == row.pretraining]  # fmt: skip
        assert row.n_models == len(own)
        assert row.median_score == pytest.approx(own.score.median())
        usual = group[group.pretraining == row.usual].groupby("architecture").score.mean()
        gain = (own.groupby("architecture").score.mean() - usual).dropna()
        if pd.isna(row.pretraining) or row.pretraining == row.usual:
            assert (pd.isna(row.gain_over_usual), row.n_architectures) == (True, 0)
        else:
            gains += 1
            assert row.n_architectures == len(gain) > 1
            assert row.gain_over_usual == pytest.approx(gain.mean())
    assert gains >= 3


def test_layer_profiles(asked, folds):
    found = asked("layer_profile").set_index(["recording", "readout", "model", "layer"])
    forward = folds[folds["mode"] != "reverse"]
    expected = forward.groupby(["recording", "readout", "model", "layer"]).score.mean()
    assert len(found) == len(expected)
    highest = expected.groupby(["recording", "readout", "model"]).max()
    for key, score in expected.items():
        row = found.loc[key]
        assert row.score == pytest.approx(score)
        assert row.share_of_best == pytest.approx(score / highest[key[:3]])
        assert (row.depth, row.n_folds) == (LAYERS[key[3]], 3)


def test_depth_profiles(asked, folds):
    found = asked("depth_profile").set_index(["recording", "readout", "from_depth"])
    forward = folds[folds["mode"] != "reverse"].copy()
    keys = ["recording", "readout", "model", "layer"]
    means = forward.groupby(keys)[["score", "selection_score"]].mean().reset_index()
    means["tenth"] = [
        {"stem": 0, "middle": 0.5, "late": 0.8, "head": 0.9}[one] for one in means.layer
    ]
    chosen = means.loc[means.groupby(keys[:3]).selection_score.idxmax()]
    for key, some in means.groupby(["recording", "readout", "tenth"]):
        row = found.loc[key]
        assert row.n_models == row.n_layers == len(some)
        expected = np.quantile(some.score, [0.25, 0.5, 0.75])
        assert [row.lower_quartile, row.median_score, row.upper_quartile] == pytest.approx(expected)
        there = chosen[["recording", "readout", "tenth"]].apply(tuple, axis=1) == key
        assert row.n_best == there.sum()
    assert found.n_best.sum() == len(chosen)


def test_the_best_layer_of_a_region_is_chosen_by_the_other_folds(asked, folds):
    found = asked("best_layer_per_region").set_index(["recording", "region", "readout", "model"])
    names, n_rows = np.array(list(TARGETS.values())), 0
    fits = folds[(folds["mode"] == "fit") & folds.recording.eq("it")]
    for (readout, model), some in fits.groupby(["readout", "model"]):
        for region in ("V4", "IT"):
            values = (r[names == region] for r in some.r)
            finite = [one[np.isfinite(one)] for one in values]
            table = some.assign(value=[np.median(one) if len(one) else np.nan for one in finite])
            table = table.pivot_table(index="fold", columns="layer", values="value", dropna=False)
            choices, scores = [], []
            for fold in table.index:
                layer = table.drop(index=fold).mean().idxmax()
                choices.append(layer)
                scores.append(table.loc[fold, layer])
            row = found.loc["it", region, readout, model]
            assert list(row.layer_per_fold) == choices
            assert row.score == pytest.approx(np.nanmean(scores))
            assert row.layer in pd.Series(choices).mode().tolist()
            assert row.depth == LAYERS[row.layer]
            n_rows += 1
    # The other recording names no regions: its own scores count, as they are.
    other = folds[folds.recording.eq("v4")]
    for model, some in other.groupby("model"):
        table = some.pivot_table(index="fold", columns="layer", values="score")
        scores = [table.loc[f, table.drop(index=f).mean().idxmax()] for f in table.index]
        row = found[found.index.get_level_values("region").isna()].xs(model, level="model").iloc[0]
        assert row.score == pytest.approx(np.mean(scores))
        n_rows += 1
    assert n_rows == len(found)


@pytest.fixture(scope="module")
def tolerances(store):
    """The middle of each model's distances, bound hits infinitely far."""
    attacks = store.read("attacks").to_pandas()
    middles = {}
    for model, some in attacks.groupby("model"):
        ordered = sorted(some.distance.fillna(math.inf))
        middles[model] = (ordered[2] + ordered[3]) / 2
    return pd.Series(middles)


@pytest.fixture(scope="module")
def alignments(store):
    return store.read("alignment").to_pandas().groupby("model").spearman.mean()


def test_tolerance_vs_alignment(asked, tolerances, alignments):
    found = asked("tolerance_vs_alignment").set_index("model").loc[tolerances.index]
    assert np.isinf(tolerances).any()
    assert found.tolerance.tolist() == pytest.approx(tolerances.tolist())
    assert found.alignment.tolist() == pytest.approx(alignments[tolerances.index].tolist())
    assert found.tolerance_rank.tolist() == stats.rankdata(-tolerances).tolist()
    assert found.alignment_rank.tolist() == stats.rankdata(-alignments[tolerances.index]).tolist()
    expected = stats.spearmanr(stats.rankdata(tolerances), alignments[tolerances.index]).statistic
    assert found.spearman_rho.tolist() == pytest.approx([expected] * len(found))
    assert set(found.n_infinite_tolerances) == {np.isinf(tolerances).sum()}


def test_recordings_disagree_by_ranks(asked, best):
    found = asked("recording_disagreement").set_index("model")
    fits = best[best["mode"] == "fit"].reset_index()
    chosen = fits.loc[fits.groupby(["recording", "model"]).selection_score.idxmax()]
    scores = chosen.pivot_table(index="model", columns="recording", values="score").loc[found.index]
    ranks = {one: stats.rankdata(-scores[one]) for one in ("it", "v4")}
    assert found["rank"].tolist() == ranks["it"].tolist()
    assert found.other_rank.tolist() == ranks["v4"].tolist()
    assert found.difference.tolist() == (ranks["it"] - ranks["v4"]).tolist()
    assert found.share_of_models.tolist() == pytest.approx(abs(ranks["it"] - ranks["v4"]) / 11)
    assert found.share_of_models.is_monotonic_decreasing
    expected = stats.spearmanr(scores["it"], scores["v4"]).statistic
    assert found.spearman_rho.tolist() == pytest.approx([expected] * 12)


def test_every_pair_of_evaluations_is_correlated(asked, best, top1, tolerances, alignments, store):
    spatial = (
        store.read("spatial_scores").to_pandas().sort_values("selection_score", ascending=False)
    )
    spatial = spatial.groupby(["model", "stimulus_id"]).first().groupby("model").score.mean()
    measured = {
        ("accuracy", "photos", None): top1,
        ("spatial", "maps", None): spatial,
        ("tolerance", "photos", "ddn"): tolerances,
        ("alignment", "maps", "ddn"): alignments,
    }
    for (recording, readout), some in best.groupby(["recording", "readout"]):
        by_model = some.droplevel(["recording", "readout"])
        measured[some["mode"].iloc[0], recording, readout] = by_model.score
    found = {
        ((r["kind"], r["input"], r["readout"]), (r["other_kind"], r["other_input"], r["other_readout"])): r
        for r in asked("evaluation_agreement").replace({np.nan: None}).to_dict("records")
    }  # fmt: skip
    assert len(measured) == 9
    assert len(found) == 36
    assert {("fit", "it", "pls"), ("reverse", "it", "reverse_pls"), ("similarity", "it", "rsa")} < measured.keys()  # fmt: skip
    for a, b in itertools.combinations(measured, 2):
        row = found[(a, b) if (a, b) in found else (b, a)]
        values = [stats.rankdata(one.loc[top1.index]) for one in (measured[a], measured[b])]
        assert row["spearman_rho"] == pytest.approx(stats.spearmanr(*values).statistic)
        assert (row["n_models"], row["n_excluded"]) == (12, 0)
    first = next(iter(found))
    assert {first[0][0], first[1][0]} != {"accuracy"}
    setting = json.loads(found[("fit", "it", "pls"), ("reverse", "it", "reverse_pls")]["setting"])
    assert (setting["protocol"], setting["recording_digest"]) == ("nested", "r")


# --- of trials ----------------------------------------------------------------------------------


@pytest.fixture
def swept(tmp_path):
    """Two models: one with failures, a repeated trial, old versions; one that was refused."""
    zoo = Zoo(Store(str(tmp_path / "store"), create=True))
    rate = {"images_per_s": 10.0, "seconds": 2.0, "peak_host_bytes": 7, "peak_gpu_bytes": 3}
    zoo.card("a")
    zoo.add("accuracy", "accuracy", model="a", ledger=rate)
    zoo.add("accuracy", "accuracy", model="a", seed=1, ledger={**rate, "images_per_s": 40.0, "seconds": 1.0})  # fmt: skip
    broken = {**failure("no memory"), "failure_class": "host_memory", "seconds": 5.0}
    zoo.add("neural_fit", "neural_scores", model="a", layer="x", ledger={**broken, "peak_host_bytes": 99})  # fmt: skip
    zoo.add("neural_fit", "neural_scores", model="a", layer="y", ledger={**failure("cut"), "failure_class": "host_memory"})  # fmt: skip
    zoo.add("features", "features", [{"layer": "x", "vector": []}], model="a", version=1)
    zoo.add("features", "features", [{"layer": "x", "vector": []}], model="b", version=2)
    refused = {**failure("no head", "refused"), "failure_class": "refusal", "seconds": 0.0}
    zoo.add(
        "accuracy", "accuracy", model="b", protocol="refused", weights_digest=None, ledger=refused
    )
    zoo.add(
        "ceilings", "ceilings", (), model=None, recording="it", ledger=failure("no repetitions")
    )
    store = zoo.commit()
    # The same trial again, which now ends well.
    again = Zoo(store)
    again.add("neural_fit", "neural_scores", [{"layer": "x", "fold": 0}], model="a", layer="x", ledger={"attempt": 2, "minute": 9, "seconds": 3.0})  # fmt: skip
    return again.commit()


def answers(store, name):
    return connect(store).rows(question(name).sql)


def test_cost_tells_what_was_spent_and_what_was_lost(swept):
    trials = swept.read("trials").to_pandas()
    trials = trials[trials.model.notna() & trials.status.ne("refused")]
    found = {(r["model"], r["evaluation"]): r for r in answers(swept, "cost_per_model")}
    for key, some in trials.groupby(["model", "evaluation"]):
        row, done = found.pop(key), some[some.status == "ok"]
        assert row["seconds"] == done.seconds.sum()
        assert row["lost_seconds"] == some[some.status == "failed"].seconds.sum()
        assert row["n_trials"] == done.trial_id.nunique()
        assert row["peak_host_bytes"] == some.peak_host_bytes.max()
    assert not found
    row = next(r for r in answers(swept, "cost_per_model") if r["evaluation"] == "accuracy")
    assert (row["images_per_s"], row["peak_gpu_bytes"], row["n_trials"]) == (20.0, 3, 2)
    row = next(r for r in answers(swept, "cost_per_model") if r["evaluation"] == "neural_fit")
    assert (row["lost_seconds"], row["n_failed_attempts"], row["images_per_s"]) == (6.0, 2, None)


def test_failures_are_counted_by_class_and_those_that_were_mended_are_gone(swept):
    found = [
        (r["status"], r["failure_class"], r["evaluation"], r["model"], r["n_trials"], r["message"])
        for r in answers(swept, "failures_by_class")
    ]
    assert sorted(found, key=str) == sorted(
        [
            ("failed", "host_memory", "neural_fit", "a", 1, "cut"),
            ("failed", None, "ceilings", None, 1, "no repetitions"),
            ("refused", "refusal", "accuracy", "b", 1, "no head"),
        ],
        key=str,
    )


def test_completeness_knows_every_state(swept):
    found = {(r["model"], r["evaluation"]): r for r in answers(swept, "completeness")}
    assert {key: row["state"] for key, row in found.items()} == {
        ("a", "accuracy"): "ok",
        ("a", "features"): "outdated",
        ("a", "gate"): "ok",
        ("a", "neural_fit"): "partly",
        ("b", "accuracy"): "refused",
        ("b", "features"): "ok",
        ("b", "gate"): "never run",
        ("b", "neural_fit"): "never run",
    }
    assert found["a", "neural_fit"]["n_ok"] == found["a", "neural_fit"]["n_failed"] == 1
    assert found["a", "accuracy"]["gate"] == "pass"
