"""Figures for a page: compiled to Vega here, so that the browser compiles nothing and evaluates nothing."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import altair as alt
import vl_convert

from zoo_eval.figures.figure import Figure, Row, Spec

# As vl-convert writes it, e.g. "6.4" of "v6.4.1".
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
# The one that comes with this Vega in vl-convert.
INTERPRETER = "2.0.0"


def compiled(figure: Figure) -> Spec:
    """A figure's Vega specification, in which the data sets are named and empty.

    Raises:
        ValueError: the specification is wrong, which would be an error of this package.
    """
    without = {name: value for name, value in figure.spec.items() if name != "datasets"}
    vega: Spec = vl_convert.vegalite_to_vega(
        {**without, "description": figure.alt}, vl_version=VEGA_LITE
    )
    return vega


def on_page(figures: Iterable[Figure]) -> dict[str, Any]:
    """What a page needs to draw figures, as one JSON value.

    `models` are names; `figures` holds by name the compiled `vega` and the `data`, each data set as
    columns, in which a model is a place in `models`.
    """
    models: dict[str, int] = {}
    drawn = {
        one.name: {
            "vega": compiled(one),
            "data": {name: _columns(rows, models) for name, rows in one.data.items()},
        }
        for one in figures
    }
    return {"models": list(models), "figures": drawn}


def _columns(rows: Sequence[Row], models: dict[str, int]) -> Mapping[str, list[Any]]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    if "model" in columns:
        columns["model"] = [models.setdefault(name, len(models)) for name in columns["model"]]
    return columns


@cache
def runtime() -> str:
    """The JavaScript of a page with figures: defines `zooFigures`, needs no network and no `eval`.

    It is one script with Vega in it, about 590 kB, and holds nothing that would end a `<script>` element.
    """
    own = files("zoo_eval.figures").joinpath("figures.js").read_text(encoding="utf-8")
    own = own.replace("VEGA/", f"{vl_convert.get_vega_version()}/")
    own = own.replace("INTERPRETER/", f"{INTERPRETER}/")
    bundle: str = vl_convert.javascript_bundle(own, vl_version=VEGA_LITE)
    return bundle
