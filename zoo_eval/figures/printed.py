"""Figures on paper: SVG, PNG and PDF as wide as one or two columns, with what is needed to restyle them."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import vl_convert

from zoo_eval.figures import looks
from zoo_eval.figures.figure import Figure, Spec
from zoo_eval.figures.page import VEGA_LITE

Theme = Literal["light", "dark"]
MM_PER_PX = 25.4 / 96
# A PDF counts in points: 72 to the inch, where a drawing's pixels are 96.
POINTS_PER_PX = 72 / 96
PNG_PPI = 600
# Nature, Science, Elsevier and IEEE ask for 85 to 90 mm and for 178 to 190.
WIDTHS_MM = {"one": 85.0, "two": 180.0}
# A wide figure is a little higher than a narrow one, not twice as high.
TALLER = {"one": 1.0, "two": 1.2}
# What a page of a PDF draws, one a line: they come in the order of a hash table, which changes from
# run to run and means nothing. Sorted they take as much room, so that nothing else moves.
ENTRIES = re.compile(rb"(?<=<<\n)(?: +/\w+ \d+ 0 R\n){2,}")
# Which data set is a figure's table.
TABLES = ("points", "lines", "pictures")
# Of pictures the table says what they are; they themselves are drawn.
NOT_TABLED = ("url",)


@dataclass(frozen=True)
class Sheet:
    """How wide a figure is printed, as columns of a page, and on which paper."""

    columns: Literal["one", "two"] = "one"
    theme: Theme = "light"

    @property
    def width_px(self) -> float:
        """At 96 pixels to the inch."""
        return WIDTHS_MM[self.columns] / MM_PER_PX


def sized(figure: Figure, sheet: Sheet) -> Spec:
    """A figure's specification for one width and paper: it needs nothing set from outside.

    Paper has no brush.
    """
    paper = looks.PAPER[sheet.theme]
    lit = {"theme": sheet.theme, "paper": paper}
    params = [
        {**one, "value": lit[one["name"]]} if one["name"] in lit else one
        for one in figure.spec["params"]
        if "select" not in one
    ]
    return {
        **figure.spec,
        "description": figure.alt,
        "params": params,
        "width": round(sheet.width_px, 2),
        "height": round(_height_px(figure, sheet)),
        "config": {**figure.spec["config"], "background": paper},
    }


def _height_px(figure: Figure, sheet: Sheet) -> float:
    if figure.grid is not None:
        return figure.grid.height_px(sheet.width_px)
    height: float = figure.spec["height"] * TALLER[sheet.columns]
    return height


def svg(figure: Figure, sheet: Sheet) -> bytes:
    """An SVG file, sized in millimetres; its letters are text, of a font that readers have alike."""
    drawn = _drawn(figure, sheet)
    return _resized(drawn, lambda px: f"{px * MM_PER_PX:.2f}mm").encode()


def png(figure: Figure, sheet: Sheet) -> bytes:
    """A PNG file of 600 pixels to the inch, which says so."""
    data: bytes = vl_convert.svg_to_png(_in_points(figure, sheet), ppi=PNG_PPI)
    return data


def pdf(figure: Figure, sheet: Sheet) -> bytes:
    """A PDF file of one page, sized in points, with its font embedded."""
    data: bytes = vl_convert.svg_to_pdf(_in_points(figure, sheet))
    return ENTRIES.sub(lambda found: b"".join(sorted(found[0].splitlines(keepends=True))), data)


def specification(figure: Figure, sheet: Sheet) -> bytes:
    """The Vega-Lite specification with its data, as any Vega editor takes it."""
    return (json.dumps(sized(figure, sheet), indent=1, allow_nan=False) + "\n").encode()


def table(figure: Figure, _: Sheet) -> bytes:
    """The rows that are drawn, as CSV; values that are infinite are `inf`, those that lack empty."""
    name = next(name for name in TABLES if name in figure.data)
    rows = [{k: v for k, v in row.items() if k not in NOT_TABLED} for row in figure.data[name]]
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(rows[0])
    writer.writerows([_cell(column, value) for column, value in row.items()] for row in rows)
    return file.getvalue().encode()


def _cell(column: str, value: object) -> object:
    lacks = column == "null" or column.endswith(("_low", "_high"))
    return "inf" if value is None and not lacks else value


FORMATS: Mapping[str, Callable[[Figure, Sheet], bytes]] = {
    "svg": svg,
    "png": png,
    "pdf": pdf,
    "json": specification,
    "csv": table,
}


def _drawn(figure: Figure, sheet: Sheet) -> str:
    drawn: str = vl_convert.vegalite_to_svg(
        sized(figure, sheet), vl_version=VEGA_LITE, allowed_base_urls=[]
    )
    return drawn


def _in_points(figure: Figure, sheet: Sheet) -> str:
    return _resized(_drawn(figure, sheet), lambda px: f"{px * POINTS_PER_PX:.2f}")


def _resized(svg: str, said: Callable[[float], str]) -> str:
    """The drawing with another width and height; what is in it grows alike."""

    def sizes(found: re.Match[str]) -> str:
        return f'width="{said(float(found[1]))}" height="{said(float(found[2]))}"'

    return re.sub(r'width="([\d.]+)" height="([\d.]+)"', sizes, svg, count=1)
