-- How well is each target predicted, as one row a layer and readout, with lists over its targets?
-- What neural_targets unfolds: r is the mean over folds, in the order of target_ids. n_undefined_folds and
-- undefined are of the folds without r, null where every target has one in all.
WITH modes AS (
    SELECT trial_id FROM neural_modes WHERE mode = 'fit'
),
fits AS (
    SELECT trial_id, model, recording, layer, readout, protocol,
        count(*) AS n_folds,
        list(r) AS folds,
        list(undefined) FILTER (undefined IS NOT NULL) AS reasons
    FROM neural_scores SEMI JOIN modes USING (trial_id)
    GROUP BY ALL
),
-- A fit's targets are its recording's in every fold: their names are read in the first.
names AS (
    SELECT trial_id, model, recording, layer, readout, protocol, target_ids FROM neural_scores WHERE fold = 0
),
means AS (
    SELECT *, list_transform(
        range(1, len(target_ids) + 1),
        lambda i: list_avg(list_transform(folds, lambda one: one[i]))
    ) AS mean
    FROM fits JOIN names USING (trial_id, model, recording, layer, readout, protocol)
),
-- A mean over folds of which some are NaN is NaN: only then they are looked for.
told AS (
    SELECT * EXCLUDE (folds), CASE WHEN coalesce(isnan(list_sum(mean)), FALSE) THEN folds END AS with_nan
    FROM means
)
SELECT f.trial_id, f.model, t.weights_digest, f.recording, t.recording_digest, t.stimuli_digest,
    f.protocol, t.parameters, t.seed, f.layer, f.readout, f.n_folds, f.target_ids,
    CASE WHEN f.with_nan IS NULL THEN f.mean ELSE list_transform(
        range(1, len(f.target_ids) + 1),
        lambda i: list_avg(list_transform(f.with_nan, lambda one: nullif(one[i], 'nan'::FLOAT)))
    ) END AS r,
    CASE WHEN f.with_nan IS NOT NULL THEN list_transform(
        range(1, len(f.target_ids) + 1),
        lambda i: len(list_filter(f.with_nan, lambda one: isnan(one[i])))
    ) END AS n_undefined_folds,
    CASE WHEN f.reasons IS NOT NULL THEN list_transform(
        range(1, len(f.target_ids) + 1),
        lambda i: list_aggregate(
            list_sort(list_distinct(
                list_filter(list_transform(f.reasons, lambda one: one[i]), lambda why: why <> '')
            )),
            'string_agg', ', '
        )
    ) END AS undefined
FROM told AS f
JOIN current_trials AS t USING (trial_id)
