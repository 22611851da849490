-- Which ceilings are the scores of each seed held against?
-- Per recording, estimator, statistic, target and published split one: that of the scores' own seed, or else the newest
-- (ceiling_seed). Target `all` is the whole recording: max_pairwise_target, nili_lower, nili_upper.
WITH counted AS (SELECT * FROM current_trials WHERE recording_digest IS NOT NULL)
SELECT
    c.recording, c.recording_digest, s.seed, c.estimator, t.parameters, t.seed AS ceiling_seed,
    c.statistic, c.scale, c.target, c.ceiling, c.undefined, c.split, c.trial_id
FROM ceilings AS c
JOIN counted AS t USING (trial_id)
CROSS JOIN (SELECT DISTINCT seed FROM counted) AS s
-- One trial, so that the targets' ceilings are of one kind.
QUALIFY c.trial_id = first_value(c.trial_id) OVER (
    PARTITION BY c.recording_digest, c.estimator, c.statistic, s.seed,
        json_extract_string(t.parameters, '$.split'),
        json_extract_string(t.parameters, '$.split_digest')
    ORDER BY t.seed = s.seed DESC, t.started_at DESC, c.trial_id
)
