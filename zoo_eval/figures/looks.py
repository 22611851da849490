"""How figures look: kinds of models told apart by colour and shape, on light and on dark paper."""

from typing import Any

import altair as alt

# Drawn by vl-convert, which brings the first; browsers without it have one of the same widths.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
FONT_PX = 10
# One weight: a second font would be embedded in an order that changes from run to run.
WEIGHT = "normal"
HEIGHT_PX = 300

# Kind: its shape, its colour on light paper, its colour on dark. The colours are told apart by
# people who see two primaries only (after Okabe and Ito), and each has a contrast of 3 and more.
KINDS = {
    "trained": ("circle", "#0072b2", "#56b4e9"),
    "untrained": ("cross", "#6b6b6b", "#b0b0b0"),
    "graded": ("square", "#00805e", "#2fc39b"),
    "harmonized": ("diamond", "#c24d00", "#ff9257"),
}
# Lines of a figure that names each: the same order of hues.
SERIES = (
    ("#0072b2", "#56b4e9"),
    ("#c24d00", "#ff9257"),
    ("#00805e", "#2fc39b"),
    ("#a3508b", "#e59acb"),
    ("#8a6d00", "#f0c93a"),
    ("#4b4b4b", "#cfcfcf"),
    ("#2f4bbd", "#93a6ff"),
    ("#8c2d2d", "#ff8f8f"),
)
SHAPES = (
    "circle", "diamond", "square", "triangle-up", "cross", "triangle-down", "triangle-right",
    "triangle-left",
)  # fmt: skip
# What is set against these papers: text, axes, what is drawn for comparison.
PAPER = {"light": "#ffffff", "dark": "#16181c"}
# What is not picked is veiled with the paper, to this share.
VEIL = 0.86


def tone(light: str, dark: str) -> alt.ExprRef:
    """A colour that follows the signal `theme`."""
    return alt.ExprRef(f"theme === 'dark' ? '{dark}' : '{light}'")


INK = tone("#1f2328", "#e6e8eb")
SOFT = tone("#5c636b", "#a3abb5")
GRID = tone("#e8eaed", "#2b2f36")
AXIS = tone("#8b929a", "#7a828c")


def params() -> tuple[alt.Parameter, ...]:
    """Signals of every figure: how it is lit, and the models picked elsewhere (null where all are)."""
    return (
        alt.param(name="theme", value="light"),
        # A literal null would be taken for an absent value.
        alt.param(name="picked", expr="null"),
        alt.param(name="paper", value=PAPER["light"]),
    )


def config() -> dict[str, Any]:
    """The configuration of every figure."""
    text = {"labelFont": FONT, "titleFont": FONT, "titleFontWeight": WEIGHT}
    sizes = {"labelFontSize": FONT_PX, "titleFontSize": FONT_PX + 1}
    colours = {"labelColor": SOFT.to_dict(), "titleColor": INK.to_dict()}
    axis = {"gridColor": GRID.to_dict(), "domainColor": AXIS.to_dict(), "tickColor": AXIS.to_dict()}
    title = {"font": FONT, "fontWeight": WEIGHT, "fontSize": FONT_PX + 1, "color": INK.to_dict()}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**text, **sizes, **colours, **axis, "labelFlush": False},
        "legend": {**text, **sizes, **colours, "orient": "top", "title": None, "labelLimit": 220},
        "title": {**title, "anchor": "start", "subtitleFontWeight": WEIGHT, "offset": 8},
    }


def kind_scales(present: list[str]) -> tuple[alt.Color, alt.Shape]:
    """Colour and shape of the kinds that a figure shows; no legend for one alone."""
    legend = None if len(present) < 2 else alt.Legend(title=None)
    colours = [tone(*KINDS[kind][1:]) for kind in present]
    shapes = [KINDS[kind][0] for kind in present]
    colour = alt.Color("kind:N", legend=legend, scale=alt.Scale(domain=present, range=colours))
    return colour, alt.Shape("kind:N", legend=legend, scale=alt.Scale(domain=present, range=shapes))
