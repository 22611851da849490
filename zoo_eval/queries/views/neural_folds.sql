-- How well does each layer tell each recording, fold by fold, with its ceiling?
-- score is the median r over targets, or a similarity; the ceiling is the median over targets of the
-- estimator that needs no planted truth, and belongs to fits. Normalisations: r / sqrt(reliability),
-- r^2 / c and (r / c)^2.
SELECT
    s.model, t.weights_digest, s.recording, t.recording_digest, t.stimuli_digest,
    t.evaluation_version, s.protocol, t.parameters, t.seed, s.layer, s.readout, s.statistic, s.fold,
    s.score, s.score_low, s.score_high, s.stimuli_low, s.stimuli_high, s.selection_score,
    s.n_constant_targets, s.sketch,
    c.reliability,
    s.score / sqrt(c.reliability) AS r_over_sqrt_ceiling,
    s.score ** 2 / c.reliability AS r2_over_ceiling,
    (s.score / c.reliability) ** 2 AS r_over_ceiling_squared
FROM neural_scores AS s
JOIN current_trials AS t USING (trial_id)
LEFT JOIN (
    SELECT recording_digest, median(ceiling) AS reliability
    FROM ceilings
    WHERE estimator = 'splithalf_spearman_brown'
    GROUP BY recording_digest
) AS c ON c.recording_digest = t.recording_digest AND s.readout IN ('pls', 'ridge')
WHERE s.fold IS NOT NULL
