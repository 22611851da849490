-- What is known of each model that counts: its kin, size, input, training and year?
-- One row per model, of its newest card; not of those whose gate failed. kin is the
-- family, or the architecture where the family is not known.
SELECT
    m.model, m.weights_digest, coalesce(nullif(m.family, ''), m.architecture) AS kin, m.family,
    m.architecture, m.source, m.n_params, m.input_px, m.pretraining, m.objective, m.year,
    m.harmonized_from, m.graded_from
FROM models AS m
JOIN current_trials AS t USING (trial_id)
QUALIFY row_number() OVER (PARTITION BY m.model ORDER BY t.started_at DESC, m.trial_id) = 1
