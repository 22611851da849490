"""The leaderboard: one row per model, with every fact and score that any model of the store has."""

from typing import Any

from zoo_eval.queries.connection import Connection
from zoo_eval.report.settings import in_a_line
from zoo_eval.report.table import COUNT, REAL, SHARE, Column, Table
from zoo_eval.trends.comparisons import CEILED

Row = dict[str, Any]
WITH_CARDS = """
SELECT l.*, m.source, m.objective, m.flops, m.harmonized_from, m.revision, m.head
FROM leaderboard AS l
LEFT JOIN (
    SELECT * FROM models
    QUALIFY row_number() OVER (PARTITION BY model, weights_digest ORDER BY trial_id) = 1
) AS m USING (model, weights_digest)
ORDER BY nullif(l.top1, 'nan'::DOUBLE) DESC NULLS LAST, l.model
"""
MODEL = Column("model", "model", meaning="the model card's name; opens the model's page")
ACCURACY = (
    Column("top1", "top-1", SHARE, "share of images whose label is the first choice"),
    Column("interval", "95 % interval", meaning="Wilson interval of top-1"),
    Column("top5", "top-5", SHARE, "share whose label is among the first five", shown=False),
    Column("published_top1", "published top-1", SHARE, "on ImageNet, as published", shown=False),
)
ROBUSTNESS = (
    Column(
        "tolerance", "tolerance (l2)", REAL,
        "median smallest perturbation over correctly classified images; every attack bounds it from above",
    ),
    Column(
        "tolerance_common", "tolerance, common images", REAL,
        "the same over images that every compared model classifies correctly", shown=False,
    ),
    Column("tolerance_attack", "smallest by", meaning="the attack that found the smallest"),
    Column(
        "alignment", "alignment", REAL,
        "mean Spearman of perturbation and human map (of gradient, if no perturbation has maps)",
    ),
    Column("null_alignment", "its null", REAL, "the same with other images' maps"),
    Column(
        "ceiled_alignment", "alignment, ceiled", REAL, "divided by agreement among people",
        shown=False,
    ),
    Column("alignment_method", "aligned by", meaning="attack or gradient", shown=False),
)  # fmt: skip
FACTS = (
    Column("family", "family", meaning="of the architecture", choose=True),
    Column("source", "source", meaning="the library that the card is from", choose=True),
    Column("n_params", "parameters", COUNT, "in the whole network"),
    Column("flops", "FLOPs", COUNT, "of one image, two per multiply-add", shown=False),
    Column("input_px", "input px", COUNT, "side of the input"),
    Column("year", "year", COUNT, "of publication"),
    Column("gate", "gate", meaning="what the sanity gate says", choose=True),
    Column("pretraining", "pretraining", meaning="training data or recipe", shown=False, choose=True),
    Column("objective", "objective", meaning="training objective", shown=False, choose=True),
    Column("harmonized_from", "harmonized from", meaning="the model before harmonization"),
    Column("graded", "graded by", meaning="edits of trained weights", shown=False),
    Column("architecture", "architecture", meaning="the network's definition", shown=False),
    Column("head", "head", meaning="what its classes are", shown=False, choose=True),
    Column("licence", "licence", meaning="of the weights", shown=False, choose=True),
    Column("revision", "revision", meaning="of the weights, at their hub", shown=False),
    Column("weights_digest", "weights", meaning="digest of the weights as evaluated", shown=False),
)  # fmt: skip


def leaderboard(connection: Connection) -> Table:
    """Every model that has passed, or was not put to, the gate; the most accurate first."""
    rows = connection.rows(WITH_CARDS)
    recordings = sorted({name for row in rows for name, _ in row["neural_scores"] or ()})
    statistics = {k: v for row in rows for k, v in row["neural_statistics"] or ()}
    neural = [
        column
        for place, name in enumerate(recordings)
        for column in _of_a_recording(place, name, statistics[name])
    ]
    columns = (MODEL, *ACCURACY, *neural, *ROBUSTNESS, *FACTS)
    cells = [_cells(row, recordings) for row in rows]
    return Table("leaderboard", "Leaderboard", columns, cells, sort="-top1")


def setting(connection: Connection) -> str:
    """In which all tolerances were measured, in words; nothing where none was."""
    found = connection.rows(
        "SELECT tolerance_stimuli, tolerance_decision, tolerance_canvas FROM leaderboard "
        "WHERE tolerance IS NOT NULL LIMIT 1"
    )
    if not found:
        return ""
    stimuli, decision, canvas = found[0].values()
    said = [stimuli, decision, f"canvas {canvas}" if canvas else None]
    return f"All tolerances are of one setting: {', '.join(filter(None, said))}."


def _of_a_recording(place: int, name: str, statistic: str) -> tuple[Column, ...]:
    return (
        Column(f"score{place}", f"{name} {statistic}", REAL,
               "mean over folds of the best readout, chosen, as its layer, without the scored fold"),
        Column(f"ceiled{place}", f"{name} {CEILED}", REAL, "the same against the recording's ceiling"),
        Column(f"readout{place}", f"{name} readout", meaning="the best readout"),
    )  # fmt: skip


def _cells(row: Row, recordings: list[str]) -> Row:
    cells = {**row, "graded": in_a_line(row["graded_from"])}
    if row["top1"] is not None:
        cells["interval"] = f"{row['top1_low']:.2f} to {row['top1_high']:.2f}"
    for name, column in (
        ("score", "neural_scores"),
        ("ceiled", "neural_scores_ceiled"),
        ("readout", "neural_readouts"),
    ):
        of = dict(row[column] or ())
        cells |= {f"{name}{place}": of.get(one) for place, one in enumerate(recordings)}
    return cells
