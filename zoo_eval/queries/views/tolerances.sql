-- How large is the smallest perturbation that changes a model's prediction, attack by attack?
-- tolerance: median distance over the images the model classifies correctly, bound hits counted as
-- +infinity. tolerance_common: the same over images that every compared model classifies correctly.
-- median_found and mean_found leave bound hits out, as published numbers do: that favours models
-- whose hard images were not solved. Models are compared within one attack, its parameters (with
-- canvas, decision and human maps) and stimuli. Passes per image are over the images that were attacked.
WITH attacked AS (
    SELECT
        a.*, t.weights_digest, t.stimuli, t.stimuli_digest, t.parameters, t.protocol, t.seed,
        t.started_at,
        CASE a.status WHEN 'found' THEN a.distance WHEN 'bound_hit' THEN 'infinity'::DOUBLE END
            AS censored,
        -- Rows of old stores have no flags.
        a.flags IS NOT NULL OR a.status IN ('found', 'bound_hit') AS was_attacked
    FROM attacks AS a JOIN current_trials AS t USING (trial_id)
),
competent AS (  -- at least one image correctly classified: the others have no tolerance
    SELECT *, count(censored) OVER (PARTITION BY trial_id) AS n_correct FROM attacked
),
common AS (
    SELECT stimuli_digest, parameters, protocol, seed, attack, stimulus_id
    FROM competent WHERE n_correct > 0
    GROUP BY ALL HAVING count(*) = count(censored)
)
SELECT
    model, weights_digest, any_value(stimuli) AS stimuli, stimuli_digest, attack, norm,
    protocol, parameters, seed,
    json_extract_string(parameters, '$.decision') AS decision,
    json_extract_string(parameters, '$.canvas') AS canvas,
    quantile_cont(censored, 0.5) AS tolerance,
    quantile_cont(censored, 0.5) FILTER (
        (stimuli_digest, parameters, protocol, seed, attack, stimulus_id) IN (FROM common)
    ) AS tolerance_common,
    count(*) FILTER (
        (stimuli_digest, parameters, protocol, seed, attack, stimulus_id) IN (FROM common)
    ) AS n_common,
    quantile_cont(distance, 0.5) FILTER (status = 'found') AS median_found,
    avg(distance) FILTER (status = 'found') AS mean_found,
    avg(l2) FILTER (status = 'found') AS mean_l2,
    avg((status = 'bound_hit')::INTEGER) FILTER (status IN ('found', 'bound_hit'))
        AS bound_hit_share,
    count(*) FILTER (status = 'found') AS n_found,
    count(*) FILTER (status = 'bound_hit') AS n_bound_hit,
    count(*) FILTER (status = 'already_wrong') AS n_already_wrong,
    count(*) FILTER (status = 'error') AS n_error,
    avg(n_forwards) FILTER (was_attacked) AS forwards_per_image,
    avg(n_backwards) FILTER (was_attacked) AS backwards_per_image,
    max(started_at) AS started_at
FROM competent
GROUP BY model, weights_digest, stimuli_digest, attack, norm, protocol, parameters, seed
