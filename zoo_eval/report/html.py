"""One self-contained HTML page that works offline: leaderboard, trends, layers, failures."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from zoo_eval.errors import BadInput
from zoo_eval.files.names import in_html
from zoo_eval.privacy import files as private
from zoo_eval.privacy.addresses import shown
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.report import examples, gallery, protocols, similarities, spatial_maps, svg
from zoo_eval.report.table import number, table
from zoo_eval.store import Store
from zoo_eval.trends.comparisons import (
    CEILED,
    VIEWS,
    Comparison,
    ceiled_or_raw,
    comparisons,
    describe,
)

Row = dict[str, Any]
# One panel of layers for what the trend compares, with its name taken apart.
FITTED = ("recording", "readout", "measure", *VIEWS["accuracy_vs_neural"].key)
NEURAL = ("neural_scores", "neural_scores_ceiled", "neural_readouts")
TOP1 = "ImageNet top-1 (share of photos)"
ALIGNMENT_NOTE = (
    '<p class="soft">Compare with the same model\'s null, the maps of other images: looking at the '
    "centre alone gives a positive correlation.</p>"
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
    leaderboard = connection.rows("SELECT * FROM leaderboard")
    family = {row["model"]: row["family"] for row in leaderboard}
    parts = [
        _summary(connection, uri),
        _section("Leaderboard", _leaderboard(leaderboard)),
        _section("Accuracy against neural score", _neural(connection, family, "fold")),
        _section("Accuracy against maps over positions", _neural(connection, family, "image")),
        _section(
            "Accuracy against tolerance",
            _scatters(
                comparisons(connection, "accuracy_vs_tolerance"),
                family,
                _tolerance_scale,
                lambda row: (
                    f"top-1 {row['top1']:.2f}, tolerance {number(row['value'])} over "
                    f"{row['n_found'] + row['n_bound_hit']} correct images"
                ),
            ),
        ),
        _section(
            "Accuracy against human alignment",
            ALIGNMENT_NOTE
            + _scatters(
                comparisons(connection, "accuracy_vs_alignment"),
                family,
                lambda _: Scale("mean Spearman with human maps"),
                lambda row: (
                    f"top-1 {row['top1']:.2f}, alignment {number(row['value'])}, with other "
                    f"images' maps {number(row['null_alignment'])}, {row['n_images']} images"
                ),
            ),
        ),
        _section("Attack protocols side by side", protocols.section(connection)),
        gallery.section(examples.chosen(connection)) + spatial_maps.section(connection),
        _section("Score by layer", _profiles(connection, family)),
        _section("Similarity over all stimuli, and subjects", similarities.section(connection)),
        _section("Quarantined by the sanity gate", _quarantined(connection)),
        _section("Failures", _failures(connection)),
        _footer(connection),
    ]
    return _document("zoo_eval report", parts)


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
    return _document(f"Attacks on {models}", [gallery.section(stored)])


def _document(title: str, parts: Sequence[str]) -> str:
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{in_html(title)}</title><style>{style}</style></head>\n"
        f'<body>{"".join(parts)}<div id="tip" role="status" hidden></div>'
        f"<script>{script}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return files("zoo_eval.report").joinpath(name).read_text(encoding="utf-8")


def _section(title: str, inside: str) -> str:
    return f"<h2>{in_html(title)}</h2>\n{inside}\n"


def _summary(connection: Connection, uri: str) -> str:
    (counts,) = connection.rows(
        "SELECT count(DISTINCT model) AS n_models, "
        "count(*) FILTER (status = 'ok') AS n_ok, max(started_at) AS latest FROM trials"
    )
    latest = f", the latest begun {counts['latest']:%Y-%m-%d %H:%M} UTC" if counts["latest"] else ""
    planted = connection.rows(
        "SELECT DISTINCT recording FROM ceilings WHERE estimator = 'planted_exact'"
    )
    names = ", ".join(in_html(row["recording"]) for row in planted)
    warning = (
        f'<p class="planted"><strong>Planted:</strong> the responses of {names} were made from a '
        "layer of one of these models plus noise, to check the method. They are not neural data.</p>"
        if planted
        else ""
    )
    by_nobody = connection.rows("SELECT DISTINCT importance FROM alignments WHERE planted")
    if maps := ", ".join(in_html(row["importance"]) for row in by_nobody):
        warning += (
            f'<p class="planted"><strong>Planted:</strong> the maps of {maps} are local contrast of '
            "the images, to check the method. Nobody looked at anything: they are not human data.</p>"
        )
    return (
        f"<h1>zoo_eval report</h1><p>{counts['n_models']} models, {counts['n_ok']} finished "
        f'trials{latest}. <span class="soft">Store: {in_html(shown(uri))}</span></p>{warning}'
    )


def _leaderboard(rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>No model has been evaluated yet.</p>"
    recordings = sorted({name for row in rows for name, _ in row["neural_scores"] or ()})
    header = ["model", "top-1", "95 % interval"]
    statistics = {k: v for row in rows for k, v in row["neural_statistics"] or ()}
    for name in recordings:
        header += [f"{name} {statistics[name]}", f"{name} {CEILED}", f"{name} readout"]
    header += [
        "tolerance (l2)",
        "smallest by",
        "alignment",
        "its null",
        "parameters",
        "input px",
        "gate",
    ]
    body = []
    for row in rows:
        neural = [dict(row[name] or ()) for name in NEURAL]
        cells = [row["model"], row["top1"], _interval(row)]
        cells += [column.get(name) for name in recordings for column in neural]
        cells += [
            row["tolerance"],
            row["tolerance_attack"],
            row["alignment"],
            row["null_alignment"],
        ]
        body.append([*cells, row["n_params"], row["input_px"], row["gate"]])
    note = (
        '<p class="soft">Neural scores are means over folds, of a fit medians over targets; layer and '
        "readout are chosen without the scored fold. Tolerance: median smallest "
        "perturbation over correctly classified images; every attack bounds it from above. Alignment: "
        "mean Spearman of perturbation and human map (of gradient, if no perturbation has maps); its "
        f"null takes other images' maps.{_setting(rows)}</p>"
    )
    return note + table(header, body)


def _setting(rows: Sequence[Row]) -> str:
    """In which all tolerances were measured; nothing where none was."""
    for row in rows:
        if row["tolerance"] is not None:
            said = [row["tolerance_stimuli"], row["tolerance_decision"]]
            said += [f"canvas {row['tolerance_canvas']}"] if row["tolerance_canvas"] else []
            return f" All tolerances are of one setting: {in_html(', '.join(filter(None, said)))}."
    return ""


def _interval(row: Row) -> str | None:
    return None if row["top1"] is None else f"{row['top1_low']:.2f} to {row['top1_high']:.2f}"


class Scale(NamedTuple):
    """What a plot measures; plots of one scale have one axis."""

    label: str
    log: bool = False
    protocol: str | None = None


def _tolerance_scale(comparison: Comparison) -> Scale:
    """Of the norm; a published protocol's distances are as its code measures them."""
    norm, protocol = comparison.rows[0]["norm"], comparison.key["protocol"]
    if protocol == "corrected":
        return Scale(f"median smallest {norm} perturbation ([0, 1] pixels)", log=True)
    return Scale(f"median {norm} distance (the protocol's own unit)", True, protocol)


