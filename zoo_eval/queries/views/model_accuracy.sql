-- How accurate is each model on the labelled stimulus set that most models share?
WITH scored AS (
    SELECT a.*, t.weights_digest, t.stimuli, t.stimuli_digest
    FROM accuracy AS a JOIN current_trials AS t USING (trial_id)
),
shared AS (
    SELECT stimuli_digest FROM scored GROUP BY stimuli_digest
    ORDER BY count(DISTINCT model) DESC, max(n_images) DESC, stimuli_digest LIMIT 1
)
SELECT
    model, weights_digest, stimuli AS accuracy_stimuli, top1, top1_low, top1_high, top5, n_images
FROM scored JOIN shared USING (stimuli_digest)
QUALIFY row_number() OVER (PARTITION BY model ORDER BY trial_id) = 1
