"""The plain loop: everything once, nothing twice, a failure is a row and the rest goes on."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from tests.rounding import float64_products
from tests.runners.comparison import assert_each_trial_once, rows
from zoo_eval import cli
from zoo_eval.commands import sweep
from zoo_eval.commands.sweep import SweepOptions
from zoo_eval.errors import StoreError, ZooEvalError
from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.queries.connection import connect
from zoo_eval.sources import timm
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.store import Store


@pytest.fixture
def request_(tiny_sweep, tmp_path):
    return SweepOptions(tiny_sweep, tmp_path, runner="local")


def run(request: SweepOptions) -> tuple[int, list[str]]:
    said: list[str] = []
    return sweep.run(request, said.append), said


def query(tmp_path, sql: str):
    return connect(Store(str(tmp_path / "store"))).rows(sql)


def test_a_sweep_writes_every_table_and_a_second_run_does_nothing(request_, tmp_path):
    code, said = run(request_)
    assert code == 0, said
    assert_each_trial_once(tmp_path / "store")
    for table in ("models", "accuracy", "layers", "features", "neural_scores", "ceilings",
                  "attacks", "perturbations"):  # fmt: skip
        assert rows(tmp_path / "store", table), table
    before = rows(tmp_path / "store", "trials")
    code, said = run(request_)
    assert code == 0
    assert said[-1].startswith("0 trials run")
    assert rows(tmp_path / "store", "trials") == before


def test_stored_perturbations_are_what_the_attack_rows_say(finished_store, tmp_path):
    found = query(
        tmp_path,
        "SELECT a.l2, a.linf, p.perturbation FROM attacks a JOIN perturbations p "
        "USING (trial_id, stimulus_id) WHERE a.status = 'found'",
    )
    assert found
    for row in found:
        stored = torch.tensor(row["perturbation"], dtype=torch.float64)
        assert float(stored.norm()) == pytest.approx(
            row["l2"], rel=float64_products(stored.numel())
        )
        assert float(stored.abs().max()) == row["linf"]


def test_adding_a_readout_an_attack_and_a_model_computes_exactly_what_is_new(request_, tmp_path):
    text = request_.sweep.read_text()
    with_less = text.replace('["pls", "ridge"]', '["pls"]').replace(
        '["ddn", "deepfool"]', '["ddn"]'
    )
    request_.sweep.write_text(with_less.replace('["local/*"]', '["local/eff*"]'))
    run(request_)
    first = {row["trial_id"] for row in query(tmp_path, "SELECT trial_id FROM trials")}
    request_.sweep.write_text(text)
    code, _ = run(request_)
    assert code == 0
    new = [
        row
        for row in query(tmp_path, "SELECT * FROM trials ORDER BY trial_id")
        if row["trial_id"] not in first
    ]
    old_model = [row for row in new if row["model"] == "local/efficientnet"]
    assert {row["readout"] or row["attack"] for row in old_model} == {"ridge", "deepfool"}
    assert {row["model"] for row in new} == {"local/efficientnet", "local/vit"}
    assert_each_trial_once(tmp_path / "store")


def test_the_models_option_narrows_the_sweep(request_, tmp_path):
    run(replace(request_, models="local/vit"))
    models = {row["model"] for row in query(tmp_path, "SELECT model FROM trials")}
    assert models == {"local/vit", None}


def test_failures_are_rows_with_reasons_and_the_rest_goes_on(request_, tmp_path):
    net = timm.initial("timm/test_efficientnet")
    state = net.state_dict()
    good_for_names = {name: tensor.clone() for name, tensor in state.items()}
    second = next(n for n in state if n.startswith("blocks.2") and n.endswith("weight"))
    good_for_names[second].fill_(torch.nan)
    save_file(good_for_names, tmp_path / "nan.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "nan.safetensors").read_bytes()[:1000])
    extra = "".join(
        f'[[models.local]]\nname = "{name}"\narchitecture = "timm/test_efficientnet"\n'
        f'checkpoint = "{name}.safetensors"\n'
        for name in ("nan", "cut", "absent")
    )
    text = request_.sweep.read_text().replace("[stimuli.photos]", f"{extra}[stimuli.photos]")
    request_.sweep.write_text(text)
    code, _ = run(request_)
    assert code == 1
    why = {
        (row["model"], row["status"]): row["error_message"]
        for row in query(tmp_path, "SELECT * FROM failures ORDER BY layer")
    }
    assert "is damaged" in why["local/cut", "refused"]
    assert "no such file" in why["local/absent", "refused"]
    assert "non-finite" in why["local/nan", "failed"]
    ok = query(tmp_path, "SELECT DISTINCT model FROM trials WHERE status = 'ok'")
    assert {"local/efficientnet", "local/vit"} <= {row["model"] for row in ok}
    # The layer before the damage is fine; those after it name themselves.
    nan = query(tmp_path, "SELECT layer, error_message FROM failures WHERE evaluation = 'layers'"
                " AND model = 'local/nan'")  # fmt: skip
    assert nan
    assert all(row["layer"] in row["error_message"] for row in nan)
    fine = query(tmp_path, "SELECT layer FROM layers WHERE model = 'local/nan'")
    assert {row["layer"] for row in fine} == {"blocks.1.0"}


def test_failed_trials_run_again_only_when_asked(request_, finished_store, tmp_path):
    net = timm.initial("timm/test_efficientnet")
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state["conv_stem.weight"].fill_(torch.nan)
    save_file(state, tmp_path / "nan.safetensors")
    text = request_.sweep.read_text().replace(
        "[stimuli.photos]",
        '[[models.local]]\nname = "nan"\narchitecture = "timm/test_efficientnet"\n'
        'checkpoint = "nan.safetensors"\n[stimuli.photos]',
        1,
    )
    request_.sweep.write_text(text)
    run(request_)
    _, said = run(request_)
    assert said[-2].startswith("0 trials run")
    _, said = run(replace(request_, retry_failed=True))
    assert not said[-2].startswith("0 trials run")
    attempts = query(tmp_path, "SELECT max(attempt) AS n FROM trials WHERE status = 'failed'")
    assert attempts == [{"n": 2}]


def test_a_damaged_store_is_said_at_once_and_after_repair_one_sweep_makes_it_equal(
    request_, finished_store, tmp_path, capsys
):
    uri, tables = str(tmp_path / "store"), ("attacks", "neural_scores", "models")

    def content():
        return {name: rows(tmp_path / "store", name) for name in tables}

    before = content()
    ok = query(tmp_path, "SELECT trial_id FROM trials WHERE status = 'ok' ORDER BY ALL")
    for table in tables:
        (first, *_) = Store(uri).contents().paths(table)
        (tmp_path / "store" / first).unlink()
        with pytest.raises(StoreError, match=rf"{first} is gone.*--repair") as said:
            run(request_)
        assert "\n" not in str(said.value)
        assert cli.main(["doctor", "--store", uri, "--repair"]) in (0, 1)
        assert "pending again" in capsys.readouterr().out
        code, lines = run(request_)
        assert code == 0
        assert not any(line.startswith("0 trials run") for line in lines)
    assert content() == before
    assert query(tmp_path, "SELECT trial_id FROM trials WHERE status = 'ok' ORDER BY ALL") == ok


def test_a_store_without_space_ends_the_run_and_keeps_what_was_committed(
    request_, tmp_path, monkeypatch
):
    import errno

    commits = []
    create = LocalFolder.create

    def full_after_three(self, path, content):
        if path.startswith("trials/"):
            commits.append(path)
        if len(commits) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(self, path, content)

    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "create", full_after_three)
        with pytest.raises(StoreError, match="no space is left") as caught:
            run(request_)
    assert "\n" not in str(caught.value)
    assert len(query(tmp_path, "SELECT DISTINCT commit_id FROM trials")) == 3
    code, _ = run(request_)
    assert code == 0
    assert_each_trial_once(tmp_path / "store")


def test_a_fact_that_changes_makes_a_new_row_and_nothing_else(request_, finished_store, tmp_path):
    facts = tmp_path / "facts.csv"
    text = request_.sweep.read_text()
    request_.sweep.write_text(text.replace("[models]\n", '[models]\nfacts = ["facts.csv"]\n'))
    facts.write_text("model,year\nlocal/efficientnet,2019\n")
    _, said = run(request_)
    assert "facts.csv: facts for 1 of 2 models (50%)" in said
    n_trials = len(rows(tmp_path / "store", "trials"))
    facts.write_text("model,year,objective\nlocal/efficientnet,2020,supervised\n")
    code, _ = run(request_)
    assert code == 0
    assert len(rows(tmp_path / "store", "trials")) == n_trials + 1
    years = query(tmp_path, "SELECT model, year FROM leaderboard ORDER BY model")
    assert years == [
        {"model": "local/efficientnet", "year": 2020},
        {"model": "local/vit", "year": None},
    ]


def test_a_published_accuracy_from_a_file_is_what_the_gate_compares_with(request_, tmp_path):
    text = request_.sweep.read_text()
    request_.sweep.write_text(
        text.replace("[models]\n", '[models]\nfacts = ["timm.csv"]\n').replace(
            'weights = "untrained"', 'checkpoint = "w.safetensors"', 1
        )
    )
    save_file(timm.initial("timm/test_efficientnet").state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "timm.csv").write_text("model,published_top1\nlocal/efficientnet,0.9\n")
    run(request_)
    asked = "SELECT gate, gate_reason, published_top1 FROM models WHERE model = 'local/efficientnet' ORDER BY gate"  # fmt: skip
    (row,) = query(tmp_path, asked)
    # Compared with its own labels, untrained weights fail.
    assert row["gate"] == "fail"
    assert "against the published 0.900" in row["gate_reason"]


BF16 = """
[run]
numerics = "bf16"
"""


def test_numerics_are_part_of_what_a_trial_is_and_are_not_mixed(request_, finished_store, tmp_path):
    file = request_.sweep
    text = file.read_text()
    file.write_text(BF16 + text[: text.index('[[evaluations]]\nkind = "neural_fit"')])
    code, said = run(request_)
    assert code == 0, said
    found = query(
        tmp_path,
        "SELECT json_extract_string(numerics, 'amp') AS amp, count(*) AS n FROM trials "
        "WHERE evaluation = 'accuracy' GROUP BY amp ORDER BY amp",
    )
    assert found == [{"amp": "bfloat16", "n": 2}, {"amp": "false", "n": 2}]
    # The newest counts, as with weights.
    current = query(
        tmp_path,
        "SELECT DISTINCT json_extract_string(numerics, 'amp') AS amp FROM current_trials "
        "WHERE model IS NOT NULL",
    )
    assert current == [{"amp": "bfloat16"}]


def test_a_gpu_that_fails_is_a_row_and_ends_the_run_and_the_same_command_does_the_rest(
    request_, tmp_path, monkeypatch
):
    run_accuracy, failed = Accuracy.run, []

    def broken(evaluation, trials, bench):
        if not failed:
            failed.append(trials[0].id)
            raise RuntimeError("CUDA error: device-side assert triggered")
        return run_accuracy(evaluation, trials, bench)

    monkeypatch.setattr(Accuracy, "run", broken)
    with pytest.raises(ZooEvalError, match=r"the GPU failed, and this process can use it no more"):
        run(request_)
    (row,) = query(tmp_path, "SELECT trial_id, status, failure_class, error_type FROM failures")
    assert row == {
        "trial_id": failed[0],
        "status": "failed",
        "failure_class": "gpu",
        "error_type": "RuntimeError",
    }
    code, said = run(replace(request_, retry_failed=True))
    assert code == 0, said
    assert query(tmp_path, "SELECT * FROM failures") == []
