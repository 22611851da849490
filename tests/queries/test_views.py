"""What the views answer, on hand-written (planted) rows whose right answers are known."""

import math

import duckdb
import pytest

from tests.planted_rows import failure, ledger_row, result_row
from tests.rounding import printed
from zoo_eval.commands.export import export
from zoo_eval.errors import BadInput
from zoo_eval.queries import measured
from zoo_eval.queries.connection import connect, question, select
from zoo_eval.store import Store
from zoo_eval.tables import TABLES, VIEWS
from zoo_eval.trial import Trial


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"), create=True)


def trial(evaluation, model="a", **facts):
    identity = {"weights_digest": "w", "architecture": "x", "transform": {}} if model else {}
    version = facts.pop("version", 1)
    defaults = {"stimuli": "photos", "stimuli_digest": "p", **identity}
    return Trial(evaluation, version, facts.pop("protocol", "planted"), model=model, **{**defaults, **facts})  # fmt: skip


def add(store, evaluation, table, rows=({},), *, model="a", minute=0, ledger=None, **facts):
    """Commits one trial with these rows of one table.

    A trial is committed once: one that has rows of another table is another trial of the same facts.
    """
    one = trial(evaluation, model, **facts)
    whose = {"trial_id": f"{one.id}/{table}"}
    made = [{**result_row(table, one, **row), **whose} for row in rows]
    told = {"minute": minute, **(ledger or {})}
    return store.commit({table: made}, [{**ledger_row(one, **told), **whose}])


def gate(store, model="a", verdict="pass", flops=None, **facts):
    row = {"gate": verdict, "source": "local", "weights_digest": facts.get("weights_digest", "w")}
    add(store, "gate", "models", [{**row, "flops": flops}], model=model, **facts)


def accuracy(store, model="a", top1=0.5, n_images=10, **facts):
    add(store, "accuracy", "accuracy", [{"top1": top1, "n_images": n_images}], model=model, **facts)


def neural(
    store, layer, folds, *, model="a", readout="pls", mode="fit", statistic="pearson_r", **facts
):
    """Scores and selection scores, fold by fold."""
    rows = [
        {"fold": fold, "score": score, "selection_score": selection, "statistic": statistic,
         "mode": mode}
        for fold, (score, selection) in enumerate(folds)
    ]  # fmt: skip
    facts = {"recording": "it", "recording_digest": "r", "protocol": "nested", **facts}
    add(store, "neural_fit", "neural_scores", rows, model=model, layer=layer, readout=readout, **facts)  # fmt: skip


def ceiling(store, values, estimator="splithalf_spearman_brown", scale="reliability", **facts):
    rows = [{"target": f"t{i}", "ceiling": v, "estimator": estimator, "scale": scale}
            for i, v in enumerate(values)]  # fmt: skip
    facts = {"recording": "it", "recording_digest": "r", "protocol": estimator, **facts}
    add(store, "ceilings", "ceilings", rows, model=None, **facts)


def attack(store, outcomes, *, model="a", attack="ddn", protocol="corrected", **facts):
    """One row per stimulus: a distance, inf where the bound was hit, None where already wrong."""
    rows = []
    for stimulus, distance in outcomes.items():
        status = "already_wrong" if distance is None else "found" if distance < math.inf else "bound_hit"  # fmt: skip
        found = {"distance": distance, "l2": distance} if status == "found" else {}
        rows.append({"stimulus_id": stimulus, "status": status, "norm": "l2", "n_forwards": 4, **found})  # fmt: skip
    add(store, "minimal_attack", "attacks", rows, model=model, attack=attack, protocol=protocol, **facts)  # fmt: skip


def rows(store, sql):
    return connect(store).rows(sql)


def models(store, view):
    return [row["model"] for row in rows(store, f"SELECT model FROM {view} ORDER BY model")]


# --- layers -------------------------------------------------------------------------------------


