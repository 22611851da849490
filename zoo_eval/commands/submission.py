"""Where a sweep was submitted from: a Ray job runs in a copy of that folder."""

import os
from pathlib import Path

import psutil

HOME_VARIABLE = "ZOO_EVAL_HOME"
# Ray sets this for the driver of a submitted job and for nothing else.
JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def home() -> Path | None:
    """The folder that relative paths start from; None for a job whose submitter is elsewhere.

    Outside a job it is the current folder. Inside one it is `ZOO_EVAL_HOME` if set, else the
    folder of the `ray job submit` process waiting on this machine for this very script.
    """
    if text := os.environ.get(HOME_VARIABLE):
        return Path(text).expanduser().resolve()
    if JOB_VARIABLE not in os.environ:
        return Path.cwd()
    return _submitter()


def _submitter() -> Path | None:
    arguments = psutil.Process().cmdline()[1:]
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if _contains(command, ["job", "submit"]) and _contains(command, arguments):
                return Path(process.cwd())
        except psutil.Error:
            continue
    return None


def _contains(words: list[str], run: list[str]) -> bool:
    return any(words[i : i + len(run)] == run for i in range(len(words) - len(run) + 1))
