-- How large is the smallest perturbation that changes a model's prediction, attack by attack?
-- tolerance: median distance over the images the model classifies correctly, bound hits counted as
-- +infinity. tolerance_common: the same over images that every compared model classifies correctly.
-- median_found and mean_found leave bound hits out, as published numbers do: that favours models
-- whose hard images were not solved. Models are compared within one attack, its parameters (with
-- canvas, decision and human maps) and stimuli. Passes per image are over the images that were attacked.
WITH settings AS (
    -- Two numbers in place of long texts, of which there is one for each image.
    SELECT
        trial_id, model, weights_digest, stimuli, stimuli_digest, parameters, protocol, seed, started_at,
        dense_rank() OVER (ORDER BY stimuli_digest, parameters, protocol, seed) AS setting,
        dense_rank() OVER (
            ORDER BY model, weights_digest, stimuli_digest, parameters, protocol, seed
        ) AS measured
    FROM current_trials WHERE trial_id IN (SELECT trial_id FROM attacks)
),
attacked AS (
    SELECT
        a.* EXCLUDE (model, commit_id), t.stimuli, t.started_at, t.setting, t.measured,
        CASE a.status WHEN 'found' THEN a.distance WHEN 'bound_hit' THEN 'infinity'::DOUBLE END
            AS censored,
        -- Rows of old stores have no flags.
        a.flags IS NOT NULL OR a.status IN ('found', 'bound_hit') AS was_attacked
    FROM attacks AS a JOIN settings AS t USING (trial_id)
),
competent AS (  -- at least one image correctly classified: the others have no tolerance
    SELECT trial_id FROM attacked GROUP BY trial_id HAVING count(censored) > 0
),
common AS (
    SELECT setting, attack, stimulus_id, TRUE AS is_common
    FROM attacked SEMI JOIN competent USING (trial_id)
    GROUP BY ALL HAVING count(*) = count(censored)
),
found AS (
    SELECT
        measured, attack, norm, any_value(stimuli) AS stimuli, max(started_at) AS started_at,
        quantile_cont(censored, 0.5) AS tolerance,
        quantile_cont(censored, 0.5) FILTER (is_common) AS tolerance_common,
        count(*) FILTER (is_common) AS n_common,
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
        avg(n_backwards) FILTER (was_attacked) AS backwards_per_image
    FROM attacked LEFT JOIN common USING (setting, attack, stimulus_id)
    GROUP BY measured, attack, norm
)
SELECT
    t.model, t.weights_digest, f.stimuli, t.stimuli_digest, f.attack, f.norm, t.protocol,
    t.parameters, t.seed,
    json_extract_string(t.parameters, '$.decision') AS decision,
    json_extract_string(t.parameters, '$.canvas') AS canvas,
    f.tolerance, f.tolerance_common, f.n_common, f.median_found, f.mean_found, f.mean_l2,
    f.bound_hit_share, f.n_found, f.n_bound_hit, f.n_already_wrong, f.n_error, f.forwards_per_image,
    f.backwards_per_image, f.started_at
FROM found AS f JOIN (
    SELECT DISTINCT measured, model, weights_digest, stimuli_digest, parameters, protocol, seed
    FROM settings
) AS t USING (measured)
