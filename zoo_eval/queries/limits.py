"""Limits: how long a query may run, how much memory it may take, and where it spills what is more."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo_eval.errors import BadInput
from zoo_eval.units import size_in_bytes, size_text

SECONDS = 300.0
MEMORY_BYTES = 2 * 2**30
# DuckDB itself needs some.
LEAST_BYTES = 64 * 2**20
# Where what no option says is looked up, by option.
VARIABLES = {
    "--seconds": "ZOO_EVAL_QUERY_SECONDS",
    "--memory": "ZOO_EVAL_QUERY_MEMORY",
    "--spill": "ZOO_EVAL_QUERY_SPILL",
}


@dataclass(frozen=True)
class Limits:
    """What one query may take.

    Args:
        seconds: from its start to its last row.
        memory_bytes: of its intermediate results, which all queries of a connection share, and again
            of its rows.
        spill: a folder for what does not fit, in which a private one is made and removed again; None:
            where this machine keeps temporary files.

    Raises:
        BadInput: no query could run within them.
    """

    seconds: float = SECONDS
    memory_bytes: int = MEMORY_BYTES
    spill: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise BadInput(f"a query's time limit is {self.seconds:g} s; give more than 0")
        if self.memory_bytes < LEAST_BYTES:
            given, least = size_text(self.memory_bytes), size_text(LEAST_BYTES)
            raise BadInput(f"a query's memory limit is {given}; give {least} or more")
        if self.spill is not None and not self.spill.is_dir():
            raise BadInput(f"{self.spill} is no folder to spill to; create it or choose another")


def limits_from(options: Mapping[str, str | None], environment: Mapping[str, str]) -> Limits:
    """What was said by options (`--seconds`, `--memory`, `--spill`), or else in the environment.

    Raises:
        BadInput: it is no limit.
    """
    said = {
        option: (option, given) if given is not None else (variable, environment.get(variable))
        for option, variable in VARIABLES.items()
        for given in [options.get(option)]
    }
    _, spill = said["--spill"]
    return Limits(
        _seconds(*said["--seconds"]), _bytes(*said["--memory"]), Path(spill) if spill else None
    )


def _seconds(where: str, text: str | None) -> float:
    try:
        return SECONDS if text is None else float(text)
    except ValueError:
        raise BadInput(f"{where}: {text!r} is no number of seconds; give e.g. 60") from None


def _bytes(where: str, text: str | None) -> int:
    try:
        return MEMORY_BYTES if text is None else size_in_bytes(text)
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from None
