"""The demo's own sweep, smaller: what was planted is found, and what is wrong is flagged."""

from pathlib import Path

import pytest

from tests.rounding import float32_products, float64_products
from zoo_eval.commands.sweep import RunOptions, run_sweep
from zoo_eval.paths import SweepPath
from zoo_eval.queries.connection import connect
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file

ROOT = Path(__file__).parent.parent.parent
MODELS = ("lite0", "lite1", "lite0_96px", "lite0_wrong_padding", "untrained_convnext_atto")
N_CROPS = 120


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The demo's accuracies of some of its models, and of the right ones fits to fewer crops."""
    folder = tmp_path_factory.mktemp("planted")
    store = SweepPath.of(folder / "store", ROOT)
    demo = sweep_file.read(ROOT / "sweeps" / "demo.toml", ROOT).at(store)
    crops = demo.stimuli["crops"].model_copy(update={"n": N_CROPS})
    # In as many components as a hundred training rows can tell, so that a right fit nears its ceiling.
    planted = demo.recordings["planted_it"].model_copy(update={"n_components": 20, "noise": 1.0})
    demo = demo.model_copy(
        update={
            "stimuli": {**demo.stimuli, "crops": crops},
            "recordings": {"planted_it": planted},
        }
    )
    right = tuple(name for name in MODELS if name != "lite0_wrong_padding")
    for names, kind in ((MODELS, "accuracy"), (right, "neural_fit")):
        local = tuple(model for model in demo.models.local if model.name in names)
        small = demo.model_copy(
            update={
                "models": demo.models.model_copy(update={"local": local}),
                "evaluations": tuple(e for e in demo.evaluations if e.kind == kind),
            }
        )
        assert run_sweep(small, RunOptions(runner="local"), lambda line: None).is_complete
    return connect(Store(str(folder / "store")))


def test_the_planted_layer_is_found_near_its_ceiling(finished):
    for row in finished.rows("SELECT * FROM best_layer WHERE model = 'local/lite0'"):
        assert row["layer"] == "blocks.5.3"
        # A hundred training rows are few for it: on all 308 crops it is nearer.
        assert 0.7 <= row["ceiled_score"] <= 1.05
        assert row["score"] <= row["reliability"] ** 0.5 + 0.05


def test_no_model_but_the_planted_one_and_its_graded_versions_is_best(finished):
    for readout in ("pls", "ridge"):
        rows = finished.rows(
            f"SELECT model FROM neural_leaderboard WHERE readout = '{readout}' ORDER BY place"
        )
        assert rows[0]["model"] == "local/lite0"
        assert rows[-1]["model"] == "local/untrained_convnext_atto"


def test_the_split_half_ceiling_is_close_to_the_exact_one(finished):
    ceilings = {
        row["estimator"]: row["ceiling"]
        for row in finished.rows(
            "SELECT estimator, median(ceiling) AS ceiling FROM ceilings GROUP BY estimator"
        )
    }
    # A target's over 120 stimuli has a standard error of 0.02, their median less.
    assert ceilings["planted_exact"] == pytest.approx(8 / 9, rel=float64_products(8))
    assert ceilings["splithalf_spearman_brown"] == pytest.approx(8 / 9, rel=0, abs=0.02)


def test_accuracy_separates_trained_graded_and_untrained(finished):
    top1 = {row["model"]: row["top1"] for row in finished.rows("SELECT model, top1 FROM accuracy")}
    assert top1["local/lite0"] >= 0.85
    assert top1["local/lite1"] >= 0.85
    assert top1["local/lite0_96px"] < top1["local/lite0"]
    assert top1["local/untrained_convnext_atto"] <= 0.05


def test_the_wrong_padding_is_flagged_and_left_out(finished):
    gates = {row["model"]: row for row in finished.rows("SELECT * FROM gates")}
    assert gates["local/lite0"]["gate"] == "pass"
    assert gates["local/lite0_96px"]["gate"] == "exempt"
    assert gates["local/lite0_wrong_padding"]["gate"] == "fail"
    assert "differs from its reference" in gates["local/lite0_wrong_padding"]["gate_reason"]
    shown = {row["model"] for row in finished.rows("SELECT model FROM leaderboard")}
    assert shown == {f"local/{name}" for name in MODELS if name != "lite0_wrong_padding"}


def test_shipped_reference_logits_are_those_of_the_authors_code():
    import numpy as np

    from benchmarks import reference_logits

    for name, input_px in reference_logits.INPUT_PX.items():
        images = reference_logits.pixels(input_px)
        with np.load(reference_logits.FOLDER / f"{name}.npz") as shipped:
            np.testing.assert_array_equal(shipped["pixels"], images)
            found = reference_logits.logits(name, images)
            # Layer after layer they add 17 thousand terms at most.
            bound = 2 * float32_products(17_000, float(np.abs(found).max()))
            np.testing.assert_allclose(shipped["logits"], found, rtol=0, atol=bound)