def test_the_best_layer_is_chosen_by_selection_score_and_not_by_score(store):
    neural(store, "early", [(0.9, 0.1), (0.9, 0.1)])
    neural(store, "late", [(0.3, 0.2), (0.4, 0.2)])
    (best,) = rows(store, "SELECT * FROM best_layer")
    assert best["layer"] == "late"
    assert best["score"] == pytest.approx(0.35)
    assert best["selection_score"] == pytest.approx(0.2)
    assert best["standard_error"] == pytest.approx(0.1 / math.sqrt(2) / math.sqrt(2))


def test_each_fold_chooses_its_own_layer(store):
    neural(store, "early", [(0.10, 0.9), (0.20, 0.1), (0.30, 0.9)])
    neural(store, "late", [(0.40, 0.1), (0.50, 0.9), (0.60, 0.1)])
    (best,) = rows(store, "SELECT * FROM best_layer")
    assert best["layer_per_fold"] == ["early", "late", "early"]
    assert best["layer"] == "early"
    assert best["n_folds"] == 3
    assert best["score"] == pytest.approx((0.1 + 0.5 + 0.3) / 3)


def test_an_undefined_selection_score_is_never_chosen(store):
    neural(store, "early", [(0.9, None)])
    neural(store, "late", [(0.1, -0.5)])
    assert rows(store, "SELECT layer FROM best_layer") == [{"layer": "late"}]


def test_a_fold_without_a_score_is_counted_and_adds_nothing_to_the_standard_error(store):
    neural(store, "l", [(0.3, 0.2), (0.5, 0.2), (None, 0.2)])
    (best,) = rows(store, "SELECT * FROM best_layer")
    assert (best["n_folds"], best["n_undefined_folds"], best["statistic"]) == (3, 1, "pearson_r")
    assert best["score"] == pytest.approx(0.4)
    assert best["standard_error"] == pytest.approx(0.2 / math.sqrt(2) / math.sqrt(2))


def test_choosing_on_the_test_folds_is_optimistic_and_says_so(store):
    neural(store, "early", [(0.9, 0.1), (0.7, 0.1)])
    neural(store, "late", [(0.3, 0.2), (0.4, 0.2)])
    (best,) = rows(store, "SELECT * FROM best_layer_on_test")
    assert (best["layer"], best["layer_chosen_on_test"]) == ("early", True)
    assert best["score"] == pytest.approx(0.8)


def test_readouts_and_recordings_are_told_apart(store):
    for readout, digest in (("pls", "r"), ("ridge", "r"), ("pls", "other")):
        neural(store, "early", [(0.1, 0.1)], readout=readout, recording_digest=digest)
    assert len(rows(store, "SELECT * FROM best_layer")) == 3


def test_a_leaderboard_ranks_models_within_a_readout(store):
    for model, score in (("a", 0.2), ("b", 0.4), ("c", 0.2)):
        neural(store, "l", [(score, 0.1)], model=model)
    neural(store, "l", [(0.9, 0.1)], model="a", readout="ridge")
    found = rows(store, "SELECT model, place FROM neural_leaderboard WHERE readout = 'pls' ORDER BY model")  # fmt: skip
    assert [row["place"] for row in found] == [2, 1, 2]


# --- ceilings -----------------------------------------------------------------------------------


def test_published_normalisations_are_reproduced(store):
    # r = 0.2255 with ceiling 0.8158: (r / c)^2 = 0.0764 and r^2 / c = 0.0623.
    neural(store, "l", [(0.2255, 0.1)])
    ceiling(store, [0.8158])
    (fold,) = rows(store, "SELECT * FROM neural_folds")
    assert fold["r_over_ceiling_squared"] == pytest.approx(0.0764, rel=0, abs=printed(4))
    assert fold["r2_over_ceiling"] == pytest.approx(0.0623, rel=0, abs=printed(4))
    assert fold["r_over_sqrt_ceiling"] == pytest.approx(0.2255 / math.sqrt(0.8158))


def test_a_ceiling_is_the_median_over_targets_of_the_honest_estimator(store):
    neural(store, "l", [(0.3, 0.1)])
    ceiling(store, [0.2, None, 0.9, 0.4])
    ceiling(store, [1.0, 1.0, 1.0, 1.0], estimator="planted_exact")
    ceiling(store, [0.99], recording_digest="other")
    (best,) = rows(store, "SELECT * FROM best_layer")
    assert best["reliability"] == pytest.approx(0.4)
    assert best["ceiled_score"] == pytest.approx(0.3 / math.sqrt(0.4))


