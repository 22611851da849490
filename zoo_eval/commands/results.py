"""The commands that ask a store what was found: SQL, statistics, the report, one file to share."""

import os
from pathlib import Path

from zoo_eval.commands.arguments import take_format, take_limits, take_store
from zoo_eval.commands.command import OK, Command, Options, Parser
from zoo_eval.commands.figures import draw_figures, take_figures
from zoo_eval.errors import BadInput
from zoo_eval.files.names import say


def _take_sql(parser: Parser) -> None:
    parser.add_argument("query", metavar="SELECT ...")
    take_store(parser)
    take_format(parser, "table", "csv", "json", "parquet")
    take_limits(parser)


def _sql(options: Options) -> int:
    from zoo_eval.commands.output import write
    from zoo_eval.commands.questions import tell_unfilled
    from zoo_eval.queries.cells import ARROW, TEXT
    from zoo_eval.queries.connection import connect
    from zoo_eval.queries.limits import limits_from
    from zoo_eval.store import Store

    given = {f"--{name}": getattr(options, name) for name in ("seconds", "memory", "spill")}
    within = limits_from(given, os.environ)
    holder = ARROW if options.format == "parquet" else TEXT
    connection = connect(Store(options.store), within)
    rows = connection.query(options.query, holder)
    write(rows, options.format)
    tell_unfilled(rows, connection, options.query)
    return OK


def _take_questions(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="all are listed, if left out")
    parser.add_argument(
        "--store", metavar="URI", help="which answers; the question's SQL is shown, if left out"
    )
    parser.add_argument("--where", metavar="SQL", help="a condition on the columns of the answer")
    take_format(parser, "table", "csv", "json", "parquet")


def _questions(options: Options) -> int:
    from zoo_eval.commands import questions

    questions.check(options.name, options.store, options.where)
    if options.name is None:
        questions.listed(options.format)
    elif options.store is None:
        questions.shown(options.name)
    else:
        questions.answered(options.name, options.store, options.format, options.where)
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
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="only models of which this holds, e.g. \"year >= 2020 AND family <> 'vit'\" (columns of the view "
        "model_facts); printed, while the table trends stays that of all models",
    )


def _trends(options: Options) -> int:
    from zoo_eval.queries.connection import connect
    from zoo_eval.store import Store
    from zoo_eval.trends.analysis import analysis, as_text

    store = Store(options.store)
    pairs = [(first, second) for first, second in options.compare]
    found = analysis(connect(store), pairs, options.where)
    if options.where is None:
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
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.duckdb", help="or a folder"
    )
    parser.add_argument(
        "--format",
        choices=("duckdb", "parquet", "csv"),
        help="told from the name if left out: one DuckDB file, or a folder of Parquet where it has no "
        "suffix. CSV has every cell as it is (a spreadsheet takes one that begins with = for a "
        "formula), lists as JSON, numbers with all their digits",
    )


def _export(options: Options) -> int:
    from zoo_eval.commands.export import export
    from zoo_eval.store import Store

    counts = export(Store(options.store), options.out, options.format)
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
        "questions",
        "what is asked most often, by name",
        "zoo-eval questions best_layer_per_region --store results/demo",
        _take_questions,
        _questions,
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
        "all tables and views to share: one DuckDB file, or a folder of Parquet or CSV",
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
