"""The `zoo-eval` command: exit code 0 (ok), 1 (some trials failed or refused), 2 (bad input)."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_eval import __version__
from zoo_eval.commands.arguments import (
    take_attacks,
    take_doctor,
    take_models,
    take_recordings,
    take_status,
    take_store,
)
from zoo_eval.commands.command import BAD, INCOMPLETE, OK, Command, Options, Parser
from zoo_eval.commands.results import RESULTS
from zoo_eval.commands.termination import terminable
from zoo_eval.errors import BadInput, ZooEvalError
from zoo_eval.files.names import printable, say
from zoo_eval.privacy.logs import say_traceback

if TYPE_CHECKING:
    from zoo_eval.commands.sweep import SweepOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code."""
    sys.excepthook = say_traceback
    options = _parser().parse_args(arguments)
    try:
        with terminable():
            code: int = options.run(options)
    except ZooEvalError as error:
        if options.debug:
            raise
        print(printable(f"zoo-eval: {error}"), file=sys.stderr)
        return BAD if isinstance(error, BadInput) else INCOMPLETE
    except KeyboardInterrupt:
        print(
            "zoo-eval: interrupted; what was committed is kept, run again to go on", file=sys.stderr
        )
        return INCOMPLETE
    except UnicodeEncodeError as error:
        print(
            f"zoo-eval: the output is written as {error.encoding}, which lacks "
            f"{error.object[error.start]!a}; set PYTHONIOENCODING=utf-8",
            file=sys.stderr,
        )
        return BAD
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="zoo-eval", description="Evaluate a zoo of vision models; query the results with SQL."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        own = commands.add_parser(
            command.name,
            help=command.help,
            epilog=f"example: {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.take(own)
        own.add_argument("--debug", action="store_true", help="show the traceback of an error")
        own.set_defaults(run=command.run)
    return parser


def _models(options: Options) -> int:
    from zoo_eval.commands import layers, models
    from zoo_eval.commands.output import write
    from zoo_eval.queries.written import WIDEST

    table_of = layers.layers if options.layers else models.models
    table, notes = table_of(options.patterns, options.where, options.sweep)
    write(table, options.format, widest=sys.maxsize if options.layers else WIDEST)
    for note in notes:
        print(printable(note), file=sys.stderr)
    return OK


def _take_plan(parser: Parser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP.toml")
    parser.add_argument("--store", metavar="URI", help="instead of the sweep file's")
    parser.add_argument("--models", metavar="PATTERN", help="only these of the sweep's models")
    parser.add_argument(
        "--retry-failed", action="store_true", help="failed trials are pending again"
    )


def _plan(options: Options) -> int:
    from zoo_eval.commands import sweep

    return sweep.show_plan(_sweep_options(options))


def _take_sweep(parser: Parser) -> None:
    _take_plan(parser)
    parser.add_argument("--runner", choices=("ray", "local"), default="ray")
    parser.add_argument("--max-slots", type=int, metavar="N", help="models open at a time, on Ray")


def _sweep(options: Options) -> int:
    from zoo_eval.commands import sweep

    return sweep.run(_sweep_options(options))


def _sweep_options(options: Options) -> "SweepOptions":
    from zoo_eval.commands import submission
    from zoo_eval.commands.sweep import SweepOptions

    return SweepOptions(
        sweep=options.sweep,
        home=submission.home(),
        store=options.store,
        models=options.models,
        runner=getattr(options, "runner", "local"),
        retry_failed=options.retry_failed,
        max_slots=getattr(options, "max_slots", None),
    )


def _take_harmonize(parser: Parser) -> None:
    parser.add_argument("file", type=Path, metavar="RUN.toml")
    parser.add_argument("--store", metavar="URI", help="instead of the run file's")
    parser.add_argument("--runner", choices=("ray", "local"), default="ray")


def _harmonize(options: Options) -> int:
    from zoo_eval.commands import harmonize, submission

    return harmonize.run(
        harmonize.HarmonizeOptions(options.file, submission.home(), options.store, options.runner)
    )


def _attacks(options: Options) -> int:
    from zoo_eval.commands import attacks
    from zoo_eval.commands.output import write

    if options.action == "list":
        write(attacks.attacks(), options.format)
        return OK
    if options.attack is None:
        raise BadInput("which attack? write `zoo-eval attacks check NAME`")
    table = attacks.checks(
        options.attack,
        attacks.Suite(attacks.numbers(options.scales), options.bound, options.images),
        norms=options.norm.split(",") if options.norm else (),
        options=attacks.parsed(options.options),
    )
    write(table, options.format)
    return OK if all(table["passed"].to_pylist()) else INCOMPLETE


def _recordings(options: Options) -> int:
    import json

    from zoo_eval.commands import recordings

    asked = recordings.Asked(options.file, options.kind, options.set, options.memory)
    if options.action == "convert":
        if options.out is None:
            raise BadInput("where to? write `zoo-eval recordings convert FILE --out FOLDER`")
        written = recordings.converted(asked, options.out)
        lines = recordings.conversion_text(written)
        text = json.dumps(written, indent=1)
    else:
        kind, found = recordings.inspected(asked)
        lines = recordings.inspection_text(options.file, kind, found)
        text = recordings.inspection_json(options.file, kind, found)
    if options.format == "json":
        print(text)
    else:
        for line in lines:
            say(line)
    return OK


def _doctor(options: Options) -> int:
    from zoo_eval.commands import doctor

    if options.repair:
        if options.store is None:
            raise BadInput("which store? write `zoo-eval doctor --store URI --repair`")
        say(doctor.repaired(options.store))
    checks = doctor.checks(options.store)
    for line in doctor.as_text(checks).split("\n"):
        say(line)
    return INCOMPLETE if any(check.status == "missing" for check in checks) else OK


def _status(options: Options) -> int:
    from zoo_eval.commands import status

    status.show(options.store, options.format, watch=options.watch)
    return OK


def _cancel(options: Options) -> int:
    from zoo_eval.commands import cancel

    done = cancel.cancelled(options.store)
    say(done.said)
    return OK if done.is_asked else INCOMPLETE


def _take_compact(parser: Parser) -> None:
    take_store(parser)
    parser.add_argument(
        "--grace-hours", type=float, default=24.0, metavar="H", help="replaced files stay so long"
    )


def _compact(options: Options) -> int:
    from zoo_eval.commands import compact

    say(compact.compacted(options.store, options.grace_hours))
    return OK


COMMANDS = (
    Command(
        "models",
        "the catalogue",
        "zoo-eval models 'timm/*' --where \"n_params < 30e6 and family = 'vision_transformer'\"",
        take_models,
        _models,
    ),
    Command(
        "plan",
        "what a sweep would run; runs nothing",
        "zoo-eval plan sweeps/demo.toml",
        _take_plan,
        _plan,
    ),
    Command(
        "sweep",
        "run the pending trials of a sweep",
        "zoo-eval sweep sweeps/demo.toml --runner local",
        _take_sweep,
        _sweep,
    ),
    Command(
        "harmonize",
        "train a network to look where people look, and its control",
        "zoo-eval harmonize RUN.toml --runner local",
        _take_harmonize,
        _harmonize,
    ),
    Command(
        "status",
        "how a sweep goes, from any machine; during and after",
        "zoo-eval status --store results/demo --watch",
        take_status,
        _status,
    ),
    Command(
        "cancel",
        "end a sweep from any machine; the same sweep command goes on later",
        "zoo-eval cancel --store results/demo",
        take_store,
        _cancel,
    ),
    *RESULTS,
    Command(
        "attacks",
        "the minimal attacks, and how near they come to exact minima",
        "zoo-eval attacks check foolbox:DDNAttack --norm l2",
        take_attacks,
        _attacks,
    ),
    Command(
        "recordings",
        "what a recording's files hold, drawn; or the same in long tables",
        "zoo-eval recordings inspect monkeyF/THINGS_normMUA.mat --set images=things_imgs.mat",
        take_recordings,
        _recordings,
    ),
    Command(
        "compact",
        "merge the small files of a store into few; safe beside sweeps and readers",
        "zoo-eval compact --store results/demo",
        _take_compact,
        _compact,
    ),
    Command(
        "doctor",
        "what this machine has, what is missing, how to fix it",
        "zoo-eval doctor --store results/demo",
        take_doctor,
        _doctor,
    ),
)
