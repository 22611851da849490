"""Similarities over all stimuli, beside the agreement of subjects that bounds them."""

from typing import Any

from zoo_eval.queries.connection import Connection
from zoo_eval.report.table import table

Row = dict[str, Any]
SHOWN = """
SELECT
    s.model, s.recording, s.readout, s.layer, s.statistic, s.score, s.stimuli_low, s.stimuli_high,
    s.mean_subject_score, s.nili_lower, s.nili_upper, len(s.subjects) AS n_subjects
FROM similarities AS s
JOIN best_layer AS b USING (
    model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed, readout, layer
)
ORDER BY s.recording, s.readout, s.statistic, s.score DESC NULLS LAST, s.model
"""
HEADER = (
    "model",
    "recording",
    "readout",
    "layer",
    "statistic",
    "score",
    "95 % over stimuli",
    "mean over subjects",
    "Nili lower",
    "Nili upper",
    "subjects",
)
NOTE = (
    '<p class="soft">At the layer that was chosen most often without the scored fold. Score: with the '
    "subjects' mean RDM, or the mean responses. Mean over subjects: of the scores with each subject's own "
    "RDM; Nili's bounds are bounds of this, not of the score. For spearman_rho and kendall_tau_a the "
    "subjects' dissimilarities are ranked before they are averaged for the bounds.</p>"
)


def section(connection: Connection) -> str:
    """A table of every model's similarity with each recording, and what subjects allow."""
    rows = connection.rows(SHOWN)
    if not rows:
        return "<p>No similarity has been measured yet.</p>"
    return NOTE + table(HEADER, [_cells(row) for row in rows])


def _cells(row: Row) -> list[Any]:
    low, high = row.pop("stimuli_low"), row.pop("stimuli_high")
    cells = list(row.values())
    cells.insert(
        HEADER.index("95 % over stimuli"), None if low is None else f"{low:.3f} to {high:.3f}"
    )
    return cells
