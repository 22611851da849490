"""Layer profiles: how the score of a recording rises and falls with depth, model by model."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np

from zoo_eval.figures import looks
from zoo_eval.figures.against_accuracy import PLANTED_RESPONSES, counted, worded
from zoo_eval.figures.axes import Axis, axis
from zoo_eval.figures.figure import Figure, Row, Spec, short, slug
from zoo_eval.figures.known import Known
from zoo_eval.figures.labels import said
from zoo_eval.figures.scatter import PICKED, finished, veil
from zoo_eval.files.names import printable
from zoo_eval.trends.comparisons import CEILED
from zoo_eval.trends.titles import subjects

KEY = ("protocol", "parameters", "recording_digest", "stimuli_digest", "seed")
# So many lines can be told apart; of more models the others are a band.
MOST_LINES = 8
# Depths at which the band is taken.
DEPTHS = np.linspace(0, 1, 21)
DEPTH = "Depth in the network (0 first, 1 logits)"


def profiles(known: Known) -> Iterator[Figure]:
    """A figure for each recording and readout, all protocols apart."""
    for subject, key, rows in panels(known):
        planted = known.planted(key["recording_digest"])
        yield _figure(subject, key["statistic"], rows, planted=planted)


def panels(known: Known) -> Iterator[tuple[str, Row, list[Row]]]:
    """Each of those figures' subject, what all its rows share, and its rows, model by model."""
    rows = known.layer_profiles
    found = [
        (dict(zip(("recording", "readout", "statistic", *KEY), key, strict=True)), list(some))
        for key, some in itertools.groupby(rows, _panel)
    ]
    names = [f"{key['recording']}, {key['readout']}" for key, _ in found]
    keys = [{name: key[name] for name in ("statistic", *KEY)} for key, _ in found]
    for subject, (key, some) in zip(subjects(names, keys), found, strict=True):
        yield subject, key, some


def _panel(row: Row) -> tuple[Any, ...]:
    order = ("recording", "readout", "statistic", *KEY)
    return tuple(row[name] for name in order)


def _figure(subject: str, statistic: str, rows: Sequence[Row], *, planted: bool) -> Figure:
    ceiled = all(row["ceiled_score"] is not None for row in rows)
    field, measure = ("ceiled_score", CEILED) if ceiled else ("score", statistic)
    by_model = {
        model: [{"model": model, "depth": row["depth"], "score": row[field]} for row in some]
        for model, some in itertools.groupby(rows, lambda row: row["model"])
    }
    peaks = {model: max(row["score"] for row in some) for model, some in by_model.items()}
    best = sorted(peaks, key=lambda model: (-peaks[model], model))[:MOST_LINES]
    names = _names(best)
    lines = [{**row, "name": names[model]} for model in best for row in by_model[model]]
    band = _band(list(by_model.values())) if len(by_model) > MOST_LINES else []
    held = [{"score": value} for row in band for value in (row["low"], row["high"])]
    y = axis("score", f"{worded(measure)}, mean over folds", [*lines, *held])
    title = PLANTED_RESPONSES if planted else None
    shown = f"the {len(best)} best of {counted(len(by_model))}" if band else counted(len(best))
    return Figure(
        name=slug(f"layers {subject}"),
        title=f"Score by layer: {subject}",
        section="layers",
        alt=f"Lines of {shown}: {y.title}, over depth. Highest: {best[0]}, {peaks[best[0]]:.3g}.",
        spec={**_drawn(best, y, title), "datasets": _data(lines, band)},
        notes=tuple(_said(len(best), len(by_model))),
    )


def _names(models: Sequence[str]) -> dict[str, str]:
    """Names as they are on scatter plots; whole where two would be one."""
    short_names = Counter(said(model) for model in models)
    return {
        model: said(model) if short_names[said(model)] == 1 else printable(model)
        for model in models
    }


def _said(n_lines: int, n_models: int) -> Iterator[str]:
    yield "One mark per layer."
    if n_models > n_lines:
        yield (
            f"Lines: the {n_lines} models of the highest peaks. Grey: median and quartiles of all "
            f"{n_models}, between layers along straight lines."
        )


def _band(models: Sequence[Sequence[Row]]) -> list[Row]:
    """Median and quartiles over models at each depth that half of them or more reach."""
    found = np.full((len(models), len(DEPTHS)), np.nan)
    for place, some in enumerate(models):
        depth, score = (np.array([row[name] for row in some]) for name in ("depth", "score"))
        found[place] = np.interp(DEPTHS, depth, score, left=np.nan, right=np.nan)
    reached = (~np.isnan(found)).mean(axis=0) >= 0.5
    low, median, high = np.nanquantile(found[:, reached], [0.25, 0.5, 0.75], axis=0)
    return [
        {"depth": float(depth), "low": float(a), "median": float(b), "high": float(c)}
        for depth, a, b, c in zip(DEPTHS[reached], low, median, high, strict=True)
    ]


def _data(lines: Sequence[Row], band: Sequence[Row]) -> dict[str, list[Row]]:
    tables = {"lines": lines, "band": band}
    return {
        name: [{k: short(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        for name, rows in tables.items()
        if rows
    }


def _drawn(models: Sequence[str], y: Axis, title: str | None) -> Spec:
    x = Axis("depth", DEPTH, -0.02, 1.02)
    layers = [*_band_layers(x, y), *_lines(models, x, y, picked=False), veil()]
    layers += _lines(models, x, y, picked=True)
    chart = alt.layer(*layers).properties(
        width="container",
        height=looks.HEIGHT_PX + 40,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        **({} if title is None else {"title": title}),
    )
    return finished(chart)


def _band_layers(x: Axis, y: Axis) -> Iterator[alt.Chart]:
    band = alt.Chart(alt.NamedData("band"))
    yield band.mark_area(color=looks.SOFT, opacity=0.18).encode(x=x.x(), y=y.y("low"), y2="high")
    yield band.mark_line(color=looks.SOFT, strokeWidth=1.2).encode(x=x.x(), y=y.y("median"))


def _lines(models: Sequence[str], x: Axis, y: Axis, *, picked: bool) -> Iterator[alt.Chart]:
    colours = [looks.tone(*looks.SERIES[place]) for place in range(len(models))]
    shapes = [looks.SHAPES[place] for place in range(len(models))]
    legend = alt.Legend(orient="bottom", columns=2, labelLimit=150, symbolLimit=MOST_LINES)
    # By name, so that a model has one colour in the figures that show the same models.
    domain = [name for _, name in sorted(_names(models).items())]
    colour = alt.Color("name:N", legend=legend, scale=alt.Scale(domain=domain, range=colours))
    shape = alt.Shape("name:N", legend=legend, scale=alt.Scale(domain=domain, range=shapes))
    chart = alt.Chart(alt.NamedData("lines"), name="picked_lines" if picked else "lines")
    if picked:
        chart = chart.transform_filter(PICKED)
    yield chart.mark_line(strokeWidth=1.4).encode(x=x.x(), y=y.y(), color=colour)
    named = chart.properties(name="picked_models" if picked else "models")
    yield named.mark_point(filled=True, size=28).encode(x=x.x(), y=y.y(), color=colour, shape=shape)
