"""The `zoo-eval` command: exit code 0 (ok), 1 (some trials failed or refused), 2 (bad input)."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_eval import __version__
from zoo_eval.errors import BadInput, ZooEvalError

if TYPE_CHECKING:
    from zoo_eval.commands.sweep import SweepOptions


OK, INCOMPLETE, BAD = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except ZooEvalError as error:
        if options.debug:
            raise
        print(f"zoo-eval: {error}", file=sys.stderr)
        return BAD if isinstance(error, BadInput) else INCOMPLETE
    except KeyboardInterrupt:
        print(
            "zoo-eval: interrupted; what was committed is kept, run again to go on", file=sys.stderr
        )
        return INCOMPLETE
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zoo-eval", description="Evaluate a zoo of vision models; query the results with SQL."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_models, _plan, _sweep, _sql, _trends, _report, _export, _attacks, _doctor):
        command = add(commands)
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


_Commands = argparse._SubParsersAction


def _models(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "models",
        help="the catalogue",
        epilog="example: zoo-eval models 'timm/*' --where \"n_params < 30e6 and family = 'vision_transformer'\"",
    )
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="names, * and ? allowed")
    parser.add_argument("--where", metavar="SQL", help="a condition on the columns")
    parser.add_argument("--sweep", type=Path, metavar="SWEEP.toml", help="with its own models")
    _add_format(parser, ("table", "csv", "json"))

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.commands import models
        from zoo_eval.commands.output import write

        table, notes = models.models(options.patterns, options.where, options.sweep)
        write(table, options.format)
        for note in notes:
            print(note, file=sys.stderr)
        return OK

    parser.set_defaults(run=run)
    return parser


def _plan(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "plan",
        help="what a sweep would run; runs nothing",
        epilog="example: zoo-eval plan sweeps/demo.toml",
    )
    _add_sweep(parser)

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.commands import sweep

        return sweep.show_plan(_request(options, "local"))

    parser.set_defaults(run=run)
    return parser


def _sweep(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "sweep",
        help="run the pending trials of a sweep",
        epilog="example: zoo-eval sweep sweeps/demo.toml --runner local",
    )
    _add_sweep(parser)
    parser.add_argument("--runner", choices=("ray", "local"), default="ray")
    parser.add_argument("--max-slots", type=int, metavar="N", help="models open at a time, on Ray")

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.commands import sweep

        return sweep.run(_request(options, options.runner))

    parser.set_defaults(run=run)
    return parser


def _sql(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "sql",
        help="DuckDB over a store's tables and views, read-only",
        epilog='example: zoo-eval sql "SELECT model, top1 FROM leaderboard" --store results/demo',
    )
    parser.add_argument("query", metavar="SELECT ...")
    _add_store(parser)
    _add_format(parser, ("table", "csv", "json", "parquet"))

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.commands.output import write
        from zoo_eval.queries.connection import connect
        from zoo_eval.store import Store

        write(connect(Store(options.store)).query(options.query), options.format)
        return OK

    parser.set_defaults(run=run)
    return parser


def _trends(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "trends",
        help="correlations over models, with bootstrap intervals",
        epilog="example: zoo-eval trends --store results/demo",
    )
    _add_store(parser)

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.queries.connection import connect
        from zoo_eval.store import Store
        from zoo_eval.trends.comparisons import as_text, trends

        store = Store(options.store)
        rows = trends(connect(store))
        store.replace("trends", rows)
        print(as_text(rows))
        return OK

    parser.set_defaults(run=run)
    return parser


def _report(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "report",
        help="one HTML file that works offline",
        epilog="example: zoo-eval report --store results/demo --out report.html",
    )
    _add_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.report.html import write
        from zoo_eval.store import Store

        try:
            write(Store(options.store), options.out)
        except OSError as error:
            raise BadInput(f"{options.out} cannot be written ({error}); correct --out") from error
        print(f"report: {options.out}")
        return OK

    parser.set_defaults(run=run)
    return parser


def _export(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "export",
        help="all tables and views in one DuckDB file, to share",
        epilog="example: zoo-eval export --store results/demo --out zoo.duckdb",
    )
    _add_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.duckdb")

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.queries.connection import export
        from zoo_eval.store import Store

        counts = export(Store(options.store), options.out)
        print(f"{options.out}: {sum(counts.values())} rows in {len(counts)} tables")
        return OK

    parser.set_defaults(run=run)
    return parser


def _attacks(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "attacks",
        help="the minimal attacks, and how near they come to exact minima",
        epilog="example: zoo-eval attacks check foolbox:DDNAttack --norm l2",
    )
    parser.add_argument("action", nargs="?", choices=("list", "check"), default="list")
    parser.add_argument(
        "attack", nargs="?", metavar="NAME", help="registered, foolbox:NAME or module:name"
    )
    parser.add_argument("--norm", metavar="l2,linf", help="all that the attack has, if left out")
    parser.add_argument("--options", metavar="JSON", default="{}", help="of the attack")
    parser.add_argument("--bound", type=float, help="largest ratio allowed, for the stated one")
    parser.add_argument(
        "--scales", default="0.1,1,10,100", metavar="NUMBERS", help="factors of the logits"
    )
    parser.add_argument("--images", type=int, default=8, metavar="N", help="in each problem")
    _add_format(parser, ("table", "csv", "json"))

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.commands import attacks
        from zoo_eval.commands.output import write

        if options.action == "list":
            write(attacks.attacks(), options.format)
            return OK
        if options.attack is None:
            raise BadInput("which attack? write `zoo-eval attacks check NAME`")
        table = attacks.checks(
            options.attack,
            norms=options.norm.split(",") if options.norm else (),
            options=attacks.parsed(options.options),
            bound=options.bound,
            scales=attacks.numbers(options.scales),
            n_images=options.images,
        )
        write(table, options.format)
        return OK if all(table["passed"].to_pylist()) else INCOMPLETE

    parser.set_defaults(run=run)
    return parser


def _doctor(commands: "_Commands[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "doctor",
        help="what this machine has, what is missing, how to fix it",
        epilog="example: zoo-eval doctor --store results/demo",
    )
    parser.add_argument("--store", metavar="URI", help="check this store too")

    def run(options: argparse.Namespace) -> int:
        from zoo_eval.commands import doctor

        checks = doctor.checks(options.store)
        print(doctor.as_text(checks))
        return INCOMPLETE if any(check.status == "missing" for check in checks) else OK

    parser.set_defaults(run=run)
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", required=True, metavar="URI", help="folder or s3://bucket/prefix"
    )


def _add_format(parser: argparse.ArgumentParser, formats: Sequence[str]) -> None:
    parser.add_argument("--format", choices=formats, default="table")


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP.toml")
    parser.add_argument("--store", metavar="URI", help="instead of the sweep file's")
    parser.add_argument("--models", metavar="PATTERN", help="only these of the sweep's models")
    parser.add_argument(
        "--retry-failed", action="store_true", help="failed trials are pending again"
    )


def _request(options: argparse.Namespace, runner: str) -> "SweepOptions":
    from zoo_eval.commands import submission, sweep

    return sweep.SweepOptions(
        sweep=options.sweep,
        home=submission.home(),
        store=options.store,
        models=options.models,
        runner="local" if runner == "local" else "ray",
        retry_failed=options.retry_failed,
        max_slots=getattr(options, "max_slots", None),
    )