def test_without_a_ceiling_only_the_ceiled_score_is_missing(store):
    neural(store, "l", [(0.3, 0.1)])
    (best,) = rows(store, "SELECT score, ceiled_score FROM best_layer")
    assert best == {"score": pytest.approx(0.3), "ceiled_score": None}


# --- what counts --------------------------------------------------------------------------------


def test_a_model_that_fails_its_gate_is_left_out(store):
    for model, verdict in (("a", "pass"), ("b", "fail"), ("c", "undecided"), ("d", "exempt")):
        gate(store, model, verdict)
        accuracy(store, model)
    for view in ("leaderboard", "model_accuracy"):
        assert models(store, view) == ["a", "c", "d"]
    assert models(store, "gates") == ["a", "b", "c", "d"]
    assert "b" not in models(store, "current_trials")


def test_one_failed_gate_outweighs_the_passed_ones(store):
    gate(store, verdict="pass", parameters={"n": 1})
    gate(store, verdict="fail", parameters={"n": 2})
    assert rows(store, "SELECT gate FROM gates") == [{"gate": "fail"}]
    assert models(store, "current_trials") == []


def test_a_failed_gate_of_old_weights_says_nothing_of_the_new(store):
    gate(store, verdict="fail", weights_digest="old", minute=0)
    gate(store, verdict="pass", weights_digest="new", minute=1)
    accuracy(store, weights_digest="new", minute=2)
    assert models(store, "leaderboard") == ["a"]


def test_only_the_newest_weights_count(store):
    for minute, weights, top1 in ((5, "new", 0.7), (0, "old", 0.2)):
        gate(store, weights_digest=weights, minute=minute)
        accuracy(store, weights_digest=weights, top1=top1, minute=minute)
    (row,) = rows(store, "SELECT * FROM leaderboard")
    assert (row["weights_digest"], row["top1"]) == ("new", 0.7)


def test_only_the_newest_input_counts(store):
    for minute, px, top1 in ((0, 96, 0.2), (5, 224, 0.7)):
        accuracy(store, transform={"input_px": px}, top1=top1, minute=minute)
    assert rows(store, "SELECT top1 FROM model_accuracy") == [{"top1": 0.7}]


def test_only_the_newest_version_of_an_evaluation_counts(store):
    accuracy(store, version=2, top1=0.7)
    accuracy(store, version=1, top1=0.2, minute=9)
    assert rows(store, "SELECT top1 FROM model_accuracy") == [{"top1": 0.7}]
    assert len(rows(store, "SELECT * FROM accuracy")) == 2  # the tables keep both


def test_accuracy_is_shown_on_the_stimuli_that_most_models_share(store):
    for model in ("a", "b"):
        accuracy(store, model, 0.5, stimuli="photos", stimuli_digest="p")
    accuracy(store, "a", 0.9, n_images=999, stimuli="more", stimuli_digest="m")
    accuracy(store, "c", 0.1, n_images=999, stimuli="more", stimuli_digest="other")
    found = rows(store, "SELECT model, accuracy_stimuli FROM model_accuracy ORDER BY model")
    assert [(row["model"], row["accuracy_stimuli"]) for row in found] == [("a", "photos"), ("b", "photos")]  # fmt: skip


# --- attacks ------------------------------------------------------------------------------------


def tolerance(store, model="a"):
    (row,) = rows(store, f"SELECT * FROM tolerances WHERE model = '{model}'")
    return row


def test_a_bound_hit_counts_as_infinitely_far(store):
    attack(store, {"1": 0.1, "2": 0.3, "3": math.inf, "4": None})
    row = tolerance(store)
    assert row["tolerance"] == pytest.approx(0.3)  # of 0.1, 0.3 and infinity
    assert (row["n_found"], row["n_bound_hit"], row["n_already_wrong"]) == (2, 1, 1)