def _scatters(
    compared: Sequence[Comparison],
    family: dict[str, str],
    scale: Callable[[Comparison], Scale],
    detail: Callable[[Row], str],
) -> str:
    """One panel per comparison."""
    if not compared:
        return "<p>Nothing to show yet.</p>"
    colours = _colours(family)
    x = svg.axis(TOP1, [row["top1"] for one in compared for row in one.rows])
    values: dict[Scale, list[float]] = defaultdict(list)
    for one in compared:
        values[scale(one)] += [row["value"] for row in one.rows]
    axes = {of: svg.axis(of.label, some, log=of.log) for of, some in values.items()}
    figures = []
    for one in compared:
        points = [
            svg.Point(
                r["model"], r["top1"], r["value"], family.get(r["model"], ""), detail(r),
                r["top1_low"], r["top1_high"],
            )
            for r in one.rows
        ]  # fmt: skip
        plot = svg.scatter(one.subject, points, x, axes[scale(one)], colours)
        said = "; ".join(describe(statistic) for statistic in one.statistics())
        figures.append(
            f"<figure><h3>{in_html(one.subject)}</h3>{plot}"
            f"<figcaption>{svg.legend(points, colours)}<br>{in_html(said)}<br>"
            f'<span class="soft">{in_html(one.key["protocol"])} {in_html(one.key["parameters"])}</span>'
            "</figcaption></figure>"
        )
    return f'<div class="figures">{"".join(figures)}</div>'


