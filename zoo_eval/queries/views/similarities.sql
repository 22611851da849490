-- How alike are each layer and each recording over all stimuli, beside what subjects allow?
-- score is with the subjects' mean RDM, its interval a bootstrap over stimuli. nili_lower and nili_upper,
-- for the same comparison, bound mean_subject_score: the mean of subject_scores, each with one subject's
-- RDM. Not score, which a mean RDM, less noisy than any subject's, lifts above it.
SELECT
    s.model, t.weights_digest, s.recording, t.recording_digest, t.stimuli_digest, s.protocol,
    t.parameters, t.seed, s.layer, s.readout, s.statistic, s.score, s.stimuli_low, s.stimuli_high,
    s.r AS subject_scores,
    nullif(list_avg(s.r), 'nan') AS mean_subject_score, s.target_ids AS subjects, s.sketch,
    c.nili_lower, c.nili_upper
FROM neural_scores AS s
JOIN current_trials AS t USING (trial_id)
LEFT JOIN (
    SELECT recording_digest, seed, statistic,
        any_value(ceiling) FILTER (estimator = 'nili_lower') AS nili_lower,
        any_value(ceiling) FILTER (estimator = 'nili_upper') AS nili_upper
    FROM current_ceilings WHERE target = 'all'
    GROUP BY recording_digest, seed, statistic
) AS c ON c.recording_digest = t.recording_digest AND c.seed = t.seed
    AND c.statistic = s.statistic AND s.r IS NOT NULL
WHERE s.fold IS NULL