def test_mostly_bound_hits_have_an_infinite_tolerance(store):
    attack(store, {"1": 0.1, "2": math.inf, "3": math.inf})
    assert tolerance(store)["tolerance"] == math.inf


def test_a_model_that_is_always_wrong_has_no_tolerance_and_spoils_nobodys(store):
    attack(store, {"1": 0.1, "2": 0.3}, model="a")
    attack(store, {"1": None, "2": None}, model="b")
    assert tolerance(store, "b")["tolerance"] is None
    assert tolerance(store, "a")["tolerance_common"] == pytest.approx(0.2)
    assert rows(store, "SELECT * FROM accuracy_vs_tolerance WHERE model = 'b'") == []


def test_passes_per_image_are_of_the_images_that_were_attacked(store):
    rows = [
        {"stimulus_id": "1", "status": "already_wrong", "n_forwards": 1, "n_backwards": 0},
        {
            "stimulus_id": "2",
            "status": "error",
            "n_forwards": 1,
            "n_backwards": 0,
        },  # never attacked
        {"stimulus_id": "3", "status": "found", "n_forwards": 101, "n_backwards": 50, "flags": []},
        {
            "stimulus_id": "4",
            "status": "bound_hit",
            "n_forwards": 201,
            "n_backwards": 90,
            "flags": [],
        },
        {
            "stimulus_id": "5",
            "status": "error",
            "n_forwards": 301,
            "n_backwards": 10,
            "flags": ["x"],
        },
        {"stimulus_id": "6", "status": "found", "n_forwards": 1, "n_backwards": 50},  # no flags yet
    ]
    add(store, "minimal_attack", "attacks", rows, attack="ddn", protocol="corrected")
    row = tolerance(store)
    assert row["forwards_per_image"] == pytest.approx((101 + 201 + 301 + 1) / 4)
    assert row["backwards_per_image"] == pytest.approx((50 + 90 + 10 + 50) / 4)


def test_a_model_that_was_not_attacked_has_no_passes_per_image(store):
    attack(store, {"1": None})
    row = tolerance(store)
    assert (row["forwards_per_image"], row["backwards_per_image"]) == (None, None)


def test_common_images_are_those_that_all_models_classify_correctly(store):
    attack(store, {"1": 0.1, "2": 0.3, "3": 0.8}, model="a")
    attack(store, {"1": None, "2": 0.4, "3": math.inf}, model="b")
    first, second = tolerance(store, "a"), tolerance(store, "b")
    assert first["tolerance"] == pytest.approx(0.3)
    assert first["tolerance_common"] == pytest.approx((0.3 + 0.8) / 2)
    assert second["tolerance_common"] == math.inf  # halfway from 0.4 to infinity
    assert first["n_common"] == second["n_common"] == 2


def test_common_images_are_found_within_one_attack_and_its_parameters(store):
    attack(store, {"1": 0.1, "2": 0.3}, model="a")
    attack(store, {"1": None, "2": 0.4}, model="b", attack="deepfool")
    attack(store, {"1": None, "2": 0.4}, model="c", parameters={"canvas": 64})
    assert tolerance(store, "a")["n_common"] == 2


def test_the_leaderboard_takes_the_smallest_attack_and_the_best_readout(store):
    gate(store)
    accuracy(store)
    attack(store, {"1": 0.2}, attack="ddn")
    attack(store, {"1": 0.1}, attack="deepfool")
    neural(store, "l", [(0.3, 0.1)], readout="pls")
    neural(store, "l", [(0.4, 0.1)], readout="ridge")
    ceiling(store, [0.64])
    (row,) = rows(store, "SELECT * FROM leaderboard")
    assert (row["tolerance"], row["tolerance_attack"]) == (pytest.approx(0.1), "deepfool")
    assert dict(row["neural_scores"]) == {"it": pytest.approx(0.4)}
    assert dict(row["neural_scores_ceiled"]) == {"it": pytest.approx(0.5)}


