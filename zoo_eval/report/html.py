"""The report: one HTML page that works offline, on which everything can be selected."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo_eval.errors import BadInput
from zoo_eval.figures.figure import Figure
from zoo_eval.figures.known import Known
from zoo_eval.figures.page import on_page, runtime
from zoo_eval.figures.shown import known_figures
from zoo_eval.files.names import in_html
from zoo_eval.privacy import files as private
from zoo_eval.privacy.addresses import shown
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.report import (
    drawn,
    examples,
    exclusions,
    gallery,
    harmonized,
    methods,
    planted,
    protocols,
    similarities,
    spatial_maps,
    written,
)  # fmt: skip
from zoo_eval.report.claims import claims
from zoo_eval.report.details import details
from zoo_eval.report.leaderboard import leaderboard, setting
from zoo_eval.report.references import cited
from zoo_eval.report.section import Section, contents, listed, place, soft, together
from zoo_eval.report.shell import document, script
from zoo_eval.report.table import Table
from zoo_eval.store import Store

LEADERBOARD_NOTE = (
    "Neural scores are means over folds, of a fit medians over targets; layer and readout are chosen "
    "without the scored fold. Tolerance: median smallest perturbation over correctly classified images; "
    "every attack bounds it from above. Alignment: mean Spearman of perturbation and human map (of "
    "gradient, if no perturbation has maps); its null takes other images' maps."
)
HOW_TO_SELECT = (
    "Drag over a figure: its models stay in the table and in every other figure. Tick models in the "
    "table: figures show where they are. Escape, or Clear, ends it. A model's name opens its page."
)
WITHOUT_SCRIPTS = (
    "<noscript><p>Tables and figures of this page are drawn by its own scripts, which need no network; "
    "this browser runs none.</p></noscript>"
)


def write(store: Store, out: Path) -> None:
    """Writes the report of a store.

    Raises:
        OSError: the file cannot be written.
    """
    content = page(connect(store), store.uri)
    private.make_folder(out.parent)
    with private.opened(out, "w", encoding="utf-8") as file:
        file.write(content)


def page(connection: Connection, uri: str) -> str:
    """The report's HTML: nothing in it refers to anything outside."""
    known = Known(connection)
    shown_figures = known_figures(known)
    tables = {table.name: table for table in _tables(connection)}
    sections = list(_sections(known, tables, shown_figures))
    body = (
        '<a class="skip" href="#leaderboard">Skip to the leaderboard</a>'
        f"{_header(connection, uri)}{WITHOUT_SCRIPTS}"
        f'<main><div id="overview">{contents(sections)}{together(sections)}</div>'
        '<div id="model" hidden></div></main>'
        '<div id="card" hidden></div><div id="said" class="unseen" role="status"></div>'
    )
    data = {
        "tables": [table.on_page() for table in tables.values() if table],
        "drawn": _drawn(shown_figures),
    }
    later = [table.on_page() for table in details(known)]
    blocks = written.block("data", data) + written.packed("details", later)
    return document("zoo_eval report", body + blocks, scripts=[runtime(), script()])


def gallery_page(connection: Connection, models: str) -> str:
    """Every stored picture of the models that a pattern fits, each by its smallest attack.

    Raises:
        BadInput: none is stored.
    """
    stored = examples.chosen(connection, models=models, most_models=None, per_model=None)
    if not stored:
        raise BadInput(
            f"no picture of a model {models!r} is stored; set save_perturbations = true in an "
            "evaluation of kind minimal_attack, or correct the pattern"
        )
    title = f"Attacks on {models}"
    inside = gallery.pictures(stored)
    return document(title, f"<main><h1>{in_html(title)}</h1>{inside}</main>")


def _drawn(shown_figures: Sequence[Figure]) -> dict[str, Any]:
    """Figures for the page's script: names of models and data are text, specifications are code."""
    found = on_page(shown_figures)
    for one in found["figures"].values():
        one["vega"] = written.Exact(one["vega"])
    return found


def _tables(connection: Connection) -> Iterator[Table]:
    yield leaderboard(connection)
    yield protocols.protocols(connection)
    yield harmonized.harmonized(connection)
    yield similarities.similarities(connection)
    yield exclusions.failures(connection)
    yield exclusions.quarantined(connection)


def _sections(
    known: Known, tables: dict[str, Table], shown_figures: Sequence[Figure]
) -> Iterator[Section]:
    connection = known.connection
    leaders, quarantined = tables["leaderboard"], tables["quarantined"]
    yield Section("leaderboard", "Leaderboard", _leaderboard(connection, leaders))
    yield Section("claims", "Questions and answers", claims(known.comparisons))
    yield from drawn.sections(shown_figures, known.comparisons)
    if pairs := tables["harmonized"]:
        yield Section("harmonized", pairs.caption, soft(harmonized.NOTE) + place(pairs))
    if side_by_side := tables["protocols"]:
        inside = soft(protocols.NOTE) + protocols.explained(side_by_side) + place(side_by_side)
        yield Section("protocols", side_by_side.caption, inside)
    yield Section(
        "gallery", "Gallery of smallest attacks", gallery.pictures(examples.chosen(connection))
    )
    yield Section("spatial", "Neural and predicted maps", spatial_maps.pictures(connection))
    if alike := tables["similarities"]:
        yield Section("similarities", alike.caption, soft(similarities.NOTE) + place(alike))
    yield Section("failures", "Failures", _failures(connection, tables["failures"]))
    counted = listed(exclusions.no_numbers(connection))
    if inside := counted + (soft(exclusions.KEPT) + place(quarantined) if quarantined else ""):
        yield Section("exclusions", "Left out of the numbers", inside)
    yield Section("methods", "Methods", methods.methods(connection))
    yield Section("references", "References", cited(connection))
    yield Section("provenance", "Provenance", methods.provenance(connection))


def _header(connection: Connection, uri: str) -> str:
    (counts,) = connection.rows(
        "SELECT count(DISTINCT model) AS n_models, "
        "count(*) FILTER (status = 'ok') AS n_ok, max(started_at) AS latest FROM trials"
    )
    latest = f", the latest begun {counts['latest']:%Y-%m-%d %H:%M} UTC" if counts["latest"] else ""
    return (
        '<header><h1><a href="#">zoo_eval report</a></h1>'
        f"<p>{counts['n_models']:,} models, {counts['n_ok']:,} finished trials{latest}. "
        f'<span class="soft">Store: {in_html(shown(uri))}</span></p>'
        '<button type="button" id="theme" hidden>Dark</button>'
        f"{planted.warnings(connection)}</header>"
    )


def _leaderboard(connection: Connection, table: Table) -> str:
    if not table:
        return "<p>No model has been evaluated yet.</p>"
    note = " ".join(filter(None, [LEADERBOARD_NOTE, setting(connection)]))
    return soft(HOW_TO_SELECT) + place(table) + soft(note)


def _failures(connection: Connection, table: Table) -> str:
    if not table:
        return "<p>No trial failed or was refused.</p>"
    return listed(exclusions.by_kind(connection)) + place(table)