def _neural(connection: Connection, family: dict[str, str], part: str) -> str:
    """Scores of recordings, each a mean over folds, or over images of maps, at the best layer."""
    trend = {"fold": "accuracy_vs_neural", "image": "accuracy_vs_spatial"}[part]
    return _scatters(
        comparisons(connection, trend),
        family,
        lambda one: Scale(f"{one.measure}, mean over {part}s, best layer"),
        lambda row: f"top-1 {row['top1']:.2f}, {row['value']:.3f} at {row['layer']}",
    )


def _colours(family: dict[str, str]) -> dict[str, int]:
    """One colour per family, the same in every plot."""
    return {name: number for number, name in enumerate(sorted({"", *family.values()}))}


def _profiles(connection: Connection, family: dict[str, str]) -> str:
    """One panel per fit or similarity; panels of one measure have one axis."""
    panels: dict[Any, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    values: dict[str, list[float]] = defaultdict(list)
    rows = _layers(connection)
    for row in rows:
        panels[tuple(row[name] for name in FITTED)][row["model"]].append(row)
        values[row["measure"]].append(row["score"])
    if not panels:
        return "<p>No layer has been fitted to a recording yet.</p>"
    colours = _colours(family)
    x = svg.axis("depth in the network (0 first, 1 logits)", [row["depth"] for row in rows])
    axes = {of: svg.axis(f"{of}, mean over folds", some) for of, some in values.items()}
    figures = []
    for (recording, readout, measure, *_), by_model in sorted(panels.items()):
        lines = [
            svg.Line(
                model,
                tuple((r["depth"], r["score"], f"{r['layer']}, {r['score']:.3f}") for r in some),
                family.get(model, ""),
            )
            for model, some in by_model.items()
        ]
        title = f"{recording}, {readout}"
        plot = svg.profile(title, lines, x, axes[measure], colours)
        figures.append(
            f"<figure><h3>{in_html(title)}</h3>{plot}"
            f"<figcaption>{svg.legend(lines, colours)}</figcaption></figure>"
        )
    return f'<div class="figures">{"".join(figures)}</div>'


def _layers(connection: Connection) -> list[Row]:
    """Each layer's score: its mean over folds, ceiled or raw as its measure says."""
    score, measure = ceiled_or_raw("r_over_sqrt_ceiling", "score")
    return connection.rows(
        f"WITH f AS (SELECT *, {score} AS value, {measure} AS measure FROM neural_folds "
        "WHERE score IS NOT NULL) "
        f"SELECT f.model, {', '.join(f'f.{name}' for name in FITTED)}, f.layer, "
        "any_value(l.depth) AS depth, avg(f.value) AS score "
        "FROM f JOIN layers AS l ON l.model = f.model AND l.layer = f.layer "
        "GROUP BY ALL ORDER BY f.model, depth"
    )


def _quarantined(connection: Connection) -> str:
    rows = connection.rows(
        "SELECT model, gate_reason FROM gates WHERE gate = 'fail' ORDER BY model"
    )
    if not rows:
        return "<p>No model failed its gate.</p>"
    note = '<p class="soft">Their rows are kept, but left out of every default view.</p>'
    return note + table(["model", "reason"], [[r["model"], r["gate_reason"]] for r in rows])


def _failures(connection: Connection) -> str:
    columns = ["model", "evaluation", "layer", "readout", "attack", "status", "error_message"]
    rows = connection.rows(f"SELECT {', '.join(columns)} FROM failures")
    if not rows:
        return "<p>No trial failed or was refused.</p>"
    return table(columns, [[row[column] for column in columns] for row in rows])


def _footer(connection: Connection) -> str:
    rows = connection.rows(
        "SELECT code_revision, library_versions, list(DISTINCT device ORDER BY device) AS devices, "
        "count(*) AS n FROM trials GROUP BY ALL ORDER BY n DESC"
    )
    lines = [
        f"{row['n']} trials by revision {row['code_revision']} on {', '.join(row['devices'])}: "
        f"{row['library_versions']}"
        for row in rows
    ]
    return "<footer>" + "".join(f"<p>{in_html(line)}</p>" for line in lines) + "</footer>"
