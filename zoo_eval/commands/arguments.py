"""What the commands with many options take; nothing else is imported, so that --help is quick."""

from argparse import ArgumentParser
from pathlib import Path

FORMATS = (
    "a table to read, control characters escaped; CSV, every cell as it is (a spreadsheet takes one "
    'that begins with = for a formula); JSON, where NaN and infinities are the texts "NaN", "Infinity" '
    'and "-Infinity"'
)


def take_attacks(parser: ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "check"), default="list")
    parser.add_argument(
        "attack", nargs="?", metavar="NAME", help="registered, foolbox:NAME or module:name"
    )
    parser.add_argument("--norm", metavar="l2,l1,...", help="all that the attack has, if left out")
    parser.add_argument("--options", metavar="JSON", default="{}", help="of the attack")
    parser.add_argument("--bound", type=float, help="largest ratio allowed, for the stated one")
    parser.add_argument(
        "--scales", default="0.1,1,10,100", metavar="NUMBERS", help="factors of the logits"
    )
    parser.add_argument("--images", type=int, default=8, metavar="N", help="in each problem")
    take_format(parser, "table", "csv", "json")


def take_recordings(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("inspect", "convert"))
    parser.add_argument("file", type=Path, metavar="FILE", help="or a folder, where a kind has one")
    parser.add_argument("--kind", help="as in a sweep; told from the name if left out")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what the kind needs besides",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="convert: a new folder")
    parser.add_argument("--memory", default="2GiB", metavar="SIZE", help="convert: held at once")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def take_models(parser: ArgumentParser) -> None:
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="names, * and ? allowed")
    parser.add_argument("--where", metavar="SQL", help="a condition on the columns")
    parser.add_argument("--sweep", type=Path, metavar="SWEEP.toml", help="with its own models")
    parser.add_argument(
        "--layers", action="store_true", help="which layers blocks, stages, feature_info, all mean"
    )
    take_format(parser, "table", "csv", "json")


def take_doctor(parser: ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URI", help="check this store too, every file of it")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="of the store: trials whose files are damaged run again",
    )


def take_status(parser: ArgumentParser) -> None:
    take_store(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--watch", action="store_true", help="again and again, until it ends")


def take_store(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--store", required=True, metavar="URI", help="folder or s3://bucket/prefix"
    )


def take_format(parser: ArgumentParser, *formats: str) -> None:
    parser.add_argument("--format", choices=formats, default="table", help=FORMATS)


def take_limits(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", metavar="N", help="a query is cut off then; 300, or $ZOO_EVAL_QUERY_SECONDS"
    )
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="a query is cut off beyond that; 2GiB, or $ZOO_EVAL_QUERY_MEMORY",
    )
    parser.add_argument(
        "--spill",
        metavar="FOLDER",
        help="for what does not fit into memory; the temporary one, or $ZOO_EVAL_QUERY_SPILL",
    )
