"""Galleries and maps over positions as figures: pictures in rows, to print."""

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo_eval.figures import looks
from zoo_eval.figures.against_accuracy import PLANTED_MAPS, PLANTED_RESPONSES
from zoo_eval.figures.figure import Figure, Grid, Row, Spec, slug
from zoo_eval.figures.labels import said
from zoo_eval.figures.scatter import finished
from zoo_eval.files.names import printable
from zoo_eval.pictures import png
from zoo_eval.queries.connection import Connection
from zoo_eval.report import examples, gallery, spatial_maps

# Above a row its model, below each picture what is said of it.
ABOVE_PX, BELOW_PX, GAP_PX = 15, 17, 4
SMALL_PX = 8
# Where nobody says how wide: two thirds of a page.
WIDTH_PX = 480
# What fits a page.
MOST_ROWS = 6
MOST_COLUMNS = 6
PLANTED = "SELECT DISTINCT recording FROM current_ceilings WHERE estimator = 'planted_exact'"
Pixels = npt.NDArray[np.uint8]


def picture_figures(connection: Connection) -> tuple[Figure, ...]:
    """The gallery of attacks and the maps of each recording; those without pictures are left out."""
    return (*_gallery(connection), *_maps(connection))


def _gallery(connection: Connection) -> Iterator[Figure]:
    shown = examples.chosen(connection, per_model=1)
    if not shown:
        return
    rows = [row for place, one in enumerate(shown) for row in _attacked(place, one)]
    maps = any(one.human_map is not None for one in shown)
    planted = maps and bool(connection.rows("SELECT 1 FROM alignments WHERE planted LIMIT 1"))
    yield _figure(
        "gallery",
        "Smallest perturbations that change a model's mind",
        rows,
        PLANTED_MAPS if planted else None,
        (
            "Rows: models. In the perturbation grey is 0; white and black are plus and minus the printed "
            f"value, which {100 * gallery.SHOWN_SHARE:g} % of its values stay within.",
        ),
    )


def _attacked(place: int, one: gallery.Example) -> Iterator[Row]:
    scale = gallery.perturbation_scale(one.perturbation)
    adversarial = one.photo.astype(np.float64) + one.perturbation
    pictures = [
        ("photo", gallery.photo_pixels(one.photo), one.label),
        (
            "perturbation",
            gallery.perturbation_pixels(one.perturbation, scale),
            f"{one.norm} {one.distance:.3g}, ±{scale:.2g}",
        ),
        ("adversarial", gallery.photo_pixels(adversarial), one.adversarial_label),
    ]
    if one.human_map is not None:
        agreement = "" if one.spearman is None else f": rho {one.spearman:.2f}"
        drawn = gallery.overlay_pixels(one.photo, one.human_map)
        pictures.append(("human map", drawn, f"people{agreement}"))
    for column, (picture, pixels, below) in enumerate(pictures):
        yield _row((place, column), one.model, (picture, one.attack, below), pixels)


def _maps(connection: Connection) -> Iterator[Figure]:
    planted = {row["recording"] for row in connection.rows(PLANTED)}
    by_recording: dict[str, list[Row]] = {}
    for row in connection.rows(spatial_maps.STORED):
        by_recording.setdefault(row["recording"], []).append(row)
    for recording, some in by_recording.items():
        shown = some[:MOST_ROWS]
        rows = [row for place, one in enumerate(shown) for row in _mapped(place, one)]
        yield _figure(
            slug(f"spatial maps {recording}"),
            f"Recorded and predicted maps: {recording}",
            rows,
            PLANTED_RESPONSES if recording in planted else None,
            (spatial_maps.NOTE,),
        )


def _mapped(place: int, one: Row) -> Iterator[Row]:
    pictures: list[tuple[str, Pixels, str]] = []
    if one["photo"] is not None:
        with Image.open(io.BytesIO(one["photo"])) as image:
            photo = np.asarray(image.convert("RGB"))
        pictures.append(("stimulus", photo, one["stimulus_id"]))
    shape = one["n_rows"], one["n_columns"]
    for name, below in (("neural", "recorded"), ("predicted", f"predicted, r {one['score']:.2f}")):
        values = np.array(one[name], np.float64).reshape(shape)
        pictures.append((name, spatial_maps.map_pixels(values), below))
    for column, (picture, pixels, below) in enumerate(pictures):
        yield _row((place, column), one["model"], (picture, one["layer"], below), pixels)


def _row(cell: tuple[int, int], model: str, words: tuple[str, str, str], pixels: Pixels) -> Row:
    picture, measured, below = words
    # Once a row: whose it is, and by what.
    above = f"{said(model)}, {printable(measured)}" if cell[1] == 0 else ""
    data = base64.b64encode(png(pixels, smallest=True)).decode()
    return {
        "model": model, "row": cell[0], "column": cell[1], "picture": picture, "above": above,
        "below": printable(below), "url": f"data:image/png;base64,{data}",
    }  # fmt: skip


def _figure(
    name: str, title: str, rows: Sequence[Row], planted: str | None, notes: tuple[str, ...]
) -> Figure:
    rows, grid = _laid_out(rows)
    models = list(dict.fromkeys(row["model"] for row in rows))
    return Figure(
        name=name,
        title=title,
        section=name.partition("-")[0],
        alt=f"{len(rows)} pictures in {grid.rows} rows, of {', '.join(models)}.",
        spec={**_drawn(grid, planted), "datasets": {"pictures": list(rows)}},
        notes=notes,
        grid=grid,
    )


def _laid_out(rows: Sequence[Row]) -> tuple[list[Row], Grid]:
    """Where each has few pictures, several beside each other; the rows and columns that takes."""
    n_pictures = max(row["column"] for row in rows) + 1
    beside = max(1, MOST_COLUMNS // n_pictures)
    placed = [
        {
            **row,
            "row": row["row"] // beside,
            "column": row["row"] % beside * n_pictures + row["column"],
        }
        for row in rows
    ]
    n_rows = max(row["row"] for row in placed) + 1
    return placed, Grid(n_rows, beside * n_pictures, ABOVE_PX + BELOW_PX)


def _drawn(grid: Grid, planted: str | None) -> Spec:
    side = f"width / {grid.columns} - {GAP_PX}"
    pictures = alt.Chart(alt.NamedData("pictures"))
    x = alt.X("column:Q", axis=None, scale=alt.Scale(domain=[0, grid.columns], nice=False))
    y = alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[grid.rows, 0], nice=False))
    words: dict[str, Any] = {"align": "left", "baseline": "top", "font": looks.FONT}
    words |= {"fontSize": SMALL_PX, "color": looks.INK}
    image = pictures.mark_image(
        align="left", baseline="top", width=alt.ExprRef(side), height=alt.ExprRef(side),
        yOffset=ABOVE_PX,
    )  # fmt: skip
    under = alt.ExprRef(f"{ABOVE_PX} + 3 + {side}")
    below = pictures.mark_text(**words, limit=alt.ExprRef(side), dy=under)
    above = pictures.mark_text(**words, dy=3)
    layers = (
        image.encode(x=x, y=y, url="url:N").properties(name="pictures"),
        below.encode(x=x, y=y, text="below:N"),
        above.encode(x=x, y=y, text="above:N"),
    )
    chart = alt.layer(*layers).properties(
        width="container",
        height=round(grid.height_px(WIDTH_PX)),
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        **({} if planted is None else {"title": planted}),
    )
    return finished(chart)
