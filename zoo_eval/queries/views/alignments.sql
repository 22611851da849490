-- Do a model's perturbations fall on what humans look at?
SELECT
    model, t.weights_digest, method, channel_reduction, t.stimuli_digest, t.parameters,
    avg(spearman) AS alignment,
    avg(null_spearman) AS null_alignment,
    avg(spearman / human_ceiling) AS ceiled_alignment,
    count(spearman) AS n_images
FROM alignment JOIN current_trials AS t USING (trial_id, model)
GROUP BY ALL
