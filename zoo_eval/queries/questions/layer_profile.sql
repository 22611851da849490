-- How do the scores of each model's layers run along its depth?
-- One row per layer of a model and all that scores must share to be compared; score is the mean over folds
-- whose score is finite. share_of_best is over the model's highest, null unless that is positive. depth is 0 to
-- 1, for the logits; null where the layer was not described. n_undefined_folds (null or NaN) and
-- n_infinite_folds are in no other number. To choose a layer there is selection_score, from training folds alone.
WITH depths AS (
    SELECT l.model, t.weights_digest, l.layer, any_value(l.depth) AS depth
    FROM layers AS l JOIN current_trials AS t USING (trial_id)
    GROUP BY l.model, t.weights_digest, l.layer
),
means AS (
    SELECT
        model, recording, readout, layer,
        avg(score) FILTER (isfinite(score)) AS score,
        avg(r_over_sqrt_ceiling) FILTER (isfinite(r_over_sqrt_ceiling)) AS ceiled_score,
        avg(selection_score) FILTER (isfinite(selection_score)) AS selection_score,
        count(*) AS n_folds,
        count(*) FILTER (score IS NULL OR isnan(score)) AS n_undefined_folds,
        count(*) FILTER (isinf(score)) AS n_infinite_folds,
        statistic, protocol, parameters, seed, recording_digest, stimuli_digest, weights_digest
    FROM neural_folds
    GROUP BY ALL
)
SELECT
    m.model, m.recording, m.readout, m.layer, d.depth, m.score,
    m.score / nullif(greatest(max(m.score) OVER (
        PARTITION BY
            m.model, m.weights_digest, m.recording_digest, m.stimuli_digest, m.protocol, m.parameters,
            m.seed, m.readout, m.statistic
    ), 0), 0) AS share_of_best,
    m.* EXCLUDE (model, recording, readout, layer, score)
FROM means AS m
LEFT JOIN depths AS d USING (model, weights_digest, layer)
ORDER BY m.recording, m.readout, m.model, m.protocol, m.parameters, m.seed, d.depth NULLS LAST, m.layer
