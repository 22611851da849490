"""The README has every command, and what it says of the demo is so; tests/docs run its snippets."""

import os
import re
import shlex
import subprocess
from pathlib import Path

from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.load import read_inputs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LINES = [
    line.split("   #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
ZOO_EVAL = [line for line in LINES if line.startswith("zoo-eval")]


def test_every_command_is_in_the_readme():
    assert {shlex.split(line)[1] for line in ZOO_EVAL} == {
        "models", "plan", "sweep", "sql", "trends", "report", "export", "doctor", "recordings",
    }  # fmt: skip


def test_the_make_targets_of_the_readme_exist():
    targets = [line.split()[1] for line in LINES if line.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=False,
            env={**os.environ, "MAKEFLAGS": ""},
        )  # fmt: skip
        assert done.returncode == 0


def test_the_submit_command_of_the_readme_is_the_one_that_the_demo_tests():
    from jobs import demo

    (line,) = [line for line in LINES if line.startswith("ray job submit")]
    assert shlex.split(line)[-3:] == ["python", "jobs/sweep_zoo.py", demo.SWEEP]


def test_the_example_sweep_of_the_readme_is_valid(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "example.toml"
    file.write_text(example)
    assert [e.kind for e in sweep_file.read(file, tmp_path).evaluations] == [
        "accuracy", "neural_fit", "minimal_attack",
    ]  # fmt: skip


def test_the_demo_is_as_large_as_the_readme_says():
    sweep = sweep_file.read(ROOT / "sweeps" / "demo.toml", ROOT)
    small = sweep.model_copy(update={"recordings": {}})
    inputs = read_inputs(small, roster(small.models), "streamed")
    said = " ".join(README.split())
    assert f"{len(sweep.models.local)} models:" in said
    n_photos, n_crops = len(inputs.stimuli["photos"]), len(inputs.stimuli["crops"])
    assert f"accuracy on {n_photos} labelled ImageNet photos" in said
    n_groups = len(set(inputs.stimuli["crops"].groups))
    assert f"{n_crops} crops of {n_groups} photos" in said
    (attack,) = [e for e in sweep.evaluations if e.kind == "minimal_attack"]
    assert f"{len(inputs.stimuli[attack.stimuli])} photos (DDN with" in said
    assert f"DDN with {attack.options['ddn']['steps']} steps" in said
    assert f"at most {attack.options['deepfool']['steps']} steps over" in said
    assert n_crops >= 300


def test_the_tables_page_is_up_to_date():
    from benchmarks.tables_page import PAGE, page

    assert PAGE.read_text() == page(), "run `make docs`"
