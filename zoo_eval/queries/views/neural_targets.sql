-- How well is each target predicted, layer by layer, under each ceiling and normalisation?
-- r is the mean over folds. A ceiling of scale `reliability` is meant for r / sqrt(c), one of scale
-- `correlation` for r / c, one of scale `variance` for r^2 / c; all are there to compare conventions,
-- null unless c > 0.
-- undefined says why folds have no r, null where all have one; undefined_ceiling why there is no c.
WITH means AS (
    SELECT model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters, seed,
        layer, readout, n_folds, json_extract_string(parameters, '$.split') AS split,
        unnest(target_ids) AS target, unnest(r) AS r,
        unnest(n_undefined_folds) AS n_undefined_folds, unnest(undefined) AS undefined
    FROM neural_means
)
SELECT m.model, m.weights_digest, m.recording, m.recording_digest, m.stimuli_digest, m.protocol,
    m.parameters, m.seed, m.layer, m.readout, m.target, m.r,
    coalesce(m.n_undefined_folds, 0) AS n_undefined_folds, m.undefined, m.n_folds,
    c.estimator, c.scale, c.ceiling, c.undefined AS undefined_ceiling,
    m.r / sqrt(c.positive) AS r_over_sqrt_ceiling,
    m.r / c.positive AS r_over_ceiling,
    m.r ** 2 / c.positive AS r2_over_ceiling,
    (m.r / c.positive) ** 2 AS r_over_ceiling_squared
FROM means AS m
LEFT JOIN (
    SELECT *, CASE WHEN ceiling > 0 THEN ceiling END AS positive
    FROM current_ceilings WHERE target <> 'all'
) AS c ON c.recording_digest = m.recording_digest AND c.seed = m.seed AND c.target = m.target
    AND c.split IS NOT DISTINCT FROM m.split
