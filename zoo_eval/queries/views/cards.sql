-- Which models count, with which weights, and what is said of them?
-- One row per model: its newest card, of the weights that count. gate is the verdict on these weights.
SELECT m.* EXCLUDE (gate), g.gate
FROM models AS m
JOIN current_trials AS t USING (trial_id)
JOIN gates AS g ON g.model = m.model AND g.weights_digest = m.weights_digest
QUALIFY row_number() OVER (PARTITION BY m.model ORDER BY t.started_at DESC) = 1
