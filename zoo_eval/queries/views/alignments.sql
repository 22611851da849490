-- Do a model's gradients and perturbations fall on what humans look at?
-- Means over the images whose Spearman correlation is defined. The null is the same attribution with
-- other images' human maps: what looking at the centre is worth. published_reduction marks the channel
-- reduction that was published for the method. share_above_null is over images with 39 other maps or
-- more: of fewer, the largest is exceeded by chance more often than 2.5 %. Rows say so themselves; those
-- of older stores, which do not, are of the methods that there were then. region says which pixels of a
-- canvas were compared; unseen_share of it does not reach the model.
WITH named AS (
    -- As it was called before.
    SELECT * REPLACE (
        CASE channel_reduction WHEN 'abs_mean' THEN 'abs_of_mean' ELSE channel_reduction END
            AS channel_reduction
    )
    FROM alignment
)
SELECT
    a.model, t.weights_digest, a.method, a.channel_reduction,
    any_value(t.importance) AS importance, t.importance_digest,
    any_value(t.stimuli) AS stimuli, t.stimuli_digest, t.evaluation, t.protocol, t.parameters, t.seed,
    json_extract_string(t.parameters, '$.norm') AS norm,  -- of an attack
    coalesce(
        any_value(a.published_reduction),
        a.channel_reduction = CASE
            WHEN t.protocol = 'feng2025_release' THEN 'abs_of_max'
            WHEN t.evaluation = 'minimal_attack' THEN 'abs_of_mean'
            ELSE 'abs_max'
        END
    ) AS published_reduction,
    any_value(a.region) AS region,
    any_value(a.unseen_share) AS unseen_share,
    avg(a.spearman) AS alignment,
    stddev_samp(a.spearman) / sqrt(count(a.spearman)) AS standard_error,
    avg(a.null_spearman) FILTER (a.spearman IS NOT NULL) AS null_alignment,
    avg(a.spearman - a.null_spearman) AS alignment_above_null,
    avg((a.spearman > a.null_high)::INTEGER) FILTER (a.n_null >= 39) AS share_above_null,
    any_value(a.human_ceiling) AS human_ceiling,
    avg(a.spearman / a.human_ceiling) FILTER (a.human_ceiling > 0) AS ceiled_alignment,
    count(a.spearman) AS n_images,
    count(*) - count(a.spearman) AS n_undefined,
    coalesce(json_extract(t.parameters, '$.importance.planted')::BOOLEAN, FALSE) AS planted,
    max(t.started_at) AS started_at
FROM named AS a JOIN current_trials AS t USING (trial_id)
GROUP BY
    a.model, t.weights_digest, a.method, a.channel_reduction, t.importance_digest, t.stimuli_digest,
    t.evaluation, t.protocol, t.parameters, t.seed