def test_the_leaderboards_readout_is_chosen_without_the_scored_fold_and_named(store):
    gate(store)
    neural(store, "l", [(0.9, 0.1)], readout="pls")
    neural(store, "l", [(0.4, 0.2)], readout="ridge")
    (row,) = rows(store, "SELECT * FROM leaderboard")
    found = [dict(row[f"neural_{what}"]) for what in ("scores", "readouts", "statistics")]
    assert found == [{"it": 0.4}, {"it": "ridge"}, {"it": "pearson_r"}]


def test_a_model_with_a_gate_alone_is_on_the_leaderboard(store):
    gate(store)
    (row,) = rows(store, "SELECT model, top1, tolerance, neural_scores FROM leaderboard")
    assert row == {"model": "a", "top1": None, "tolerance": None, "neural_scores": None}


def test_alignments_average_over_images(store):
    images = [{"spearman": 0.2, "null_spearman": 0.1, "human_ceiling": 0.5},
              {"spearman": 0.6, "null_spearman": 0.1, "human_ceiling": 1.0}, {"spearman": None}]  # fmt: skip
    add(store, "alignment", "alignment", [{"method": "ddn", **image} for image in images])
    (row,) = rows(store, "SELECT * FROM alignments")
    assert row["alignment"] == pytest.approx(0.4)
    assert row["ceiled_alignment"] == pytest.approx((0.4 + 0.6) / 2)
    assert row["n_images"] == 2


def test_trends_pair_accuracy_with_each_measure(store):
    for model, top1 in (("a", 0.5), ("b", 0.6)):
        accuracy(store, model, top1)
        attack(store, {"1": 0.2 * top1}, model=model)
        neural(store, "l", [(top1 / 2, 0.1)], model=model)
        add(store, "alignment", "alignment", [{"spearman": top1 / 4}], model=model)
    for view, column, factor in (("accuracy_vs_tolerance", "tolerance", 0.2),
                                 ("accuracy_vs_neural", "score", 0.5),
                                 ("accuracy_vs_alignment", "alignment", 0.25)):  # fmt: skip
        found = rows(store, f"SELECT model, top1, {column} AS y FROM {view} ORDER BY model")
        assert [row["model"] for row in found] == ["a", "b"]
        assert all(row["y"] == pytest.approx(factor * row["top1"]) for row in found)


def test_a_trial_finished_by_two_commits_is_counted_once(store):
    # Two sweeps at once on an object store may group the same trial differently.
    twice, once = (trial("minimal_attack", attack=name) for name in ("ddn", "deepfool"))
    found = {"status": "found", "distance": 0.1, "norm": "l2"}
    made = [result_row("attacks", one, **found) for one in (twice, once)]
    store.commit({"attacks": made}, [ledger_row(twice), ledger_row(once)])
    store.commit({"attacks": made[:1]}, [ledger_row(twice)])
    assert len(rows(store, "SELECT * FROM attacks")) == 2
    assert len(rows(store, "SELECT * FROM current_trials")) == 2
    assert [row["n_found"] for row in rows(store, "SELECT n_found FROM tolerances")] == [1, 1]


# --- failures -----------------------------------------------------------------------------------


def test_failures_show_the_last_attempt_until_one_succeeds(store):
    one = trial("accuracy")
    for attempt, reason in ((1, "first"), (2, "second")):
        store.commit({}, [ledger_row(one, attempt=attempt, **failure(reason))])
    assert rows(store, "SELECT attempt, error_message FROM failures") == [
        {"attempt": 2, "error_message": "second"}
    ]
    store.commit({"accuracy": [result_row("accuracy", one)]}, [ledger_row(one, attempt=3)])
    assert rows(store, "SELECT * FROM failures") == []


def test_a_refusal_drops_out_once_the_model_has_been_evaluated(store):
    for model in ("a", "b"):
        request = trial("accuracy", model, weights_digest=None, protocol="refused")
        store.commit({}, [ledger_row(request, minute=5, **failure("no weights", "refused"))])
    accuracy(store, "a", minute=4)  # before the refusal: it stands
    assert models(store, "failures") == ["a", "b"]
    accuracy(store, "a", minute=6, parameters={"again": True})
    gate(store, "b", minute=6)  # another evaluation of b: its refusal stands
    assert models(store, "failures") == ["b"]


