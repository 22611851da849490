"""What a shell snippet says, done in this process: commands run, or their options are checked."""

import argparse
import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise

import duckdb
import pytest

from tests.docs.pages import ROOT
from zoo_eval import cli
from zoo_eval.numerics.attacks import conformance

# Why a command of a page is not run here; none of them is ours.
NOT_RUN = {
    "chmod": "changes a file in the home folder of whoever runs the tests",
    "curl": "asks the network",
    "docker": "builds and sends an image; tests/deploy reads its file, `make image` builds it",
    "scancel": "asks Slurm",
    "sha256sum": "of what curl would have fetched",
    "squeue": "asks Slurm",
    "uv": "installs",
}
# What a page leaves to its reader.
STAND_INS = {
    "SWEEP.toml": "sweeps/demo.toml",
    "timm/resnet*": "local/*",
    "s3://YOUR-BUCKET/PREFIX": "results/demo",
    "gs://YOUR-BUCKET/PREFIX": "results/demo",
    "/shared/results": "results/demo",
    "/scratch": ".",
}
# Programs without options that train for minutes; tests/harmonizer/test_recipes.py runs them, smaller.
LONG = {"jobs.lambda_sweep", "jobs.harmonize_photos"}
ENDS = {"&&", ";", "|"}


class Parsed(Exception):
    """The options of a measurement were right; the measurement itself is not for a test."""


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a snippet, as words: comments gone, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), ";"]:
            if word not in ENDS:
                words.append(word)
            elif words:
                yield words
                words = []


def do(words: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Runs a command, or checks what can be checked of it; raises if it is wrong."""
    name = words[0]
    if name in NOT_RUN:
        return
    DOERS[name]([STAND_INS.get(word, word) for word in words], patch)


def _zoo_eval(words: list[str], patch: pytest.MonkeyPatch) -> None:
    arguments = words[1:]
    passing = {0}
    if arguments[:2] == ["attacks", "check"]:
        _shorten_the_suite(patch)
        arguments += ["--images", "1", "--scales", "1"]
        # Attacks of other libraries may fail it.
        passing = {0, 1} if "foolbox:" in arguments[2] else {0}
    if arguments[0] == "harmonize":
        # What a run does has tests of its own; here its options are read.
        cli._parser().parse_args(arguments)
        return
    if arguments[0] == "cancel":
        # Nobody is at work.
        passing = {1}
    if arguments[0] == "serve":
        # All but the waiting for somebody to ask.
        patch.setattr("uvicorn.Server.run", lambda server, sockets: None)
        patch.setattr("zoo_eval.explorer.lookout.Lookout.start", lambda lookout: None)
    assert cli.main(arguments) in passing


def _shorten_the_suite(patch: pytest.MonkeyPatch) -> None:
    """Of the conformance suite, which has tests of its own, only the first problem is posed."""
    every_problem = conformance.problems
    patch.setattr(conformance, "problems", lambda *a, **k: islice(every_problem(*a, **k), 1))
    patch.setattr(conformance, "in_company", partial(conformance.in_company, n_images=2))


def _python(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """A module or a file as a program; of a measurement only the options are read."""
    is_module = words[1] == "-m"
    name, arguments = (words[2], words[3:]) if is_module else (words[1], words[2:])
    patch.setattr(sys, "argv", [name, *arguments])
    patch.syspath_prepend(str(ROOT))
    if is_module and name.startswith("benchmarks."):
        right = argparse.ArgumentParser.parse_args

        def parse(parser: argparse.ArgumentParser) -> None:
            right(parser)
            raise Parsed

        patch.setattr(argparse.ArgumentParser, "parse_args", parse)
        with pytest.raises(Parsed):
            runpy.run_module(name, run_name="__main__")
        return
    if name in LONG:
        assert importlib.util.find_spec(name) is not None
        assert not arguments
        return
    run: Callable[..., object] = runpy.run_module if is_module else runpy.run_path
    with pytest.raises(SystemExit) as ended:
        run(name if is_module else str(ROOT / name), run_name="__main__")
    assert ended.value.code == 0


def _ray(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """Ray's own commands read the options; what a job is given to run is run here."""
    import click
    from ray.scripts.scripts import cli as ray

    command: click.Command = ray
    name, rest = "ray", words[1:]
    context: click.Context | None = None
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not isinstance(command, click.Group):
            break
        found, inner, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert inner is not None, words
        name, command = str(found), inner
    if name == "submit":
        do(context.params["entrypoint"], patch)


def _make(words: list[str], patch: pytest.MonkeyPatch) -> None:
    patch.delenv("MAKEFLAGS", raising=False)
    subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, check=True)


def _export(words: list[str], patch: pytest.MonkeyPatch) -> None:
    assert all(re.fullmatch(r"[A-Z_]+=\S+", word) for word in words[1:]), words


def _kubectl(words: list[str], patch: pytest.MonkeyPatch) -> None:
    assert words[1] in {"apply", "delete", "get", "logs", "wait"}, words
    for flag, file in pairwise(words):
        assert flag != "--filename" or (ROOT / file).is_file(), words


def _sbatch(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """The script exists and is given the two that it wants."""
    script, *given = words[1:]
    assert (ROOT / script).is_file(), words
    assert len(given) == 2, words


def _duckdb(words: list[str], patch: pytest.MonkeyPatch) -> None:
    flag, query = words[1:]
    assert flag == "-c"
    assert duckdb.sql(query).fetchall(), words


DOERS = {
    "duckdb": _duckdb,
    "zoo-eval": _zoo_eval,
    "python": _python,
    "ray": _ray,
    "make": _make,
    "export": _export,
    "kubectl": _kubectl,
    "sbatch": _sbatch,
}
