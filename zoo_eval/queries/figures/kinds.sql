-- Which models are harmonized, graded or untrained, and what is each harmonized one set against?
-- Of the weights that count; a model without a card is not here. control is that of the run which trained it.
SELECT
    model,
    CASE
        WHEN harmonized_from IS NOT NULL THEN 'harmonized'
        WHEN graded_from IS NOT NULL THEN 'graded'
        WHEN gate_reason = 'untrained on purpose' THEN 'untrained'
        ELSE 'trained'
    END AS kind,
    harmonized_from AS base, control
FROM models
JOIN current_trials USING (trial_id, model)
LEFT JOIN (SELECT model, any_value(control) AS control FROM training_runs GROUP BY model) USING (model)
QUALIFY row_number() OVER (PARTITION BY model ORDER BY started_at DESC, trial_id) = 1
