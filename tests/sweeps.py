"""A sweep file read, with everything that it names."""

from pathlib import Path

from zoo_eval.inputs import Inputs
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import Roster, roster
from zoo_eval.sweep.file import Sweep
from zoo_eval.sweep.load import read_inputs


def loaded(file: Path, home: Path | None = None) -> tuple[Sweep, Roster, Inputs]:
    """The sweep, its models, and its inputs; paths start from `home`."""
    sweep = sweep_file.read(file, home or file.parent)
    models = roster(sweep.models)
    return sweep, models, read_inputs(sweep, models, "streamed")
