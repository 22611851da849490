"""Own objects give the rows that the same sweep gives from files; what is wrong is said in one line."""

import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

import zoo_eval
from tests.notebook.cells import net
from tests.notebook.own_net import SIDE, TRANSFORM, OwnNet, own_net
from tests.rounding import float32_products, float32_rho
from tests.runners.comparison import assert_same_value
from zoo_eval.errors import BadInput
from zoo_eval.paths import SweepPath
from zoo_eval.sweep import file as sweep_file

N_IMAGES, N_REPETITIONS, N_TARGETS = 24, 3, 5
IDS = tuple(f"{number:02d}.png" for number in range(N_IMAGES))
FITS = zoo_eval.NeuralFit(
    recording="it", readouts=("ridge", "rsa"), layers="all", n_folds=3, n_resamples=10
)
EVALUATIONS = (zoo_eval.Accuracy(stimuli="shown"), FITS)

SWEEP = """
[store]
uri = "from_file"
[models]
include = ["local/*"]
[[models.local]]
name = "mine"
factory = "tests.notebook.own_net:build"
[stimuli.shown]
kind = "folder"
path = "images"
labels = "labels.csv"
[recordings.it]
kind = "parquet"
stimuli = "shown"
path = "it.parquet"
[[evaluations]]
kind = "accuracy"
stimuli = "shown"
[[evaluations]]
kind = "neural_fit"
recording = "it"
readouts = ["ridge", "rsa"]
layers = "all"
n_folds = 3
n_resamples = 10
"""


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def measured():
    return np.random.default_rng(1).normal(size=(N_IMAGES, N_REPETITIONS, N_TARGETS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pixels, measured):
    """The same as files: images, labels, responses, a sweep."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "images").mkdir()
    for name, image in zip(IDS, pixels, strict=True):
        Image.fromarray(image).save(folder / "images" / name)
    lines = [f"{name},{number}" for number, name in enumerate(IDS)]
    (folder / "labels.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    stimulus, repetition, target = np.indices(measured.shape).reshape(3, -1)
    table = {
        "stimulus_id": [IDS[number] for number in stimulus],
        "repetition": repetition,
        "target_id": [str(number) for number in target],
        "response": measured.reshape(-1),
    }
    pq.write_table(pa.table(table), folder / "it.parquet")
    (folder / "sweep.toml").write_text(SWEEP)
    return folder


def run_live(store, pixels, measured, module=None, **more):
    """The same from objects, in another order and named."""
    order = np.random.default_rng(2).permutation(N_IMAGES)
    return zoo_eval.run(
        models=[zoo_eval.model(module or own_net(), TRANSFORM, name="mine")],
        stimuli={"shown": zoo_eval.images(pixels, ids=IDS, labels=range(N_IMAGES))},
        recordings={
            "it": zoo_eval.responses(measured[order], stimulus_ids=[IDS[row] for row in order])
        },
        evaluations=EVALUATIONS,
        store=store,
        **{"progress": False, **more},
    )


@pytest.fixture(scope="module")
def live(tmp_path_factory, pixels, measured):
    return run_live(tmp_path_factory.mktemp("live"), pixels, measured)


def test_own_objects_give_the_rows_of_files(live, folder, monkeypatch):
    monkeypatch.chdir(folder)
    from_file = zoo_eval.run("sweep.toml", progress=False)
    # A module has another identity than a function that builds it; all numbers are the same.
    for table in ("accuracy", "layers", "neural_scores", "ceilings"):
        asked = f"SELECT * EXCLUDE (trial_id, commit_id) FROM {table} ORDER BY ALL"
        one, other = (results.sql(asked).arrow().to_pylist() for results in (live, from_file))
        assert len(one) == len(other) > 0
        for left, right in zip(one, other, strict=True):
            for name in left:
                assert_same_value(left[name], right[name], f"{table}.{name}")
    for column in ("stimuli_digest", "recording_digest", "parameters", "transform"):
        asked = f"SELECT DISTINCT {column} FROM trials WHERE evaluation <> 'gate' ORDER BY ALL"
        assert live.sql(asked).arrow() == from_file.sql(asked).arrow()


def test_similarities_of_layers_are_those_computed_by_hand(live, pixels, measured):
    module = own_net().eval()
    mean, std = torch.tensor(TRANSFORM.mean), torch.tensor(TRANSFORM.std)
    shown = ((torch.from_numpy(pixels).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        features = {"first": module.first(shown)}
        features["second"] = module.second(features["first"])
        features["logits"] = module(shown)
    recorded = pdist(measured.mean(1), "correlation")
    found = live.sql(
        "SELECT layer, score FROM neural_scores WHERE readout = 'rsa' AND fold IS NULL"
    )
    scores = {row["layer"]: row["score"] for row in found.arrow().to_pylist()}
    assert {"first", "first.0", "second", "head", "logits"} <= scores.keys()
    for layer, vectors in features.items():
        own = pdist(vectors.flatten(1).double().numpy(), "correlation")
        bound = float32_rho(len(own), float32_products(1000))
        assert scores[layer] == pytest.approx(spearmanr(own, recorded).statistic, rel=0, abs=bound)


def test_the_same_again_runs_nothing_and_a_changed_weight_runs(live, pixels, measured):
    before = len(live.trials())
    again = run_live(live.store.uri, pixels, measured)
    assert len(again.trials()) == before
    changed = own_net()
    with torch.no_grad():
        changed.first[0].bias[0] += 1e-3
    run_live(live.store.uri, pixels, measured, changed)
    again.refresh()
    # The recording's ceilings stand already.
    n_of_models = len(live.sql("SELECT * FROM trials WHERE model IS NOT NULL"))
    assert len(again.trials()) == before + n_of_models
    live.refresh()


def test_the_module_is_not_changed(tmp_path, pixels, measured):
    module = own_net().train()
    module.head.requires_grad_(False)
    module.first[0].weight.grad = torch.ones_like(module.first[0].weight)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    grads = {name: one.requires_grad for name, one in module.named_parameters()}
    run_live(tmp_path / "store", pixels, measured, module)
    assert all(one.training for one in module.modules())
    assert {name: one.requires_grad for name, one in module.named_parameters()} == grads
    assert (module.first[0].weight.grad == 1).all()
    assert not any(one._forward_hooks for one in module.modules())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_objects_are_added_to_a_sweep_file(folder, tmp_path, monkeypatch, pixels):
    monkeypatch.chdir(folder)
    results = zoo_eval.run(
        "sweep.toml",
        models=[zoo_eval.model(own_net(), TRANSFORM, name="live")],
        stimuli={
            "more": {"kind": "crops", "of": ["shown"], "n": 4, "size_px": 32},
            "extra": pixels,
        },
        evaluations=[zoo_eval.Features(stimuli="more"), {"kind": "features", "stimuli": "extra"}],
        store=tmp_path / "store",
        seed=3,
        progress=False,
    )
    asked = "SELECT DISTINCT model, stimuli FROM trials WHERE evaluation = 'features' ORDER BY ALL"
    found = [tuple(row.values()) for row in results.sql(asked).arrow().to_pylist()]
    assert found == [(f"local/{one}", of) for one in ("live", "mine") for of in ("extra", "more")]
    assert results.sql("SELECT DISTINCT seed FROM trials").arrow().to_pylist() == [{"seed": 3}]
    with pytest.raises(BadInput, match="'shown' is in the sweep file already"):
        zoo_eval.run("sweep.toml", stimuli={"shown": pixels})


def test_a_sweep_that_was_read_runs_too(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    sweep = sweep_file.read(folder / "sweep.toml", folder)
    only = {"evaluations": (zoo_eval.Accuracy(stimuli="shown"),)}
    small = sweep.model_copy(update=only).at(SweepPath.of(tmp_path / "store", folder))
    results = zoo_eval.run(small, progress=False)
    assert results.accuracy().df().n_images.tolist() == [N_IMAGES]


def test_a_failed_and_a_refused_trial_warn_and_the_rest_is_done(tmp_path, pixels):
    class Breaking(OwnNet):
        def forward(self, x):
            if x.amax() > 0:
                raise ValueError("no such pixels")
            return super().forward(x)

    given = {
        "models": [
            zoo_eval.model(Breaking(), TRANSFORM, name="breaking"),
            zoo_eval.model(own_net(), TRANSFORM, name="fine"),
            zoo_eval.model(net(), replace(TRANSFORM), name="ten_classes"),
        ],
        "stimuli": {"shown": zoo_eval.images(pixels, labels=range(N_IMAGES))},
        "evaluations": [zoo_eval.Accuracy(stimuli="shown")],
        "store": tmp_path / "store",
    }
    with pytest.warns(
        zoo_eval.NotDone, match=r"1 trials failed and 1 were refused: results.failures"
    ):
        results = zoo_eval.run(**given, progress=False)
    assert results.accuracy().df().model.tolist() == ["local/fine"]
    failed = {row["model"]: row for row in results.failures().arrow().to_pylist()}
    assert failed["local/breaking"]["error_message"] == "ValueError: no such pixels"
    assert failed["local/ten_classes"]["status"] == "refused"


def test_code_without_source_runs_is_marked_and_runs_again(tmp_path, pixels):
    names = {"__name__": "__main__"}
    exec(
        "from torch import nn\n"
        "class Hidden(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x.flatten(1))\n",
        names,
    )
    hidden = names["Hidden"](3 * SIDE * SIDE, 1000)
    for times in (1, 2):
        with pytest.warns(UserWarning, match=r"local/Hidden: Hidden.forward has no source.*again"):
            results = zoo_eval.run(
                models=[zoo_eval.model(hidden, TRANSFORM)],
                stimuli={"shown": zoo_eval.images(pixels, labels=range(N_IMAGES))},
                evaluations=[zoo_eval.Accuracy(stimuli="shown")],
                store=tmp_path / "store",
                progress=False,
            )
        assert len(results.accuracy()) == times
    assert set(results.models().df().source) == {"live_untold"}


def build_net():
    return own_net()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"models": [own_net()]},
            r"'OwnNet' has no transform.*zoo_eval.model\(net, zoo_eval.Transform",
        ),
        (
            {"models": [build_net]},
            r"build_net is a function.*zoo_eval.model\(build_net\(\), transform",
        ),
        ({"models": [3]}, "expected a torch.nn.Module, got a int"),
        ({"models": []}, "which models"),
        ({"models": ["local/mine"]}, "unknown model 'local/mine'"),
        ({"store": None}, "where do the results go"),
        ({"seeed": 1}, "unknown setting 'seeed'; nearest: seed"),
        ({"evaluations": []}, "evaluations: "),
        ({"evaluations": ["accuracy"]}, "evaluations.0: expected a table"),
        ({"evaluations": [{"kind": "acuracy"}]}, "evaluations.0.kind: .*nearest: accuracy"),
        (
            {"evaluations": [zoo_eval.Accuracy(stimuli="shwon")]},
            "unknown stimuli 'shwon'; nearest: shown",
        ),
        ({"memory_budget": "much"}, "run.memory_budget: "),
        (
            {"recordings": {"it": np.zeros((4, 2))}},
            "4 rows, but stimuli 'shown' has 24",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_runs(tmp_path, pixels, given, said):
    usual = {
        "models": [zoo_eval.model(own_net(), TRANSFORM, name="mine")],
        "stimuli": {"shown": zoo_eval.images(pixels, labels=range(N_IMAGES))},
        "evaluations": [zoo_eval.Accuracy(stimuli="shown")],
        "store": tmp_path / "store",
    }
    with pytest.raises(BadInput, match=said) as refusal:
        zoo_eval.run(**{**usual, **given}, progress=False)
    assert "\n" not in str(refusal.value)
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_model_that_a_file_cannot_name_is_refused_where_it_is_named(tmp_path, pixels):
    named = zoo_eval.run.__globals__["LocalModelSection"](name="x", architecture="live/abc")
    with pytest.warns(zoo_eval.NotDone):
        results = zoo_eval.run(
            models=[named],
            stimuli={"shown": pixels},
            evaluations=[zoo_eval.Features(stimuli="shown")],
            store=tmp_path / "store",
            progress=False,
        )
    reasons = set(results.failures().df().error_message)
    assert len(reasons) == 1
    assert "give it from Python" in reasons.pop()


@pytest.fixture
def ray_ends():
    """A run's Ray lives as long as its process: here only as long as the test."""
    import ray

    yield
    ray.shutdown()


@pytest.mark.ray
@pytest.mark.usefixtures("ray_ends")
def test_ray_gives_the_rows_of_this_process(live, tmp_path, pixels, measured):
    on_ray = run_live(tmp_path / "store", pixels, measured, runner="ray", max_slots=1)
    for table in ("models", "accuracy", "layers", "neural_scores", "ceilings"):
        # Another test adds a changed module to the store of the other.
        asked = f"""
            SELECT * EXCLUDE (commit_id) FROM {table}
            WHERE trial_id IN (SELECT trial_id FROM t) ORDER BY ALL
        """
        ids = ", ".join(f"('{one}')" for one in on_ray.trials().arrow()["trial_id"].to_pylist())
        asked = f"WITH t(trial_id) AS (VALUES {ids}) {asked}"
        one, other = (results.sql(asked).arrow().to_pylist() for results in (live, on_ray))
        assert len(one) == len(other) == len(on_ray[table]) > 0
        for left, right in zip(one, other, strict=True):
            for name in left:
                assert_same_value(left[name], right[name], f"{table}.{name}")


@pytest.mark.ray
def test_what_cannot_be_sent_to_another_process_says_what_to_do(tmp_path, pixels):
    module, lock = own_net(), threading.Lock()
    module.first.guarded = lambda x: x if lock.locked() else -x
    given = {"models": [zoo_eval.model(module, TRANSFORM, name="mine")], "runner": "ray"}
    evaluations = [zoo_eval.Features(stimuli="shown")]
    with (
        pytest.warns(UserWarning, match="cannot be told from another"),
        pytest.raises(BadInput, match=r'cannot be sent.*use runner="local"') as refusal,
    ):
        zoo_eval.run(
            **given,
            stimuli={"shown": pixels},
            evaluations=evaluations,
            store=tmp_path,
            progress=False,
        )
    assert "\n" not in str(refusal.value)
