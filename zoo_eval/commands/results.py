"""The commands that ask a store what was found: SQL, statistics, the report, one file to share."""

from pathlib import Path

from zoo_eval.commands.arguments import take_format, take_store
from zoo_eval.commands.command import OK, Command, Options, Parser
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


def _trends(options: Options) -> int:
    from zoo_eval.queries.connection import connect
    from zoo_eval.store import Store
    from zoo_eval.trends.comparisons import as_text, trends

    store = Store(options.store)
    rows = trends(connect(store))
    store.replace("trends", rows)
    for line in as_text(rows).split("\n"):
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


def _take_serve(parser: Parser) -> None:
    take_store(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="where others reach it, with a token"
    )
    parser.add_argument("--port", type=int, metavar="N", help="8020, or any, if left out")
    parser.add_argument("--seconds", metavar="S", help="that a query in the box may run (30)")
    parser.add_argument("--memory", metavar="SIZE", help="that it may take (512MiB)")


def _serve(options: Options) -> int:
    from zoo_eval.commands import serve

    return serve.run(options.store, options.host, options.port, options.seconds, options.memory)


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
        "correlations over models, with bootstrap intervals",
        "zoo-eval trends --store results/demo",
        take_store,
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
        "export",
        "all tables and views in one DuckDB file, to share",
        "zoo-eval export --store results/demo --out zoo.duckdb",
        _take_export,
        _export,
    ),
    Command(
        "serve",
        "the report live and a box for SQL, in a browser on this machine",
        "zoo-eval serve --store results/demo",
        _take_serve,
        _serve,
    ),
)
