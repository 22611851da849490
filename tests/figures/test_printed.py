"""Printed figures: of their width, with their font, the same bytes each time, and a mark for each model."""

import csv
import io
import json
import re
import struct
from xml.etree import ElementTree

import altair as alt
import pytest
import vl_convert

from tests.figures.conftest import HOSTILE, MODELS
from zoo_eval.figures.figure import Figure
from zoo_eval.figures.page import INTERPRETER, VEGA_LITE, compiled
from zoo_eval.figures.printed import FORMATS, WIDTHS_MM, Sheet, pdf, png, sized, svg, table
from zoo_eval.figures.shown import figures
from zoo_eval.queries.connection import connect
from zoo_eval.report.pictures import picture_figures

NEURAL = "accuracy-vs-neural-it-pls"
TOLERANCE = "accuracy-vs-tolerance-photos-ddn-l2"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def all_figures(drawn, connection) -> dict[str, Figure]:
    pictures = {figure.name: figure for figure in picture_figures(connection)}
    return drawn | pictures


def test_one_vega_lite_draws_validates_and_compiles(drawn):
    assert drawn[NEURAL].spec["$schema"].endswith(f"/{alt.SCHEMA_VERSION}.json")
    assert VEGA_LITE in vl_convert.get_vegalite_versions()
    assert vl_convert.get_vegalite_versions()[-1] == VEGA_LITE
    vega = compiled(drawn[NEURAL])["$schema"]
    # What a page draws with, vega, is of the version that the compiler writes for.
    assert vega.endswith(f"/v{vl_convert.get_vega_version().split('.')[0]}.json")
    assert INTERPRETER.split(".")[0] == "2"


def test_every_specification_follows_the_schema_and_compiles_without_a_warning(all_figures, capfd):
    for figure in all_figures.values():
        spec = sized(figure, Sheet())
        alt.LayerChart.from_dict(spec, validate=True)
        # Warnings are shown of pictures alone.
        vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, show_warnings=True, scale=0.2)
    assert "WARN" not in capfd.readouterr().err


def marks(figure: Figure, sheet: Sheet, name: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg(figure, sheet))
    groups = [group for group in root.iter(f"{SVG}g") if name in group.get("class", "").split()]
    return [mark for group in groups for mark in group]


def test_every_model_is_a_mark(drawn):
    assert len(marks(drawn[NEURAL], Sheet(), "models_marks")) == len(MODELS)
    assert len(marks(drawn[NEURAL], Sheet(), "bars_score_marks")) == len(MODELS)
    assert len(marks(drawn[NEURAL], Sheet(), "arrows_marks")) == 1
    assert len(marks(drawn[TOLERANCE], Sheet(), "infinite_tolerance_marks")) == 1
    alignment = drawn["accuracy-vs-alignment-clickme-photos-ddn-abs-of-mean"]
    assert len(marks(alignment, Sheet(), "nulls_marks")) == len(MODELS)
    # Nothing is picked on paper.
    assert marks(drawn[NEURAL], Sheet(), "picked_models_marks") == []


def test_points_are_where_the_axes_say(drawn):
    """Two of three places tell the third: the axes are linear."""
    places = []
    for mark in marks(drawn[NEURAL], Sheet(), "models_marks"):
        x, y = re.match(r"translate\(([\d.-]+),([\d.-]+)\)", mark.get("transform")).groups()
        places.append((float(x), float(y)))
    rows = drawn[NEURAL].data["points"]
    for axis, column in ((0, "top1"), (1, "score")):
        values, pixels = [row[column] for row in rows], [place[axis] for place in places]
        slope = (pixels[1] - pixels[0]) / (values[1] - values[0])
        expected = [pixels[0] + slope * (value - values[0]) for value in values]
        assert pixels == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("columns", ["one", "two"])
def test_every_format_is_as_wide_as_its_columns(all_figures, columns):
    sheet = Sheet(columns)
    for name in (NEURAL, "gallery") if columns == "one" else ("layers-it-pls",):
        figure, width = all_figures[name], WIDTHS_MM[columns]
        root = ElementTree.fromstring(svg(figure, sheet))
        assert root.get("width") == f"{width:.2f}mm"
        page = pdf(figure, sheet)
        box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+) [\d.]+\]", page)
        assert float(box[1]) == pytest.approx(width / 25.4 * 72, abs=0.01)
        image = png(figure, sheet)
        (pixels,) = struct.unpack(">I", image[16:20])
        (per_metre,) = struct.unpack(">I", image[image.index(b"pHYs") + 4 :][:4])
        assert 1000 * pixels / per_metre == pytest.approx(width, abs=0.1)


