"""The command line: exit codes, and bad input as one clear line with the next step."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_eval import cli
from zoo_eval.store import MARKER


def bad(capsys, *arguments: str) -> str:
    """The one line of a command that must end with exit code 2."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("zoo-eval: ")
    return lines[0]


def refused(capsys, path: str) -> str:
    """The line of a plan that says what cannot be read; it refuses what needs it, and plans the rest."""
    assert cli.main(["plan", path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert " 0 pending" not in lines[0]
    assert "0 refused" not in lines[0]
    return next(line for line in lines if line.startswith("refused: "))


def changed(tiny_sweep, old: str, new: str) -> str:
    text = tiny_sweep.read_text()
    assert old in text
    tiny_sweep.write_text(text.replace(old, new, 1))
    return str(tiny_sweep)


@pytest.mark.parametrize("command", [
    "models", "plan", "sweep", "sql", "questions", "trends", "report", "export", "attacks", "doctor",
    "recordings",
])  # fmt: skip
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"example: zoo-eval {command}" in capsys.readouterr().out


def test_a_wrong_flag_is_exit_code_2():
    with pytest.raises(SystemExit) as ended:
        cli.main(["sql", "--stroe", "x"])
    assert ended.value.code == 2


def test_an_unknown_model_names_the_nearest(tiny_sweep, capsys):
    line = bad(capsys, "plan", changed(tiny_sweep, '["local/*"]', '["timm/resnet18.a1_in1"]'))
    assert "unknown model 'timm/resnet18.a1_in1'" in line
    assert "timm/resnet18.a1_in1k" in line


def test_a_malformed_sweep_file_names_key_and_line(tiny_sweep, capsys):
    line = bad(capsys, "plan", changed(tiny_sweep, "components = 3", "compnents = 3"))
    number = next(
        i for i, text in enumerate(tiny_sweep.read_text().splitlines(), 1) if "compnents" in text
    )
    assert f"line {number}: evaluations.1.compnents: unknown key; nearest: components" in line


def test_missing_weights_are_refused_and_the_rest_is_planned(tiny_sweep, capsys):
    text = (
        '[[models.local]]\nname = "gone"\narchitecture = "timm/resnet18"\ncheckpoint = "gone.pth"\n'
    )
    path = changed(tiny_sweep, "[stimuli.photos]", f"{text}[stimuli.photos]")
    assert cli.main(["plan", path]) == 1
    out = capsys.readouterr().out
    assert "refused: local/gone: accuracy: checkpoint of local/gone: gone.pth: no such file" in out
    assert "pending on 2 models" in out


def test_an_unreadable_image_is_named(tiny_sweep, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "imagenet_99_1.png").write_bytes(b"not an image")
    path = changed(tiny_sweep, 'path = "package:foolbox/data"\ninclude = ["imagenet_0*.jpg"]',
                   f'path = "{tmp_path / "images"}"')  # fmt: skip
    assert "imagenet_99_1.png: cannot be decoded" in refused(capsys, path)


def test_labels_that_do_not_match_are_named(tiny_sweep, own_labels, tmp_path, capsys):
    short = tmp_path / "short.csv"
    short.write_text("\n".join(own_labels.read_text().splitlines()[:-1]) + "\n")
    line = refused(capsys, changed(tiny_sweep, str(own_labels), str(short)))
    assert "has no label for 'imagenet_03_990.jpg'" in line


def with_recording(tiny_sweep, tmp_path, response: float) -> str:
    from zoo_eval import paths
    from zoo_eval.stimuli.folder import read_folder

    folder = paths.resolve("package:foolbox/data", tmp_path)
    ids = read_folder("photos", folder, include=["imagenet_0*.jpg"]).ids
    values = np.random.default_rng(0).standard_normal(len(ids))
    values[3] = response
    rows = {"stimulus_id": ids, "repetition": [0] * len(ids), "target_id": ["t"] * len(ids),
            "response": values}  # fmt: skip
    pq.write_table(pa.table(rows), tmp_path / "it.parquet")
    text = (
        f'[recordings.it]\nkind = "parquet"\nstimuli = "photos"\npath = "{tmp_path}/it.parquet"\n'
    )
    changed(tiny_sweep, 'recording = "planted"', 'recording = "it"')
    changed(tiny_sweep, "components = 3\n", "components = 2\n")
    return changed(tiny_sweep, "[[evaluations]]", f"{text}[[evaluations]]")


def test_an_infinite_response_is_named(tiny_sweep, tmp_path, capsys):
    line = refused(capsys, with_recording(tiny_sweep, tmp_path, float("inf")))
    assert "response of target 't' to stimulus number 3 is infinite" in line


def test_missing_responses_are_counted_by_a_plan(tiny_sweep, tmp_path, capsys):
    assert cli.main(["plan", with_recording(tiny_sweep, tmp_path, float("nan"))]) == 0
    assert ": 1 of 10 responses are missing; each target is scored on" in capsys.readouterr().out


def test_an_own_recording_is_planned(tiny_sweep, tmp_path, capsys):
    assert cli.main(["plan", with_recording(tiny_sweep, tmp_path, 0.0)]) == 0


def test_more_components_than_rows_are_refused_at_planning(tiny_sweep, capsys):
    line = bad(capsys, "plan", changed(tiny_sweep, "components = 3\n", "components = 30\n"))
    assert "30 PLS components" in line
    assert "lower `components`" in line


def test_gram_matrices_over_the_memory_budget_are_refused_at_planning_with_the_figure(
    tiny_sweep, capsys
):
    text = tiny_sweep.read_text()
    tiny_sweep.write_text(text + '[run]\nmemory_budget = "20KiB"\n')
    assert cli.main(["plan", str(tiny_sweep)]) == 1
    said = capsys.readouterr().out
    assert "local/vit: layers: Gram matrices of 7 layers at 40 stimuli, 32 at a time, take" in said
    assert "1.3 MiB, more than memory_budget of 20.0 KiB; raise it, or name fewer stimuli" in said
    assert "16 pending on 2 models, 36 refused" in said


def test_more_planted_components_than_stimuli_allow_are_refused_at_planning(tiny_sweep, capsys):
    path = changed(tiny_sweep, "n_components = 4", "n_components = 40")
    line = bad(capsys, "plan", path)
    assert "40 components asked for, but 40 stimuli have 39 at most; lower n_components" in line


def test_a_store_of_a_newer_schema_is_refused(finished_store, tiny_sweep, capsys):
    (Path(finished_store) / MARKER).write_text('{"schema_version": 999}')
    for arguments in (["sql", "SELECT 1", "--store", finished_store], ["plan", str(tiny_sweep)]):
        line = bad(capsys, *arguments)
        assert "newer than this version" in line
        assert "upgrade zoo_eval" in line


def test_a_full_disk_is_refused_before_the_run(tiny_sweep, capsys, monkeypatch):
    full = os.statvfs_result((4096, 4096, 1000, 10, 10, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    line = bad(capsys, "sweep", str(tiny_sweep), "--runner", "local")
    assert "free disk space" in line


def test_no_store_and_a_wrong_path_are_named(tmp_path, capsys):
    assert "no store at" in bad(capsys, "sql", "SELECT 1", "--store", str(tmp_path / "none"))
    assert "cannot be read" in bad(capsys, "plan", str(tmp_path / "none.toml"))


def test_debug_shows_the_traceback(tmp_path):
    from zoo_eval.errors import BadInput

    with pytest.raises(BadInput):
        cli.main(["sql", "SELECT 1", "--store", str(tmp_path / "none"), "--debug"])


def test_sql_is_read_only_and_its_errors_are_one_line(finished_store, capsys):
    assert "one SELECT" in bad(capsys, "sql", "DROP VIEW models", "--store", finished_store)
    assert "modle" in bad(capsys, "sql", "SELECT modle FROM models", "--store", finished_store)


def test_sql_writes_every_format(finished_store, capsys, tmp_path):
    query = ["sql", "SELECT model, top1 FROM leaderboard ORDER BY model", "--store", finished_store]
    assert cli.main([*query, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["local/efficientnet", "local/vit"]
    assert cli.main([*query, "--format", "csv"]) == 0
    as_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["top1"]) for row in as_csv] == [row["top1"] for row in rows]
    assert cli.main(query) == 0
    assert "local/vit" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "zoo_eval", *query, "--format", "parquet"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert pq.read_table(pa.BufferReader(done.stdout)).to_pylist() == rows


def test_trends_are_printed_and_kept_as_a_table(finished_store, capsys):
    assert cli.main(["trends", "--store", finished_store]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("questions\n")
    assert "accuracy_vs_neural" in shown
    wrong = ["trends", "--store", finished_store, "--compare", "local/vit", "local/vitt"]
    assert "nearest: local/vit" in bad(capsys, *wrong)
    assert cli.main(["trends", "--store", finished_store]) == 0
    capsys.readouterr()
    # Of some models it is printed, and kept is what is of all.
    assert cli.main(["trends", "--store", finished_store, "--where", "n_params > 0"]) == 0
    assert ", where n_params > 0" in capsys.readouterr().out
    cli.main(["sql", "SELECT * FROM trends", "--store", finished_store, "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    assert {row["statistic"] for row in rows} >= {"spearman_rho", "pearson_r", "kendall_tau"}
    assert not [row for row in rows if ", where" in (row["population"] or "")]
    keys = [
        tuple(row[name] for name in ("trend", "subject", "measure", "statistic", "detail", "at"))
        for row in rows
    ]
    assert len(set(keys)) == len(keys)


def test_models_filters_by_pattern_and_by_condition(capsys):
    where = "licence = 'apache-2.0' AND family = 'resnet'"
    arguments = ["models", "timm/resnet18*", "timm/vit_tiny*", "--where", where]
    assert cli.main([*arguments, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["model"].startswith("timm/resnet18") for row in rows)
    assert "--where" in bad(capsys, "models", "timm/resnet18*", "--where", "no_such_column = 1")


def test_a_finished_sweep_starts_no_ray(finished_store, tiny_sweep, capsys, monkeypatch):
    monkeypatch.setattr(
        "zoo_eval.runners.on_ray.runner.connect", lambda: pytest.fail("Ray was joined")
    )
    assert cli.main(["sweep", str(tiny_sweep)]) == 0
    assert "0 trials run" in capsys.readouterr().out


def test_relative_paths_without_a_submitters_folder_are_refused(
    tiny_sweep, finished_store, tmp_path
):
    from zoo_eval.commands import sweep
    from zoo_eval.errors import BadInput

    changed(tiny_sweep, str(tmp_path / "store"), "results/x")
    with pytest.raises(BadInput, match="'results/x' is a relative path"):
        sweep.run(sweep.SweepOptions(tiny_sweep, None, runner="local"))
    said: list[str] = []
    request = sweep.SweepOptions(tiny_sweep, None, store=finished_store, runner="local")
    assert sweep.run(request, said.append) == 0
    assert "52 done" in said[0]
