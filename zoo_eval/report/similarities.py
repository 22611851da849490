"""Similarities over all stimuli, beside the agreement of subjects that bounds them."""

from typing import Any

from zoo_eval.queries.connection import Connection
from zoo_eval.report.table import COUNT, REAL, Column, Table

Row = dict[str, Any]
SHOWN = """
SELECT
    s.model, s.recording, s.readout, s.layer, s.statistic, s.score, s.stimuli_low, s.stimuli_high,
    s.mean_subject_score, s.nili_lower, s.nili_upper, len(s.subjects) AS n_subjects
FROM similarities AS s
JOIN best_layer AS b USING (
    model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed, readout, layer
)
ORDER BY s.recording, s.readout, s.statistic, nullif(s.score, 'nan'::DOUBLE) DESC NULLS LAST, s.model
"""
COLUMNS = (
    Column("model", "model"),
    Column("recording", "recording", choose=True),
    Column("readout", "readout", choose=True),
    Column("layer", "layer"),
    Column("statistic", "statistic"),
    Column("score", "score", REAL),
    Column("interval", "95 % over stimuli"),
    Column("mean_subject_score", "mean over subjects", REAL),
    Column("nili_lower", "Nili lower", REAL),
    Column("nili_upper", "Nili upper", REAL),
    Column("n_subjects", "subjects", COUNT),
)
NOTE = (
    "At the layer that was chosen most often without the scored fold. Score: with the subjects' mean RDM, "
    "or the mean responses. Mean over subjects: of the scores with each subject's own RDM; Nili's bounds "
    "are bounds of this, not of the score. For spearman_rho and kendall_tau_a the subjects' "
    "dissimilarities are ranked before they are averaged for the bounds."
)


def similarities(connection: Connection) -> Table:
    """Every model's similarity with each recording, and what subjects allow."""
    rows = [{**row, "interval": _interval(row)} for row in connection.rows(SHOWN)]
    return Table("similarities", "Similarity over all stimuli, and subjects", COLUMNS, rows)


def _interval(row: Row) -> str | None:
    low, high = row["stimuli_low"], row["stimuli_high"]
    return None if low is None else f"{low:.3f} to {high:.3f}"