def test_the_font_is_embedded_and_is_one(all_figures):
    for figure in all_figures.values():
        page = pdf(figure, Sheet())
        assert b"/FontFile2" in page
        fonts = {name.split(b"+")[1] for name in re.findall(rb"/BaseFont ?/(\S+)", page)}
        assert fonts == {b"LiberationSans"}


def test_the_same_store_gives_the_same_bytes(drawn, store):
    again = {figure.name: figure for figure in figures(connect(store))}
    assert list(again) == list(drawn)
    for name in (TOLERANCE, "layers-it-pls"):
        for form, made in FORMATS.items():
            assert made(again[name], Sheet()) == made(drawn[name], Sheet()), (name, form)


def test_the_specification_restyles_and_holds_its_data(drawn):
    spec = json.loads(FORMATS["json"](drawn[NEURAL], Sheet()))
    assert spec["datasets"]["points"] == list(drawn[NEURAL].data["points"])
    assert "url" not in json.dumps(spec["datasets"])


def test_the_table_holds_what_is_drawn(drawn):
    rows = list(csv.DictReader(io.StringIO(table(drawn[TOLERANCE], Sheet()).decode(), newline="")))
    assert {row["model"]: float(row["tolerance"]) for row in rows} == {
        model: pytest.approx(tolerance) for model, (_, _, tolerance, _) in MODELS.items()
    }
    assert rows[0].keys() >= {"model", "kind", "top1", "top1_low", "top1_high"}


def test_hostile_names_are_text(all_figures):
    for figure in all_figures.values():
        drawing = svg(figure, Sheet()).decode()
        # Well-formed, and without an element or a control character that a name brought.
        tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(drawing).iter()}
        assert tags <= {
            "svg",
            "g",
            "path",
            "text",
            "line",
            "rect",
            "image",
            "tspan",
            "defs",
            "clipPath",
        }
        assert "\x1b" not in drawing
    assert HOSTILE in drawn_models(all_figures[NEURAL])


def drawn_models(figure: Figure) -> set[str]:
    return {row["model"] for row in figure.data["points"]}


def test_the_pdf_is_whole_after_its_entries_were_sorted(drawn):
    page = pdf(drawn["layers-it-pls"], Sheet())
    start = int(re.search(rb"startxref\n(\d+)", page)[1])
    table_of_objects = page[start:].split(b"trailer")[0].splitlines()[2:]
    for number, line in enumerate(table_of_objects):
        offset, _, kind = line.split()
        if kind == b"n":
            assert page[int(offset) :].startswith(b"%d 0 obj" % number)
    drawn_first = re.search(rb"/XObject <<\n((?: +/\w+ \d+ 0 R\n)+)", page)[1].splitlines()
    assert drawn_first == sorted(drawn_first)
    assert len(drawn_first) > 2


def test_dark_paper_is_dark_and_light_is_white(drawn):
    for theme, paper in (("light", "#ffffff"), ("dark", "#16181c")):
        root = ElementTree.fromstring(svg(drawn[NEURAL], Sheet(theme=theme)))
        assert root.find(f"{SVG}rect").get("fill") == paper


def test_pictures_stand_in_rows_and_are_what_is_stored(all_figures):
    gallery, maps = all_figures["gallery"], all_figures["spatial-maps-v4"]
    rows = gallery.data["pictures"]
    # The model that no attack moved has no picture.
    assert {row["model"] for row in rows} == set(MODELS) - {"timm/better"}
    assert [row["picture"] for row in rows[:4]] == [
        "photo",
        "perturbation",
        "adversarial",
        "human map",
    ]
    assert gallery.spec["title"].startswith("Planted maps")
    assert len(marks(gallery, Sheet(), "pictures_marks")) == len(rows)
    # Two pictures a model: three models beside each other.
    assert (maps.grid.rows, maps.grid.columns) == (2, 6)
    assert table(gallery, Sheet()).decode().startswith("model,row,column,picture,above,below")
