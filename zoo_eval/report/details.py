"""Details: what the page of one model holds beyond its row of the leaderboard, as tables by model."""

from collections.abc import Sequence
from typing import Any

from zoo_eval.figures.known import Known
from zoo_eval.figures.profiles import panels
from zoo_eval.queries.connection import Connection
from zoo_eval.report.settings import in_a_line
from zoo_eval.report.table import COUNT, REAL, SHARE, Column, Table

Row = dict[str, Any]
MODEL = Column("model", "model")
# The page of a model draws this one.
PROFILES = "profiles"
SETTINGS = Column("settings", "settings")


def details(known: Known) -> list[Table]:
    """All tables of details, those with rows."""
    connection = known.connection
    made = [
        _scores(connection),
        _profiles(known),
        *(one(connection) for one in (_tolerances, _alignments, _spatial, _layers, _provenance)),
    ]
    return [table for table in made if table]


def _scores(connection: Connection) -> Table:
    columns = (
        MODEL,
        Column("recording", "recording"),
        Column("readout", "readout"),
        Column("layer", "layer", meaning="chosen most often without the scored fold"),
        Column("statistic", "statistic"),
        Column("score", "score", REAL, "mean over folds"),
        Column("standard_error", "standard error", REAL, "of the mean over folds"),
        Column("ceiled_score", "r / sqrt(ceiling)", REAL),
        Column("selection_score", "selection score", REAL, "by which the layer was chosen"),
        Column("n_folds", "folds", COUNT),
        Column("n_undefined_folds", "undefined folds", COUNT),
        Column("protocol", "protocol"),
        SETTINGS,
    )
    rows = connection.rows("SELECT * FROM best_layer ORDER BY model, recording, readout")
    return Table("scores", "Neural scores at the chosen layer", columns, _with_settings(rows))


def _profiles(known: Known) -> Table:
    columns = (
        MODEL,
        Column("subject", "recording and readout"),
        Column("layer", "layer"),
        Column("depth", "depth", REAL, "0 first, 1 logits"),
        Column("score", "score", REAL, "mean over folds"),
        Column("ceiled_score", "r / sqrt(ceiling)", REAL),
    )
    rows = [{**row, "subject": subject} for subject, _, some in panels(known) for row in some]
    return Table(PROFILES, "Score by layer", columns, rows)


def _layers(connection: Connection) -> Table:
    columns = (
        MODEL,
        Column("layer", "layer"),
        Column("stimuli", "stimuli"),
        Column("depth", "depth", REAL, "0 first, 1 logits"),
        Column("n_features", "features", COUNT),
        Column("effective_dim", "effective dimension", REAL, "(sum l)^2 / sum l^2"),
    )
    rows = connection.rows(
        "SELECT l.model, l.layer, t.stimuli, l.depth, l.n_features, l.effective_dim FROM layers AS l "
        "JOIN current_trials AS t USING (trial_id) ORDER BY l.model, t.stimuli, l.depth, l.layer"
    )
    return Table("layers", "Layers", columns, rows)


def _tolerances(connection: Connection) -> Table:
    columns = (
        MODEL,
        Column("stimuli", "stimuli"),
        Column("attack", "attack"),
        Column("norm", "norm"),
        Column("protocol", "protocol"),
        Column("decision", "decision"),
        Column("canvas", "canvas"),
        Column("tolerance", "tolerance", REAL, "median, bound hits as infinitely far"),
        Column("tolerance_common", "on common images", REAL),
        Column("n_found", "found", COUNT),
        Column("n_bound_hit", "bound hits", COUNT, "images on which the attack failed"),
        Column("n_already_wrong", "already wrong", COUNT),
        Column("n_error", "errors", COUNT),
        Column("forwards_per_image", "forwards an image", REAL),
        Column("backwards_per_image", "backwards an image", REAL),
        SETTINGS,
    )
    rows = connection.rows(
        "SELECT * FROM tolerances ORDER BY model, stimuli, norm, protocol, attack"
    )
    return Table("tolerances", "Attacks", columns, _with_settings(rows))


def _alignments(connection: Connection) -> Table:
    columns = (
        MODEL,
        Column("importance", "human maps"),
        Column("stimuli", "stimuli"),
        Column("method", "method"),
        Column("channel_reduction", "channel reduction"),
        Column("alignment", "alignment", REAL, "mean Spearman with the human maps"),
        Column("standard_error", "standard error", REAL),
        Column("null_alignment", "its null", REAL, "with other images' maps"),
        Column("share_above_null", "images above their null", SHARE),
        Column("ceiled_alignment", "ceiled", REAL, "divided by agreement among people"),
        Column("n_images", "images", COUNT),
        Column("n_undefined", "undefined", COUNT),
        SETTINGS,
    )
    rows = connection.rows(
        "SELECT * FROM alignments ORDER BY model, importance, method, channel_reduction"
    )
    return Table("alignments", "Alignment with people", columns, _with_settings(rows))


def _spatial(connection: Connection) -> Table:
    columns = (
        MODEL,
        Column("recording", "recording"),
        Column("layer", "layer", meaning="chosen most often without the scored image"),
        Column("score", "score", REAL, "mean over held-out images"),
        Column("ceiled_score", "r / ceiling", REAL),
        Column("map_spearman_full", "map rho", REAL),
        Column("protocol", "protocol"),
        SETTINGS,
    )
    rows = connection.rows("SELECT * FROM spatial_leaderboard ORDER BY model, recording")
    return Table("spatial", "Maps over positions", columns, _with_settings(rows))


def _provenance(connection: Connection) -> Table:
    columns = (
        MODEL,
        Column("evaluation", "evaluation"),
        Column("n", "trials", COUNT),
        Column("seconds", "seconds", REAL, "of wall time, all trials together"),
        Column("device", "device"),
        Column("code_revision", "revision"),
        Column("seeds", "seeds"),
        Column("input", "input"),
        Column("numerics", "numerics"),
    )
    rows = connection.rows(
        "SELECT model, evaluation, count(*) AS n, sum(seconds) AS seconds, device, code_revision, "
        "string_agg(DISTINCT CAST(seed AS VARCHAR), ', ' ORDER BY CAST(seed AS VARCHAR)) AS seeds, "
        "transform, numerics FROM trials WHERE status = 'ok' AND model IS NOT NULL "
        "GROUP BY ALL ORDER BY model, evaluation"
    )
    for row in rows:
        row["input"] = in_a_line(row["transform"])
        row["numerics"] = in_a_line(row["numerics"])
    return Table("provenance", "Provenance", columns, rows)


def _with_settings(rows: Sequence[Row]) -> list[Row]:
    said: dict[str, str] = {}
    for row in rows:
        text = row["parameters"]
        if text not in said:
            said[text] = in_a_line(text)
        row["settings"] = said[text]
    return list(rows)
