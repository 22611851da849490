"""Methods: what was done, in sentences that a paper may start from, and with what."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from zoo_eval.files.names import in_html
from zoo_eval.queries.connection import Connection
from zoo_eval.report.settings import listed, settings

Row = dict[str, Any]
DONE = """
SELECT
    evaluation, evaluation_version, protocol, readout, attack, stimuli, recording, importance,
    parameters, count(DISTINCT model) AS n_models
FROM current_trials WHERE model IS NOT NULL
GROUP BY ALL ORDER BY ALL
"""
RUN = """
SELECT
    code_revision, library_versions, numerics, count(*) AS n,
    list(DISTINCT device ORDER BY device) AS devices, list(DISTINCT seed ORDER BY seed) AS seeds,
    min(started_at) AS first, max(started_at) AS last, sum(seconds) AS seconds
FROM trials GROUP BY ALL ORDER BY n DESC
"""
# What each evaluation measures; what another package brought is named and not described.
WORDS: Mapping[str, str] = {
    "gate": "Each network was checked against its card's reference logits or published accuracy "
    "(sanity gate); those that failed are in no number of this page.",
    "accuracy": "Top-1 and top-5 are shares of images whose label is among the first choices, with "
    "Wilson 95 % intervals.",
    "layers": "Every layer's activations were captured in float32 and centred; its effective dimension "
    "is (sum l)^2 / sum l^2 over the spectrum of its Gram matrix.",
    "neural_fit": "Layers were compared with recordings. Of fits the score is the median over targets of "
    "the correlation of predicted and measured responses on stimuli that the fit was not given; layer "
    "and readout were chosen inside the training folds.",
    "spatial_fit": "Maps over positions were predicted for images that the fit was not given, and "
    "compared position by position.",
    "minimal_attack": "Tolerance is the median length of the smallest perturbation that changes the "
    "decision, over images that the model classifies correctly; an image on which the attacks fail "
    "counts as infinitely far. Success was verified on the perturbation as stored.",
    "human_alignment": "Attributions were compared with maps of where people look by Spearman's rank "
    "correlation over pixels, beside the same with other images' maps as a null.",
    "features": "Activations were kept as vectors.",
    "ceilings": "Ceilings were estimated from repetitions of the recordings.",
}


def methods(connection: Connection) -> str:
    """The methods as HTML: a paragraph, then each evaluation with its settings."""
    by_evaluation: dict[str, list[Row]] = defaultdict(list)
    for row in connection.rows(DONE):
        by_evaluation[row["evaluation"]].append(row)
    if not by_evaluation:
        return ""
    known = [WORDS[name] for name in by_evaluation if name in WORDS]
    items = "".join(
        f"<h3>{in_html(name)}</h3><ul>{''.join(map(_done, rows))}</ul>"
        for name, rows in by_evaluation.items()
        if name != "gate"
    )
    return f"<p>{in_html(' '.join([_models(connection), *known]))}</p>{items}"


def provenance(connection: Connection) -> str:
    """Versions, devices and revisions as HTML; nothing where nothing was run."""
    return "".join(_run(row) for row in connection.rows(RUN))


def used(connection: Connection) -> dict[str, set[str]]:
    """Names of what was used by kind: attack, readout, recording, family, ... (`references.KINDS`)."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in connection.rows(DONE):
        for kind in ("attack", "readout", "evaluation", "recording", "importance", "protocol"):
            if row[kind]:
                found[kind].add(row[kind])
    for row in connection.rows("SELECT DISTINCT method FROM alignments"):
        found["method"].add(row["method"])
    for row in connection.rows("SELECT DISTINCT winner FROM attacks WHERE winner IS NOT NULL"):
        found["attack"].add(row["winner"])
    for row in connection.rows("SELECT DISTINCT source, family, architecture FROM models"):
        found["family"].add(row["family"])
        # An own checkpoint's network is a library's: `timm/resnet50`.
        found["source"] |= {row["source"], row["architecture"].partition("/")[0]}
    return found


def _models(connection: Connection) -> str:
    (row,) = connection.rows(
        "SELECT count(*) AS n, count(DISTINCT family) AS n_families, min(n_params) AS least, "
        "max(n_params) AS most FROM leaderboard"
    )
    if not row["n"]:
        return "No model has been evaluated yet."
    return (
        f"Evaluated: {_many(row['n'], 'model')} of {_many(row['n_families'], 'family')}, with "
        f"{row['least']:,} to {row['most']:,} parameters."
    )


def _done(row: Row) -> str:
    said = [row["readout"] or row["attack"], f"protocol {row['protocol']}"]
    for name in ("recording", "importance", "stimuli"):
        said += [f"{name} {row[name]}"] if row[name] else []
    said += [f"version {row['evaluation_version']}", _many(row["n_models"], "model")]
    words = in_html(", ".join(filter(None, said)))
    return f"<li>{words}{listed(row['parameters'])}</li>"


def _run(row: Row) -> str:
    when = f"{row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}"
    said = [
        f"{row['n']:,} trials by revision {row['code_revision']} on {_together(row['devices'])}, {when}, "
        f"{row['seconds'] / 3600:.2f} hours of wall time, seeds {_together(row['seeds'])}."
    ]
    versions = json.loads(row["library_versions"])
    if versions:
        said.append(
            "Versions: " + ", ".join(f"{name} {one}" for name, one in versions.items()) + "."
        )
    numerics = [f"{name} {value}" for name, value in settings(row["numerics"])]
    if numerics:
        said.append("Numerics: " + ", ".join(numerics) + ".")
    return f"<p>{in_html(' '.join(said))}</p>"


def _together(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _many(n: int, what: str) -> str:
    several = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{n:,} {what if n == 1 else several}"
