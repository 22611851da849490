"""Ceilings: the best model's score over its ceiling, with the errors of both over targets."""

import numpy as np

from zoo_eval.numerics.attenuation import corrected
from zoo_eval.queries.connection import Connection
from zoo_eval.trends.comparisons import CEILED, Comparison
from zoo_eval.trends.rows import Row

METHOD = (
    "median over targets / sqrt(median reliability), both errors by the delta method with covariance from "
    "resampled targets; naive: the ceiling taken as known"
)


def ceiled_score(connection: Connection, comparison: Comparison) -> list[Row]:
    """A row of the best model's score over the root of its ceiling; none where scores have no ceiling."""
    sample = comparison.sample.finite
    if comparison.measure != CEILED or not sample.models:
        return []
    model = sample.models[int(sample.y.argmax())]
    found = connection.rows(_sql(comparison, model))
    scores, ceilings = (
        np.array([row[name] for row in found], dtype=np.float64) for name in ("r", "ceiling")
    )
    value = corrected(scores, ceilings)
    row = sample.row(
        "ceiled_score",
        detail=model,
        method=METHOD,
        estimate=value.value,
        low=value.low,
        high=value.high,
        naive_low=value.low_known,
        naive_high=value.high_known,
        no_interval=value.no_interval,
        n_pairs=value.n_targets,
        unit="target",
    )
    # Its errors are over targets: of one model there are no families.
    return [
        {**row, "n_models": 1, "models": [model], "n_families": None, "effective_families": None}
    ]


def _sql(comparison: Comparison, model: str) -> str:
    first = comparison.rows[0]
    asked = {
        "model": model,
        "recording_digest": comparison.key["recording_digest"],
        "stimuli_digest": comparison.key["stimuli_digest"],
        "protocol": comparison.key["protocol"],
        "parameters": comparison.key["parameters"],
        "name": f"{first['recording']}, {first['readout']}",
    }
    where = " AND ".join(f"v.{column} = {_quoted(value)}" for column, value in asked.items())
    seed = int(comparison.key["seed"])
    return (
        "WITH used AS (SELECT any_value(reliability_estimator) AS estimator FROM neural_folds AS v "
        f"WHERE v.model = {_quoted(model)} AND v.readout = {_quoted(first['readout'])} "
        f"AND v.recording_digest = {_quoted(asked['recording_digest'])} AND v.seed = {seed} "
        f"AND v.protocol = {_quoted(asked['protocol'])} AND v.parameters = {_quoted(asked['parameters'])}) "
        "SELECT v.value AS r, if(c.scale = 'correlation', c.ceiling * abs(c.ceiling), c.ceiling) AS ceiling "
        "FROM paired_values AS v JOIN current_ceilings AS c ON c.recording_digest = v.recording_digest "
        "AND c.seed = v.seed AND c.target = v.unit_id "
        "AND c.split IS NOT DISTINCT FROM json_extract_string(v.parameters, '$.split') "
        "JOIN used ON used.estimator = c.estimator "
        f"WHERE v.trend = 'accuracy_vs_neural' AND v.seed = {seed} AND {where} ORDER BY v.unit_id"
    )


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
