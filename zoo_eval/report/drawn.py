"""Drawn: the page's figures, each above its statistics in words."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from zoo_eval.figures.figure import Figure
from zoo_eval.files.names import in_html
from zoo_eval.report.section import Section, listed
from zoo_eval.report.settings import listed as settings
from zoo_eval.trends.comparisons import Comparison, describe

TITLES = {
    "neural": "Accuracy against neural score",
    "maps": "Accuracy against maps over positions",
    "tolerance": "Accuracy against tolerance",
    "alignment": "Accuracy against human alignment",
    "tradeoff": "Tolerance against alignment",
    "layers": "Score by layer",
}


def sections(figures: Sequence[Figure], found: Sequence[Comparison]) -> Iterator[Section]:
    """A section for each kind of figure, in the order of the figures; `found` is what they compare."""
    compared: dict[tuple[str | None, str | None], Comparison] = {
        (one.trend, one.subject): one for one in found
    }
    for name, some in groupby(figures, lambda one: one.section):
        drawn = "".join(_figure(one, compared.get((one.trend, one.subject))) for one in some)
        title = TITLES.get(name, name.capitalize())
        yield Section(name, title, f'<div class="figures">{drawn}</div>')


def _figure(figure: Figure, compared: Comparison | None) -> str:
    """Where the page's script draws a figure, with what is said below it."""
    said = [describe(row) for row in compared.statistics()] if compared else []
    below = listed(said) + listed(figure.notes)
    if compared:
        below += settings(compared.key["parameters"])
    return (
        f'<figure class="plot" id="figure-{figure.name}"><h3>{in_html(figure.title)}</h3>'
        f'<div class="drawing" data-figure="{figure.name}"></div>'
        f"<figcaption>{below}</figcaption></figure>"
    )
