-- How well is each target predicted, layer by layer, under each ceiling and normalisation?
-- r is the mean over folds. A ceiling of scale `reliability` is meant for r / sqrt(c), one of scale
-- `correlation` for r / c, one of scale `variance` for r^2 / c; all are there to compare conventions,
-- null unless c > 0.
-- undefined says why folds have no r, null where all have one; undefined_ceiling why there is no c.
WITH targets AS (
    SELECT trial_id, model, recording, layer, readout, protocol, fold,
        unnest(target_ids) AS target, unnest(r)::DOUBLE AS r, unnest(undefined) AS undefined
    FROM neural_scores JOIN neural_modes AS k USING (trial_id)
    WHERE k.mode = 'fit'
),
means AS (
    SELECT t.model, t.weights_digest, s.recording, t.recording_digest, t.stimuli_digest,
        s.protocol, t.parameters, t.seed, s.layer, s.readout, s.target,
        avg(s.r) FILTER (NOT isnan(s.r)) AS r,
        count(*) FILTER (isnan(s.r)) AS n_undefined_folds,
        string_agg(DISTINCT nullif(s.undefined, ''), ', ' ORDER BY nullif(s.undefined, ''))
            AS undefined,
        count(*) AS n_folds
    FROM targets AS s JOIN current_trials AS t USING (trial_id)
    GROUP BY ALL
)
SELECT m.*, c.estimator, c.scale, c.ceiling, c.undefined AS undefined_ceiling,
    m.r / sqrt(c.positive) AS r_over_sqrt_ceiling,
    m.r / c.positive AS r_over_ceiling,
    m.r ** 2 / c.positive AS r2_over_ceiling,
    (m.r / c.positive) ** 2 AS r_over_ceiling_squared
FROM means AS m
LEFT JOIN (
    SELECT *, CASE WHEN ceiling > 0 THEN ceiling END AS positive
    FROM current_ceilings WHERE target <> 'all'
) AS c ON c.recording_digest = m.recording_digest AND c.seed = m.seed AND c.target = m.target
    AND c.split IS NOT DISTINCT FROM json_extract_string(m.parameters, '$.split')
