"""`zoo-eval figures`: a store's figures as files, to print and to restyle."""

from collections.abc import Sequence
from pathlib import Path

from zoo_eval.catalog import names_fitting
from zoo_eval.commands.arguments import take_store
from zoo_eval.commands.command import OK, Options, Parser
from zoo_eval.errors import BadInput, nearest
from zoo_eval.files.names import say
from zoo_eval.privacy import files as private

FORMATS = ("svg", "png", "pdf", "json", "csv")


def take_figures(parser: Parser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="all, if left out; * and ? allowed"
    )
    take_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--format",
        default="svg,pdf",
        metavar=",".join(FORMATS),
        help="some of: drawings; the Vega-Lite specification; the rows that are drawn (svg,pdf)",
    )
    parser.add_argument(
        "--columns", choices=("one", "two"), default="one", help="85 mm wide, or 180"
    )
    parser.add_argument("--theme", choices=("light", "dark"), default="light")


def draw_figures(options: Options) -> int:
    from zoo_eval.figures.printed import FORMATS as WRITERS
    from zoo_eval.figures.printed import Sheet
    from zoo_eval.figures.shown import figures
    from zoo_eval.queries.connection import connect
    from zoo_eval.report.pictures import picture_figures
    from zoo_eval.store import Store

    formats = _formats(options.format)
    connection = connect(Store(options.store))
    drawn = (*figures(connection), *picture_figures(connection))
    if not drawn:
        raise BadInput(
            "nothing to draw yet: figures need accuracy and a neural fit, an attack or alignment of one "
            "model at least; run zoo-eval sweep with such evaluations"
        )
    by_name = {figure.name: figure for figure in drawn}
    sheet = Sheet(options.columns, options.theme)
    for name in _chosen(list(by_name), options.names):
        for form in formats:
            path = options.out / f"{name}.{form}"
            _write(path, WRITERS[form](by_name[name], sheet))
            say(f"{path}: {by_name[name].title}")
    return OK


def _formats(said: str) -> list[str]:
    formats = [form.strip() for form in said.split(",")]
    for form in formats:
        if form not in FORMATS:
            raise BadInput(f"--format has no {form!r}; {nearest(form, FORMATS)}")
    return formats


def _chosen(known: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The names that are meant, in their own order."""
    for pattern in patterns:
        if not names_fitting(pattern, known):
            raise BadInput(f"no figure {pattern!r} here; {nearest(pattern, known)}")
    wanted = {name for pattern in patterns or ["*"] for name in names_fitting(pattern, known)}
    return [name for name in known if name in wanted]


def _write(path: Path, data: bytes) -> None:
    try:
        private.make_folder(path.parent)
        with private.opened(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error}); correct --out") from error
