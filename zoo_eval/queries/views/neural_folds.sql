-- How well does each layer tell each recording, fold by fold, with its ceiling?
-- score is the median r over targets, or a similarity; the other direction, units predicted from targets,
-- is in both_directions. A fit has a reliability, the median over targets
-- of reliability_estimator: split halves, or else the recording's file (c^2 where its scale is
-- `correlation`); under protocol `brainscore` first Brain-Score's own, internal_consistency.
-- Normalisations: r / sqrt(reliability), r / c, r^2 / c and (r / c)^2; null unless c > 0.
WITH reliabilities AS (
    SELECT
        recording_digest, seed, split, estimator AS reliability_estimator,
        median(if(scale = 'correlation', ceiling * abs(ceiling), ceiling)) AS reliability,
        CASE WHEN reliability > 0 THEN reliability END AS positive,
        list_position(
            ['internal_consistency', 'splithalf_spearman_brown', 'from_file'], estimator
        ) AS place
    FROM current_ceilings
    WHERE place IS NOT NULL
    GROUP BY recording_digest, seed, split, estimator
    HAVING reliability IS NOT NULL
),
preferred AS (
    SELECT * FROM reliabilities, (VALUES (TRUE), (FALSE)) AS p(as_published)
    WHERE as_published OR reliability_estimator <> 'internal_consistency'
    QUALIFY row_number() OVER (PARTITION BY recording_digest, seed, split, as_published ORDER BY place) = 1
)
SELECT
    s.model, t.weights_digest, s.recording, t.recording_digest, t.stimuli_digest,
    t.evaluation_version, s.protocol, t.parameters, t.seed, s.layer, s.readout, k.mode, s.statistic,
    s.fold, s.score, s.score_low, s.score_high, s.stimuli_low, s.stimuli_high, s.selection_score,
    s.n_constant_targets, s.sketch, t.started_at,
    c.reliability, c.reliability_estimator,
    s.score / sqrt(c.positive) AS r_over_sqrt_ceiling,
    s.score / c.positive AS r_over_ceiling,
    s.score ** 2 / c.positive AS r2_over_ceiling,
    (s.score / c.positive) ** 2 AS r_over_ceiling_squared
FROM neural_scores AS s
JOIN current_trials AS t USING (trial_id)
JOIN neural_modes AS k USING (trial_id)
LEFT JOIN preferred AS c ON c.recording_digest = t.recording_digest AND c.seed = t.seed
    AND c.as_published = (s.protocol = 'brainscore') AND k.mode = 'fit'
    AND c.split IS NOT DISTINCT FROM json_extract_string(t.parameters, '$.split')
WHERE s.fold IS NOT NULL AND k.mode <> 'reverse'
