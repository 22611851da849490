"""The commands that ask a store what was found: SQL, statistics, the report, one file to share."""

from pathlib import Path

from zoo_eval.commands.arguments import take_format, take_store
from zoo_eval.commands.command import OK, Command, Options, Parser
from zoo_eval.commands.figures import draw_figures, take_figures
from zoo_eval.errors import BadInput
from zoo_eval.files.names import say


def _take_sql(parser: Parser) -> None:
    parser.add_argument("query", metavar="SELECT ...")
    take_store(parser)
    take_format(parser, "table", "csv", "json", "parquet")


def _sql(options: Options) -> int:
    from zoo_eval.commands.output import write
    from zoo_eval.queries.cells import ARROW, TEXT
    from zoo_eval.queries.connection import connect
    from zoo_eval.store import Store

    holder = ARROW if options.format == "parquet" else TEXT
    write(connect(Store(options.store)).query(options.query, holder), options.format)
    return OK


def _take_trends(parser: Parser) -> None:
    take_store(parser)
    parser.add_argument(
        "--compare",
        nargs=2,
        action="append",
        default=[],
        metavar="MODEL",
        help="two models on the same targets and stimuli; may be given several times",
    )


def _trends(options: Options) -> int:
    from zoo_eval.queries.connection import connect
    from zoo_eval.store import Store
    from zoo_eval.trends.analysis import analysis, as_text

    store = Store(options.store)
    found = analysis(connect(store), [(first, second) for first, second in options.compare])
    store.replace("trends", found.rows)
    for line in as_text(found).split("\n"):
        say(line)
    return OK


def _take_report(parser: Parser) -> None:
    take_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")


def _report(options: Options) -> int:
    from zoo_eval.report.html import write
    from zoo_eval.store import Store

    try:
        write(Store(options.store), options.out)
    except OSError as error:
        raise BadInput(f"{options.out} cannot be written ({error}); correct --out") from error
    say(f"report: {options.out}")
    return OK


def _take_export(parser: Parser) -> None:
    take_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.duckdb")


def _export(options: Options) -> int:
    from zoo_eval.queries.connection import export
    from zoo_eval.store import Store

    counts = export(Store(options.store), options.out)
    say(f"{options.out}: {sum(counts.values())} rows in {len(counts)} tables")
    return OK


RESULTS = (
    Command(
        "sql",
        "DuckDB over a store's tables and views, read-only",
        'zoo-eval sql "SELECT model, top1 FROM leaderboard" --store results/demo',
        _take_sql,
        _sql,
    ),
    Command(
        "trends",
        "answers and statistics over models, with intervals over families",
        "zoo-eval trends --store results/demo --compare local/lite0 local/lite1",
        _take_trends,
        _trends,
    ),
    Command(
        "report",
        "one HTML file that works offline",
        "zoo-eval report --store results/demo --out report.html",
        _take_report,
        _report,
    ),
    Command(
        "figures",
        "figures to print, one or two columns wide, and what is needed to restyle them",
        "zoo-eval figures --store results/demo --out figures --format svg,pdf",
        take_figures,
        draw_figures,
    ),
    Command(
        "export",
        "all tables and views in one DuckDB file, to share",
        "zoo-eval export --store results/demo --out zoo.duckdb",
        _take_export,
        _export,
    ),
)
