-- Which layer of each model predicts each brain region best?
-- One row per model, region and all that scores must share to be compared. A region's score in a fold is the
-- median r over its targets whose r is finite. In every fold the layer is chosen that is best for the region in
-- the other folds, never by the fold that is scored (the other folds' fits did see its stimuli); score is the
-- mean over folds, layer the one chosen most often, depth its depth in the network (0-1). Regions are those of
-- the recording's files: a recording that names none is one row, region null. n_undefined_folds and
-- n_infinite_folds have no finite score and are in no other number; one fold alone can choose nothing.
WITH fits AS (
    -- Fits that are compared, layer against layer, have one number.
    SELECT
        trial_id, model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters,
        seed, readout, layer,
        dense_rank() OVER (
            ORDER BY
                model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed, readout
        ) AS number
    FROM current_trials SEMI JOIN (FROM neural_modes WHERE mode = 'fit') USING (trial_id)
),
scored AS (
    SELECT r.trial_id, f.number, r.layer, r.statistic, r.fold, r.region, r.score
    FROM region_folds AS r JOIN fits AS f USING (trial_id)
),
others AS (
    SELECT
        *, isfinite(score) IS TRUE AS is_finite,
        (sum(score) FILTER (isfinite(score)) OVER layers - if(is_finite, score, 0))
        / nullif(count(*) FILTER (isfinite(score)) OVER layers - is_finite::INTEGER, 0) AS elsewhere
    FROM scored
    WINDOW layers AS (PARTITION BY trial_id, region)
),
chosen AS (
    SELECT * FROM others WHERE elsewhere IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY number, region, fold ORDER BY elsewhere DESC, layer
    ) = 1
),
best AS (
    SELECT
        number, region,
        mode(layer ORDER BY layer) AS layer,
        avg(score) FILTER (is_finite) AS score,
        stddev_samp(score) FILTER (is_finite) / sqrt(count(*) FILTER (is_finite)) AS standard_error,
        count(*) AS n_folds,
        count(*) FILTER (score IS NULL OR isnan(score)) AS n_undefined_folds,
        count(*) FILTER (isinf(score)) AS n_infinite_folds,
        list(layer ORDER BY fold) AS layer_per_fold,
        any_value(statistic) AS statistic
    FROM chosen
    GROUP BY number, region
),
depths AS (
    SELECT l.model, t.weights_digest, l.layer, any_value(l.depth) AS depth
    FROM layers AS l JOIN current_trials AS t USING (trial_id)
    GROUP BY l.model, t.weights_digest, l.layer
)
SELECT
    f.model, f.recording, b.region, f.readout, b.layer, d.depth, b.score, b.standard_error, b.n_folds,
    b.n_undefined_folds, b.n_infinite_folds, b.layer_per_fold, b.statistic, f.protocol, f.parameters,
    f.seed, f.recording_digest, f.stimuli_digest, f.weights_digest
FROM best AS b
JOIN (
    SELECT * FROM fits QUALIFY row_number() OVER (PARTITION BY number ORDER BY trial_id) = 1
) AS f USING (number)
LEFT JOIN depths AS d
    ON d.model = f.model AND d.weights_digest = f.weights_digest AND d.layer = b.layer
ORDER BY
    f.recording, b.region, f.readout, b.score DESC NULLS LAST, f.model, f.protocol, f.parameters, f.seed