# --- SQL ----------------------------------------------------------------------------------------


def test_columns_of_one_name_are_told_apart(store):
    found = rows(store, "SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a")
    assert found == [{"a": 1, "a_1": 2, "b": 3, "a_2": 4}]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nothing FROM trials", "unknown column 'nothing'; nearest: "),
        ("SELECT * FROM leaderbord", "leaderboard"),
        ("SELEC 1", "syntax error"),
        ("DROP VIEW trials", "only one SELECT"),
        ("INSERT INTO trials VALUES (1)", "only one SELECT"),
        ("CREATE TABLE t AS SELECT 1", "only one SELECT"),
        ("SET enable_external_access = true", "only one SELECT"),
        ("COPY (SELECT 1) TO 'stolen.csv'", "only one SELECT"),
        ("ATTACH 'other.duckdb'", "only one SELECT"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("", "only one SELECT"),
        ("SELECT * FROM read_csv('/etc/hostname')", "tables and views"),
        ("SELECT * FROM '/etc/hostname'", "disabled|not exist|unknown table"),
        ("SELECT * FROM read_text('/etc/hostname')", "tables and views"),
        ("SELECT * FROM glob('/*')", "tables and views"),
    ],
)
def test_what_is_wrong_or_more_than_a_question_is_one_line(store, sql, said):
    with pytest.raises(BadInput, match=said) as refusal:
        connect(store).query(sql)
    assert "\n" not in str(refusal.value)


def test_an_empty_store_answers_every_question_with_no_rows(store):
    connection = connect(store)
    for name in (*TABLES, *VIEWS):
        assert connection.rows(f"SELECT * FROM {name}") == []
    assert measured.image_rates(connection) == {}


def test_every_view_says_which_question_it_answers():
    for name in VIEWS:
        assert question(name).endswith((".", "?")), name


def test_a_connection_sees_the_store_as_it_was_when_opened(store):
    accuracy(store, "a")
    before = connect(store)
    accuracy(store, "b")
    assert len(before.rows("SELECT * FROM accuracy")) == 1
    assert len(rows(store, "SELECT * FROM accuracy")) == 2


def test_rates_are_weighted_by_time_and_ok_trials_alone_count(store):
    accuracy(store, "a", ledger={"images_per_s": 10.0, "seconds": 1.0})
    gate(store, "a", ledger={"images_per_s": 40.0, "seconds": 3.0})
    accuracy(store, "b", ledger={"images_per_s": 5.0})
    accuracy(store, "c", ledger={"images_per_s": 99.0, **failure()})
    assert measured.image_rates(connect(store)) == {"a": 32.5, "b": 5.0}


def test_the_flop_rate_is_the_median_of_models_whose_flops_are_known(store):
    assert measured.flop_rate(connect(store)) is None
    for model, flops, rate in (("a", 100, 10.0), ("b", 1000, 2.0), ("c", 10, 7.0)):
        gate(store, model, flops=flops, ledger={"images_per_s": rate, "seconds": 2.0})
    gate(store, "d", ledger={"images_per_s": 1e9})
    assert measured.flop_rate(connect(store)) == 1000.0


def test_an_export_holds_every_table_and_view(store, tmp_path):
    gate(store)
    accuracy(store)
    counts = export(store, tmp_path / "all.duckdb")
    assert counts.keys() == {*TABLES, *VIEWS}
    with duckdb.connect(str(tmp_path / "all.duckdb"), read_only=True) as exported:
        for name, n in counts.items():
            assert exported.execute(f"SELECT count(*) FROM {name}").fetchone() == (n,)
        assert exported.execute("SELECT top1 FROM leaderboard").fetchone() == (0.5,)
    with pytest.raises(BadInput, match="exists; remove it or choose another --out"):
        export(store, tmp_path / "all.duckdb")


def test_an_export_to_nowhere_is_an_error(store, tmp_path):
    with pytest.raises(BadInput, match="cannot be written"):
        export(store, tmp_path / "no" / "such" / "folder.duckdb")


