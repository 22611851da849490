"""run(...): a sweep from a file, or from what exists as objects; the command's own way through it."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypedDict, Unpack

from torch import nn

from zoo_eval.commands.sweep import Outcome, RunnerName, RunOptions, run_sweep
from zoo_eval.errors import BadInput, nearest
from zoo_eval.evaluations.evaluation import EvaluationSection
from zoo_eval.files.names import say
from zoo_eval.importance.maps import ImportanceSection
from zoo_eval.notebook.bar import Bar
from zoo_eval.notebook.images import images
from zoo_eval.notebook.live import LiveModel, Taken, model
from zoo_eval.notebook.open import open
from zoo_eval.notebook.responses import only, responses
from zoo_eval.notebook.results import Results
from zoo_eval.recordings.recording import RecordingSection
from zoo_eval.runners.progress import Progress
from zoo_eval.section import KindSection, WrongSection
from zoo_eval.sources.live import present
from zoo_eval.stimuli.stimulus_set import StimuliSection
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import LOCAL, LocalModelSection
from zoo_eval.sweep.file import RunSection, Sweep

Table = Mapping[str, Any]


class Settings(TypedDict, total=False):
    """How it is run: what [run] of a sweep file holds, and options of the command."""

    seed: int
    numerics: str
    memory_budget: str
    view_budget: str
    gpus_per_model: float | str
    retry_failed: bool
    max_slots: int
    progress: bool


OF_COMMAND = ("retry_failed", "max_slots", "progress")


class NotDone(UserWarning):
    """Some trials failed or were refused."""


def run(
    sweep: str | PathLike[str] | Sweep | None = None,
    *,
    models: Iterable[str | LiveModel | LocalModelSection] = (),
    stimuli: Mapping[str, StimuliSection | Table | Any] | None = None,
    recordings: Mapping[str, RecordingSection | Table | Any] | None = None,
    importance: Mapping[str, ImportanceSection | Table] | None = None,
    evaluations: Iterable[EvaluationSection | Table] = (),
    store: str | PathLike[str] | None = None,
    runner: RunnerName = "local",
    **settings: Unpack[Settings],
) -> Results:
    """Runs the pending trials of a sweep, as `zoo-eval sweep` does; the store's results.

    A trial that fails or is refused is a warning, and a row of `results.failures()`; the others go on.
    Running the same again does nothing twice. Relative paths start from the current folder.

    Args:
        sweep: a sweep file, to which the rest is added; or nothing, and all is said here.
        models: names or patterns of the catalogue ("timm/resnet18.a1_in1k"), and own networks,
            `zoo_eval.model(net, transform)`.
        stimuli: by name: `zoo_eval.images(...)` or what it takes, or a table as in a sweep file,
            {"kind": "crops", "of": ["photos"], "n": 300}.
        recordings: `zoo_eval.responses(...)` or what it takes, or a table, by name.
        importance: human maps by name, a table each.
        evaluations: `zoo_eval.NeuralFit(recording="it")` and the like, or tables.
        store: a folder or `s3://bucket/prefix`, made where it is not there.
        runner: "local", in this process, or "ray".
        settings: `seed` (0), `numerics` ("float32", "tf32", "bf16"), `memory_budget` ("2GiB"),
            `view_budget` ("16GiB"), `gpus_per_model`, `retry_failed`, `max_slots`, `progress`.

    Raises:
        BadInput: something given is wrong; nothing was run.
        StoreError: the store cannot be written; what was committed is kept.
    """
    base = _read(sweep)
    named, own, taken = _sorted(models)
    shown = _joined("stimuli", base, _live(stimuli, images))
    answers = _joined("recordings", base, _live(recordings, responses))
    everything = _parsed(
        store=base.store if base and store is None else _store(store),
        models=_models(base, [*named, *(one.card.name for one in taken)], own),
        stimuli=shown,
        recordings={name: only(one, list(shown)) for name, one in answers.items()},
        importance=_joined("importance", base, importance or {}),
        evaluations=[*(base.evaluations if base else ()), *evaluations],
        run=_settings(base, settings),
    )
    _run(everything, _options(runner, settings), taken, settings.get("progress", True))
    return open(everything.store.uri.address)


def _parsed(**content: Any) -> Sweep:
    try:
        return sweep_file.parsed(content, Path.cwd())
    except WrongSection as error:
        raise BadInput(f"{'.'.join(map(str, error.place))}: {error.message}") from error


def _options(runner: RunnerName, settings: Mapping[str, Any]) -> RunOptions:
    retry_failed, max_slots = settings.get("retry_failed", False), settings.get("max_slots")
    return RunOptions(None, runner, retry_failed, max_slots)


def _run(sweep: Sweep, options: RunOptions, taken: Sequence[Taken], shows: bool) -> None:
    """Runs a sweep whose live models are `taken`: this process has them until it ends."""
    for one in taken:
        if one.warning is not None:
            warnings.warn(one.warning, stacklevel=3)
    with ExitStack() as stack:
        stack.enter_context(present({one.identity.digest: one.snapshot for one in taken}))
        if options.runner == "ray":
            _refuse_unsendable(taken)
        outcome = run_sweep(
            sweep,
            options,
            say if shows else _nothing,
            live=[one.card for one in taken],
            progress=Bar.of if shows else Progress.of,
        )
    if not outcome.is_complete:
        # Said of the line that called `run`.
        warnings.warn(_not_done(outcome), NotDone, stacklevel=3)


def _refuse_unsendable(taken: Sequence[Taken]) -> None:
    from zoo_eval.runners.on_ray.session import why_unsendable

    for one in taken:
        if (why := why_unsendable(one.card)) is not None:
            raise BadInput(
                f'{one.card.name} cannot be sent to another process ({why}); use runner="local", or '
                "leave that out of the module: a function of an importable file can be sent"
            )


def _nothing(line: str) -> None:
    return


def _read(sweep: Any) -> Sweep | None:
    if sweep is None or isinstance(sweep, Sweep):
        return sweep
    return sweep_file.read(Path(fspath(sweep)), Path.cwd())


def _store(store: Any) -> Table:
    if store is None:
        raise BadInput('where do the results go? add store="results/mine"')
    return {"uri": fspath(store)}


def _sorted(
    models: Iterable[Any],
) -> tuple[list[str], list[LocalModelSection], list[Taken]]:
    """Names of the catalogue, own models as in a sweep file, and live ones as they are now."""
    named, own, taken = [], [], []
    for one in [models] if isinstance(models, str | LiveModel | nn.Module) else models:
        if isinstance(one, str):
            named.append(one)
        elif isinstance(one, LocalModelSection):
            own.append(one)
        elif isinstance(one, LiveModel):
            taken.append(one.taken())
        else:
            # What could be made a model says how.
            model(one)
    return named, own, taken


def _models(base: Sweep | None, names: Sequence[str], own: Sequence[LocalModelSection]) -> Any:
    include = [*names, *(LOCAL + one.name for one in own)]
    if base is None:
        if not include:
            raise BadInput('which models? add models=["timm/resnet18.a1_in1k"] or an own one')
        return {"include": include, "local": list(own)}
    update = {
        "include": (*base.models.include, *include),
        "local": (*base.models.local, *own),
    }
    return base.models.model_copy(update=update)


def _live(parts: Mapping[str, Any] | None, make: Any) -> dict[str, Any]:
    """Parts by name; what is neither a section nor a table becomes a section."""
    return {
        name: one if isinstance(one, KindSection) or _is_table(one) else make(one)
        for name, one in (parts or {}).items()
    }


def _is_table(one: Any) -> bool:
    return isinstance(one, Mapping) and "kind" in one


def _joined(table: str, base: Sweep | None, given: Mapping[str, Any]) -> dict[str, Any]:
    there: Mapping[str, Any] = getattr(base, table) if base else {}
    if twice := sorted(there.keys() & given.keys()):
        raise BadInput(f"{table}: {twice[0]!r} is in the sweep file already; choose another name")
    return {**there, **given}


def _settings(base: Sweep | None, settings: Mapping[str, Any]) -> Table:
    if unknown := sorted(settings.keys() - Settings.__annotations__.keys()):
        raise BadInput(
            f"unknown setting {unknown[0]!r}; {nearest(unknown[0], Settings.__annotations__)}"
        )
    given = {key: value for key, value in settings.items() if key not in OF_COMMAND}
    return {**(base.run if base else RunSection()).model_dump(), **given}


def _not_done(outcome: Outcome) -> str:
    if outcome.n_pending:
        return f"the sweep was cancelled; {outcome.n_pending} trials are left: run the same again"
    failed = outcome.n_failed + outcome.n_failed_before
    return (
        f"{failed} trials failed and {outcome.n_refused} were refused: results.failures() says why; "
        "retry_failed=True runs failed ones again"
    )
