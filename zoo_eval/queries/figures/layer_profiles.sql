-- How does the score rise and fall with depth in the network, model by model?
-- Means over folds in which the score is defined; ceiled_score is r / sqrt(reliability), null without.
WITH depths AS (
    SELECT l.model, t.weights_digest, l.layer, any_value(l.depth) AS depth
    FROM layers AS l JOIN current_trials AS t USING (trial_id)
    GROUP BY l.model, t.weights_digest, l.layer
)
SELECT
    f.model, f.recording, f.recording_digest, f.stimuli_digest, f.readout, f.protocol, f.parameters,
    f.seed, f.statistic, f.layer, d.depth,
    avg(f.score) AS score, avg(f.r_over_sqrt_ceiling) AS ceiled_score
FROM neural_folds AS f JOIN depths AS d USING (model, weights_digest, layer)
WHERE isfinite(f.score)
GROUP BY ALL
ORDER BY f.recording, f.readout, f.statistic, f.protocol, f.parameters, f.recording_digest,
    f.stimuli_digest, f.seed, f.model, d.depth, f.layer