def test_a_condition_selects_rows_and_a_wrong_one_is_an_error(store):
    accuracy(store, "a", 0.5)
    accuracy(store, "b", 0.7)
    table = connect(store).query("SELECT model, top1 FROM accuracy")
    assert select(table, "top1 > 0.6").to_pylist() == [{"model": "b", "top1": 0.7}]
    assert select(table, None) is table
    for wrong in ("colour = 1", "1 = 1; DROP TABLE x", "top1 >"):
        with pytest.raises(BadInput, match="--where: "):
            select(table, wrong)


def test_the_largest_measured_gpu_memory_is_known_by_model(store):
    for minute, peak in enumerate([5, 7, 6]):
        facts = {"peak_gpu_bytes": peak}
        add(store, "accuracy", "accuracy", minute=minute, ledger=facts, stimuli_digest=f"{minute}")
    accuracy(store, "on a CPU")
    assert measured.gpu_peaks(connect(store)) == {"a": 7}


def test_each_target_is_normalised_by_each_ceiling_under_each_convention(store):
    # Brain-Score's own test case: r 0.2255 under a ceiling of 0.8158.
    rows = [
        {"fold": fold, "score": r[0], "r": r, "target_ids": ["t0", "t1"], "statistic": "pearson_r",
         "undefined": why}
        for fold, r, why in [
            (0, [0.2155, math.nan], ["", "constant predictions"]), (1, [0.2355, 0.5], None),
        ]
    ]  # fmt: skip
    facts = {"recording": "it", "recording_digest": "r", "protocol": "nested"}
    add(store, "neural_fit", "neural_scores", rows, layer="a", readout="pls", **facts)
    ceiling(store, [0.8158, 0.25])
    found = {row["target"]: row for row in connect(store).rows("SELECT * FROM neural_targets")}
    one = found["t0"]
    assert one["r"] == pytest.approx(0.2255)
    assert one["r_over_ceiling_squared"] == pytest.approx(0.0764, rel=0, abs=printed(4))
    assert one["r2_over_ceiling"] == pytest.approx(0.0623, rel=0, abs=printed(4))
    assert one["r_over_sqrt_ceiling"] == pytest.approx(0.2255 / 0.8158**0.5)
    assert (one["estimator"], one["scale"]) == ("splithalf_spearman_brown", "reliability")
    assert found["t1"]["r"] == pytest.approx(0.5)
    assert (found["t1"]["n_folds"], found["t1"]["n_undefined_folds"]) == (2, 1)
    assert [found[target]["undefined"] for target in ("t0", "t1")] == [None, "constant predictions"]


def test_similarities_over_all_stimuli_stand_beside_their_subjects_ceilings(store):
    facts = {"recording": "fmri", "recording_digest": "r", "protocol": "nested"}
    rows = [
        {"fold": None, "score": 0.4, "selection_score": None, "statistic": "spearman_rho",
         "r": [0.2, 0.5], "target_ids": ["s0", "s1"]},
        {"fold": 0, "score": 0.9, "selection_score": 0.1, "statistic": "spearman_rho"},
    ]  # fmt: skip
    add(store, "neural_fit", "neural_scores", rows, layer="a", readout="rsa", **facts)
    for estimator, value in (("nili_lower", 0.45), ("nili_upper", 0.6)):
        row = {"target": "all", "ceiling": value, "estimator": estimator, "scale": "correlation",
               "statistic": "spearman_rho"}  # fmt: skip
        add(store, "ceilings", "ceilings", [row], model=None, recording="fmri", protocol=estimator,
            recording_digest="r")  # fmt: skip
    (found,) = connect(store).rows("SELECT * FROM similarities")
    assert (found["score"], found["nili_lower"], found["nili_upper"]) == (0.4, 0.45, 0.6)
    assert found["subject_scores"] == pytest.approx([0.2, 0.5])
    assert found["mean_subject_score"] == pytest.approx(0.35)
    # Its fold is what a layer may be chosen and scored by; a fit's ceiling is not put on it.
    (fold,) = connect(store).rows("SELECT * FROM neural_folds")
    assert (fold["fold"], fold["score"], fold["reliability"]) == (0, 0.9, None)


