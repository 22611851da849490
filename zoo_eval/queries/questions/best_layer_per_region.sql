-- Which layer of each model predicts each brain region best?
-- One row per model, region and all that scores must share to be compared. A region's score in a fold is the
-- median r over its targets whose r is finite. In every fold the layer is chosen that is best for the region in
-- the other folds, never by the fold that is scored (the other folds' fits did see its stimuli); score is the
-- mean over folds, layer the one chosen most often, depth its depth in the network (0-1). Regions are those of
-- the recording's files: a recording that names none is one row, region null. n_undefined_folds and
-- n_infinite_folds have no finite score and are in no other number; one fold alone can choose nothing.
WITH fits AS (
    SELECT
        s.model, t.weights_digest, s.recording, t.recording_digest, t.stimuli_digest, s.protocol,
        t.parameters, t.seed, s.readout, s.statistic, s.layer, s.fold, s.score, s.r, s.target_ids
    FROM neural_scores AS s
    JOIN current_trials AS t USING (trial_id)
    JOIN neural_modes AS k USING (trial_id)
    WHERE k.mode = 'fit' AND s.fold IS NOT NULL
),
regions AS (
    SELECT recording_digest, region, list(target) AS targets
    FROM current_targets WHERE region IS NOT NULL
    GROUP BY recording_digest, region
),
places AS (
    SELECT
        o.recording_digest, o.target_ids, g.region,
        list_filter(
            range(1, len(o.target_ids) + 1), lambda i: list_contains(g.targets, o.target_ids[i])
        ) AS places
    FROM (SELECT DISTINCT recording_digest, target_ids FROM fits WHERE target_ids IS NOT NULL) AS o
    JOIN regions AS g USING (recording_digest)
),
scored AS (
    SELECT
        f.* EXCLUDE (r, target_ids, score), p.region,
        CASE
            WHEN p.region IS NULL THEN f.score
            ELSE list_median(list_filter(list_select(f.r, p.places), lambda x: isfinite(x)))
        END AS score
    FROM fits AS f
    LEFT JOIN places AS p USING (recording_digest, target_ids)
    WHERE p.region IS NULL OR len(p.places) > 0
),
others AS (
    SELECT
        *, isfinite(score) IS TRUE AS is_finite,
        (sum(score) FILTER (isfinite(score)) OVER layers - if(is_finite, score, 0))
        / nullif(count(*) FILTER (isfinite(score)) OVER layers - is_finite::INTEGER, 0) AS elsewhere
    FROM scored
    WINDOW layers AS (
        PARTITION BY
            model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed,
            readout, region, layer
    )
),
chosen AS (
    SELECT * FROM others WHERE elsewhere IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY
            model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed,
            readout, region, fold
        ORDER BY elsewhere DESC, layer
    ) = 1
),
depths AS (
    SELECT l.model, t.weights_digest, l.layer, any_value(l.depth) AS depth
    FROM layers AS l JOIN current_trials AS t USING (trial_id)
    GROUP BY l.model, t.weights_digest, l.layer
),
best AS (
    SELECT
        model, any_value(recording) AS recording, region, readout,
        mode(layer ORDER BY layer) AS layer,
        avg(score) FILTER (is_finite) AS score,
        stddev_samp(score) FILTER (is_finite) / sqrt(count(*) FILTER (is_finite)) AS standard_error,
        count(*) AS n_folds,
        count(*) FILTER (score IS NULL OR isnan(score)) AS n_undefined_folds,
        count(*) FILTER (isinf(score)) AS n_infinite_folds,
        list(layer ORDER BY fold) AS layer_per_fold,
        any_value(statistic) AS statistic,
        protocol, parameters, seed, recording_digest, stimuli_digest, weights_digest
    FROM chosen
    GROUP BY
        model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed, readout,
        region
)
SELECT b.model, b.recording, b.region, b.readout, b.layer, d.depth, b.* EXCLUDE (model, recording, region, readout, layer)
FROM best AS b
LEFT JOIN depths AS d USING (model, weights_digest, layer)
ORDER BY b.recording, b.region, b.readout, b.score DESC NULLS LAST, b.model, b.protocol, b.parameters, b.seed
