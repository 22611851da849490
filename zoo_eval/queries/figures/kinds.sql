-- Which models are harmonized, graded or untrained, and from which was each harmonized?
-- Of the weights that count; a model without a card is not here.
SELECT
    model,
    CASE
        WHEN harmonized_from IS NOT NULL THEN 'harmonized'
        WHEN graded_from IS NOT NULL THEN 'graded'
        WHEN gate_reason = 'untrained on purpose' THEN 'untrained'
        ELSE 'trained'
    END AS kind,
    harmonized_from AS base
FROM models JOIN current_trials USING (trial_id, model)
QUALIFY row_number() OVER (PARTITION BY model ORDER BY started_at DESC, trial_id) = 1
