-- How well is each region of each subject predicted, layer by layer?
-- The median over its targets of r, which is a mean over folds, and of r / sqrt(split-half reliability).
-- Regions and subjects are those of current_targets; a recording that says neither is one row a layer.
SELECT
    m.model, m.weights_digest, m.recording, m.recording_digest, m.stimuli_digest, m.protocol,
    m.parameters, m.seed, m.layer, m.readout, t.region, t.subject,
    count(*) AS n_targets, count(m.r) AS n_scored,
    median(m.r) AS score,
    median(m.r_over_sqrt_ceiling) AS ceiled_score
FROM (
    SELECT model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters,
        seed, layer, readout, target, any_value(r) AS r,
        any_value(r_over_sqrt_ceiling) FILTER (estimator = 'splithalf_spearman_brown')
            AS r_over_sqrt_ceiling
    FROM neural_targets
    GROUP BY ALL
) AS m
LEFT JOIN current_targets AS t USING (recording_digest, target)
GROUP BY ALL
