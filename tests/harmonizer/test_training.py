"""A course: what it leaves in the store, and that it ends alike whatever interrupts it."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.harmonizer import test_double_backward as double
from tests.harmonizer.conftest import tiny
from tests.storage import s3_server
from zoo_eval.cli import main
from zoo_eval.errors import Refusal, StoreError
from zoo_eval.harmonizer import checkpoints, training
from zoo_eval.harmonizer.objective import Objective
from zoo_eval.harmonizer.peers import Peers
from zoo_eval.harmonizer.training import Diverged, Training, Worker
from zoo_eval.models.open_model import open_model
from zoo_eval.storage import trained
from zoo_eval.store import Store
from zoo_eval.sweep import harmonized
from zoo_eval.tables import TABLES


def worker(heard=None) -> Worker:
    return Worker(Peers(), torch.device("cpu"), (heard if heard is not None else []).append)


def opened(material) -> Store:
    return Store(material.run.store.uri.address, create=True)


def ran(material, number=0, heard=None) -> Store:
    store = opened(material)
    Training(material.courses()[number], store, worker(heard)).run()
    return store


def metrics(store: Store) -> list[tuple]:
    rows = store.read("training_metrics").to_pylist()
    return sorted((r["model"], r["epoch"], r["step"], r["metric"], r["value"]) for r in rows)


def weights(store: Store) -> dict[str, dict]:
    rows = store.read("training_runs").to_pylist()
    return {r["model"]: load_file(f"{store.root}/{r['weights']}") for r in rows}


def test_a_course_leaves_a_network_and_a_row_for_each_metric_of_each_epoch(material):
    known, heard = material(training="ema = 0.9"), []
    store = ran(known, heard=heard)
    found = metrics(store)
    assert {(m[0], m[1], m[2]) for m in found} == {
        ("harmonized/tiny", 1, 4),
        ("harmonized/tiny", 2, 8),
    }
    assert {m[3] for m in found} == {
        "loss", "cross_entropy", "harmonization", "top1", "alignment", "alignment_null",
    }  # fmt: skip
    assert len(found) == 12
    loss = {m[3]: m[4] for m in found if m[1] == 2}
    assert loss["loss"] == pytest.approx(
        loss["cross_entropy"] + 0.1 * loss["harmonization"], rel=1e-5
    )
    assert loss["harmonization"] > 0
    (row,) = store.read("training_runs").to_pylist()
    assert row["trained_from"] == "local/tiny"
    assert row["control"] == "harmonized/tiny_control"
    assert (row["epochs"], row["steps"], row["harmonization_lambda"]) == (2, 8, 0.1)
    assert set(weights(store)["harmonized/tiny"]) == {
        f"{n}.{part}" for n in (0, 2, 5) for part in ("weight", "bias")
    }
    assert any("epoch 2/2" in line for line in heard)
    # Where it could go on is not needed any more; nothing in the store is a stray.
    assert trained.epochs(store.objects, row["run_id"]) == []
    assert store.strays() == []
    assert store.damage() is None


def test_the_control_starts_alike_sees_the_same_and_has_no_harmonization(material):
    known = material()
    store = ran(known, 1)
    values = {m[3]: m[4] for m in metrics(store) if m[1] == 1}
    assert values["harmonization"] == 0
    assert values["loss"] == values["cross_entropy"]
    (row,) = store.read("training_runs").to_pylist()
    assert (row["model"], row["harmonization_lambda"], row["control"]) == (
        "harmonized/tiny_control", 0.0, None,
    )  # fmt: skip


class Killed(BaseException):
    pass


@pytest.mark.parametrize("at", ["mid_epoch", "between_rows_and_checkpoint"])
def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(material, monkeypatch, at):
    whole = ran(material(factory="normed", training="ema = 0.9", store="whole"))
    known = material(factory="normed", training="ema = 0.9", store="killed")
    with monkeypatch.context() as patch:
        if at == "mid_epoch":
            step = Training._step
            patch.setattr(
                Training, "_step", lambda self, n, b: die() if n == 6 else step(self, n, b)
            )
        else:
            write = checkpoints.write
            patch.setattr(
                training.checkpoints, "write",
                lambda store, one: die() if one.epoch == 2 else write(store, one),
            )  # fmt: skip
        with pytest.raises(Killed):
            ran(known)
    store, heard = opened(known), []
    Training(known.courses()[0], store, worker(heard)).run()
    assert any("goes on after epoch 1" in line for line in heard)
    from zoo_eval.queries.connection import connect

    sql = "SELECT model, epoch, step, metric, value FROM training_metrics ORDER BY ALL"
    found, expected = (connect(one).rows(sql) for one in (store, whole))
    assert [tuple(r.values())[:4] for r in found] == [tuple(r.values())[:4] for r in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-6)
    for name, tensor in weights(whole)["harmonized/tiny"].items():
        assert torch.allclose(weights(store)["harmonized/tiny"][name], tensor, atol=1e-6)


def die():
    raise Killed


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(material, monkeypatch):
    known = material(training="")
    store = opened(known)
    course = known.courses()[0]
    step = Training._step
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", lambda self, n, b: die() if n == 7 else step(self, n, b))
        with pytest.raises(Killed):
            Training(course, store, worker()).run()
    trained.write_checkpoint(store.objects, course.trial.id, 2, b"half a file")
    assert checkpoints.last(store, course.trial.id).epoch == 1


def test_a_checkpoint_of_another_configuration_is_refused(material):
    known = material()
    store = opened(known)
    run_id = known.courses()[0].trial.id
    checkpoints.write(store, checkpoints.Checkpoint("0" * 32, 1, {}))
    content = trained.checkpoint(store.objects, "0" * 32, 1)
    trained.write_checkpoint(store.objects, run_id, 1, content)
    with pytest.raises(training.ZooEvalError, match="written by another configuration"):
        ran(known)


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_good_checkpoint(
    material, monkeypatch
):
    known = material()
    losses, calls = Objective.of, []

    def broken(*given):
        calls.append(1)
        # The first two are on tensors that hold nothing.
        return losses(*given) * (float("nan") if len(calls) == 2 + 6 else 1.0)

    monkeypatch.setattr(Objective, "of", broken)
    with pytest.raises(Diverged, match=r"the loss is nan at step 6 \(epoch 2\)"):
        ran(known)
    store = opened(known)
    course = known.courses()[0]
    assert checkpoints.last(store, course.trial.id).epoch == 1
    assert store.ledger().status[course.trial.id] == "failed"
    assert store.read("training_runs").num_rows == 0


def test_a_full_disk_during_a_checkpoint_is_said_and_keeps_the_one_before(material, monkeypatch):
    known = material()
    store = opened(known)
    replace = type(store.objects).replace

    def full(self, path, content):
        if path.startswith("checkpoints/") and path.endswith("000002.pt"):
            raise OSError(28, "No space left on device")
        replace(self, path, content)

    monkeypatch.setattr(type(store.objects), "replace", full)
    with pytest.raises(StoreError, match="no space is left"):
        Training(known.courses()[0], store, worker()).run()
    assert checkpoints.last(store, known.courses()[0].trial.id).epoch == 1


class OnceOnly(nn.Module):
    def forward(self, pixels):
        return double.Once.apply(pixels)


def once_only():
    net, transform = tiny()
    return nn.Sequential(OnceOnly(), *net), transform


def test_a_network_without_double_backward_is_refused_and_that_is_recorded(material):
    place = ("tests.harmonizer.conftest:", "tests.harmonizer.test_training:")
    known = material(place, factory="once_only")
    with pytest.raises(Refusal, match=r"no double backward at layer '0' \(OnceOnly\)"):
        ran(known)
    ledger = opened(known).ledger()
    assert ledger.status[known.courses()[0].trial.id] == "refused"


def test_a_step_says_beforehand_what_it_takes(material):
    heard = []
    ran(material(training="ema = 0.9"), heard=heard)
    (line,) = [one for one in heard if "of memory" in one]
    assert "a worker's step takes about " in line
    assert "8 images at a time" in line


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_fp16_supported(), reason="this processor has no float16"
)
def test_a_run_in_float16_skips_what_overflows_and_goes_on_with_its_scale(material, monkeypatch):
    known = material(("seed = 3", 'seed = 3\nnumerics = "fp16"'))
    calls, losses = [], Objective.of

    def overflowing(self, net, batch, device, scale=1.0):
        calls.append(scale)
        found = losses(self, net, batch, device, scale)
        # The first is on tensors that hold nothing, as is the second.
        return found * (float("inf") if len(calls) == 4 else 1.0)

    monkeypatch.setattr(Objective, "of", overflowing)
    step = Training._step
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_step", lambda self, n, b: die() if n == 6 else step(self, n, b))
        with pytest.raises(Killed):
            ran(known)
    kept = checkpoints.last(opened(known), known.courses()[0].trial.id)
    assert kept.state["scaler"]["scale"] == 2**15
    store = ran(known)
    values = {(m[1], m[3]): m[4] for m in metrics(store)}
    assert (values[1, "skipped_steps"], values[2, "skipped_steps"]) == (1, 0)
    assert all(np.isfinite(value) for value in values.values())
    # While saliency is taken in float16, its gradient is enlarged.
    assert calls[2] == training.LARGEST_OF_SALIENCY


@pytest.mark.parametrize("loss", ["cosine", "contrastive"])
def test_variants_train(material, loss):
    kept = f'loss = "{loss}"\nsaliency = "abs_max"\nstandard = "min_max"'
    values = {m[3]: m[4] for m in metrics(ran(material(harmonize=kept))) if m[1] == 2}
    assert values["harmonization"] > 0
    assert np.isfinite(values["loss"])


def test_a_control_is_trained_once_for_several_runs(written, monkeypatch, tmp_path, capsys):
    def go(**parts):
        changes = [("lambda = 0.1", f"lambda = {parts.pop('weight')}")]
        changes += [('name = "tiny"\nmapped', f'name = "{parts.pop("name")}"\nmapped')]
        code = main(["harmonize", str(written(*changes, **parts)), "--runner", "local"])
        return code, "".join(capsys.readouterr())

    named = 'control = "none"'
    code, said = go(weight=1, name="early", harmonize=named)
    assert code == 2
    assert "control 'none' is not in store" in said
    assert go(weight=0, name="none", harmonize="control = false")[0] == 0
    assert go(weight=1, name="one", harmonize=named)[0] == 0
    code, said = go(weight=1, name="other", harmonize=named, training="momentum = 0.5")
    assert code == 2
    assert "differs from this run in more than lambda" in said
    rows = Store(str(tmp_path / "store")).read("training_runs").to_pylist()
    assert {r["model"]: r["control"] for r in rows} == {
        "harmonized/none": None,
        "harmonized/one": "harmonized/none",
    }


@pytest.mark.parametrize(("changed", "said"), [
    (('importance = "marks"\nunmapped', 'importance = "mark"\nunmapped'), "mark"),
    (('mapped = "seen"', 'mapped = "plain"'), "maps belong to stimuli 'seen'"),
    (("batch_size = 8", "batch_size = 64"), "a step takes 64 (by 1 workers)"),
    (("batch_size = 8", "batch_size = 64\nworkers = 64"), "a step takes 64 (by 64 workers)"),
])  # fmt: skip
def test_on_either_runner_bad_input_is_said_before_anything_starts(written, monkeypatch, capsys, changed, said):  # fmt: skip
    monkeypatch.setitem(sys.modules, "zoo_eval.harmonizer.on_ray", None)  # importing it would fail
    path = written(changed)
    runners = ["ray"] if "workers" in changed[1] else ["ray", "local"]
    for runner in runners:
        assert main(["harmonize", str(path), "--runner", runner]) == 2
        found = capsys.readouterr().err
        assert said in found
        assert found.count("\n") == 1


def test_parts_of_a_step_have_the_losses_of_the_whole(material):
    whole = ran(material(store="whole"))
    parts = ran(material(training="accumulate = 4", store="parts"))
    for one, other in zip(metrics(whole), metrics(parts), strict=True):
        assert one[:4] == other[:4]
        assert one[4] == pytest.approx(other[4], abs=1e-5)


def test_frozen_batch_norms_keep_their_statistics(material):
    frozen = weights(ran(material(factory="normed", training='batch_norm = "frozen"', store="a")))
    moved = weights(ran(material(factory="normed", store="b")))
    assert torch.equal(frozen["harmonized/tiny"]["1.running_mean"], torch.zeros(4))
    assert not torch.equal(moved["harmonized/tiny"]["1.running_mean"], torch.zeros(4))


def test_a_sweep_finds_the_result_by_pattern_and_knows_where_it_comes_from(
    written, tmp_path, capsys, monkeypatch
):
    path = written()
    monkeypatch.chdir(tmp_path)
    assert main(["harmonize", str(path), "--runner", "local"]) == 0
    said = capsys.readouterr().out
    assert "harmonized/tiny_control" in said
    sweep = tmp_path / "sweep.toml"
    head, _ = path.read_text().split("[harmonize]")
    sweep.write_text(
        head.replace('"local/tiny"', '"local/tiny", "harmonized/*"')
        + '[[evaluations]]\nkind = "accuracy"\nstimuli = "seen"\n'
    )
    assert main(["plan", str(sweep)]) == 0
    assert "6 trials wanted" in capsys.readouterr().out
    assert main(["sweep", str(sweep), "--runner", "local"]) == 0
    rows = Store(str(tmp_path / "store")).read("models").to_pylist()
    assert {r["model"]: r["harmonized_from"] for r in rows} == {
        "local/tiny": None,
        "harmonized/tiny": "local/tiny",
        "harmonized/tiny_control": None,
    }
    assert len({r["weights_digest"] for r in rows}) == 3
    # Again: nothing is left to train, and another configuration under that name is refused.
    capsys.readouterr()
    assert main(["harmonize", str(path), "--runner", "local"]) == 0
    assert capsys.readouterr().out.count("is trained already") == 2
    written(("epochs = 2", "epochs = 1"))
    assert main(["harmonize", str(path), "--runner", "local"]) == 2
    assert "trained into store" in capsys.readouterr().err
    # Weights that are not what they were are not evaluated.
    (file,) = (tmp_path / "store" / "weights").glob("tiny.*")
    file.write_bytes(file.read_bytes()[:-4] + b"oops")
    main(["plan", str(sweep)])
    assert "is damaged; restore it, or train it again" in capsys.readouterr().out
    file.unlink()
    main(["plan", str(sweep)])
    assert "cannot be read (" in capsys.readouterr().out
    assert not list(harmonized.cards(Store(str(tmp_path / "store")), ["local/*"]))


def test_its_tables_belong_to_trials():
    assert TABLES["training_runs"].ledgered
    assert TABLES["training_metrics"].ledgered


def test_a_bucket_holds_checkpoints_and_weights_as_a_folder_does(material, monkeypatch, tmp_path):
    for name, value in s3_server.KEYS.items():
        monkeypatch.setenv(name, value)
    with s3_server.running() as server:
        known = material((f'uri = "{tmp_path}/store"', f'uri = "{server.uri("x")}"'))
        step = Training._step
        with monkeypatch.context() as patch:
            patch.setattr(
                Training, "_step", lambda self, n, b: die() if n == 6 else step(self, n, b)
            )
            with pytest.raises(Killed):
                ran(known)
        heard = []
        store = ran(known, heard=heard)
        assert any("goes on after epoch 1" in line for line in heard)
        assert store.strays() == []
        (card,) = harmonized.cards(store, ["harmonized/*"])
        assert (card.name, card.unavailable) == ("harmonized/tiny", None)
        net = open_model(card, torch.device("cpu")).net
        expected = load_file(card.checkpoint)
        assert all(torch.equal(net.state_dict()[name], one) for name, one in expected.items())
