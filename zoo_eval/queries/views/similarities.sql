-- How alike are each layer and each recording over all stimuli, beside what subjects allow?
-- The interval is a bootstrap over stimuli; noise ceilings are the bounds of Nili et al. for the same
-- comparison, where there are several subjects.
SELECT
    s.model, t.weights_digest, s.recording, t.recording_digest, s.protocol, t.parameters, t.seed,
    s.layer, s.readout, s.statistic, s.score, s.stimuli_low, s.stimuli_high, s.r AS subject_scores,
    s.target_ids AS subjects, s.sketch, c.nili_lower, c.nili_upper
FROM neural_scores AS s
JOIN current_trials AS t USING (trial_id)
LEFT JOIN (
    SELECT recording_digest, statistic,
        any_value(ceiling) FILTER (estimator = 'nili_lower') AS nili_lower,
        any_value(ceiling) FILTER (estimator = 'nili_upper') AS nili_upper
    FROM ceilings WHERE target = 'all'
    GROUP BY recording_digest, statistic
) AS c ON c.recording_digest = t.recording_digest AND c.statistic = s.statistic
    AND s.readout = 'rsa'
WHERE s.fold IS NULL