def test_the_leaderboard_prefers_a_fit_to_a_similarity_of_another_scale(store):
    gate(store)
    neural(store, "x", [(0.3, 0.3)], readout="ridge")
    neural(store, "x", [(0.9, 0.9)], readout="cka", mode="similarity")
    (row,) = connect(store).rows("SELECT neural_scores FROM leaderboard")
    assert dict(row["neural_scores"]) == {"it": 0.3}


VARIANTS = [
    {"recording_digest": "other"},
    {"stimuli_digest": "other"},
    {"protocol": "kfold"},
    {"parameters": {"components": 3}},
    {"seed": 1},
]


def neural_scores(store):
    found = rows(store, "SELECT model, neural_scores['it'] AS score FROM leaderboard")
    return {row["model"]: row["score"] for row in found}


@pytest.mark.parametrize("facts", VARIANTS)
def test_the_leaderboard_compares_models_on_the_variant_that_most_share(store, facts):
    for model in ("a", "b", "c"):
        gate(store, model)
    neural(store, "l", [(0.9, 0.1)], model="a", minute=9, **facts)
    neural(store, "l", [(0.8, 0.1)], model="c", minute=9, **facts)
    for model, score in (("a", 0.3), ("b", 0.4)):
        neural(store, "l", [(score, 0.1)], model=model)
        neural(store, "l", [(score / 2, 0.1)], model=model, readout="ridge")
    neural(store, "l", [(0.2, 0.1)], model="d")  # has no gate, but shares the variant
    assert neural_scores(store) == {"a": 0.3, "b": 0.4, "c": None}
    place = "SELECT model, place FROM neural_leaderboard WHERE readout = 'pls' AND score < 0.5"
    assert {row["model"]: row["place"] for row in rows(store, place)} == {"b": 1, "a": 2, "d": 3}


@pytest.mark.parametrize("facts", VARIANTS)
def test_of_equally_shared_variants_the_leaderboard_takes_the_newest(store, facts):
    gate(store)
    gate(store, "b")
    for model in ("a", "b"):
        neural(store, "l", [(0.9, 0.1)], model=model, minute=1, **facts)
        neural(store, "l", [(0.3, 0.1)], model=model, minute=2)
    assert neural_scores(store) == {"a": 0.3, "b": 0.3}


def test_the_leaderboard_holds_no_fit_against_another_models_similarity(store):
    for model in ("a", "b"):
        gate(store, model)
        neural(store, "l", [(0.8, 0.1)], model=model, readout="cka", mode="similarity")
    neural(store, "l", [(0.3, 0.1)], model="a", readout="ridge")
    neural(store, "l", [(0.9, 0.1)], model="a", readout="rsa", mode="similarity")
    assert neural_scores(store) == {"a": 0.8, "b": 0.8}


def test_an_undefined_score_is_no_variant(store):
    gate(store)
    neural(store, "l", [(0.3, 0.1)])
    for model in ("a", "b"):
        neural(store, "l", [(None, 0.1)], model=model, seed=1)
    assert neural_scores(store) == {"a": 0.3}


def test_scores_of_other_stimuli_are_not_mixed(store):
    for digest, score in (("p", 0.2), ("q", 0.4)):
        row = {"fold": 0, "score": score, "selection_score": 0.1, "r": [score], "target_ids": ["t"]}
        add(store, "neural_fit", "neural_scores", [row], layer="l", readout="pls", recording="it",
            recording_digest="r", protocol="nested", stimuli_digest=digest)  # fmt: skip
    for view, score in (("best_layer", "score"), ("best_layer_on_test", "score"),
                        ("neural_targets", "r")):  # fmt: skip
        found = rows(store, f"SELECT stimuli_digest, {score} AS s FROM {view} ORDER BY ALL")
        assert [(r["stimuli_digest"], r["s"]) for r in found] == [
            ("p", pytest.approx(0.2)), ("q", pytest.approx(0.4)),
        ]  # fmt: skip
