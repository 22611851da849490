-- How well is each region of a recording told, layer by layer and fold by fold?
-- score is the median r over those of the region's targets whose r is finite; of a recording whose files name
-- no regions the fold's own score, region null. Only of fits.
WITH fits AS (
    SELECT * FROM current_trials SEMI JOIN (FROM neural_modes WHERE mode = 'fit') USING (trial_id)
),
regions AS (
    SELECT recording_digest, region, list(target) AS targets
    FROM current_targets WHERE region IS NOT NULL
    GROUP BY recording_digest, region
),
named AS (
    -- A trial's targets are the same in every fold.
    SELECT s.trial_id, f.recording_digest, s.target_ids, hash(s.target_ids) AS names
    FROM neural_scores AS s
    JOIN fits AS f USING (trial_id)
    SEMI JOIN regions AS g USING (recording_digest)
    WHERE s.fold = 0 AND s.target_ids IS NOT NULL
),
ordered AS (
    SELECT
        o.recording_digest, o.names, g.region,
        list_filter(
            range(1, len(o.target_ids) + 1), lambda i: list_contains(g.targets, o.target_ids[i])
        ) AS places
    FROM (
        SELECT recording_digest, names, any_value(target_ids) AS target_ids FROM named
        GROUP BY recording_digest, names
    ) AS o
    JOIN regions AS g USING (recording_digest)
),
picked AS (
    SELECT
        f.model, f.weights_digest, f.recording, f.recording_digest, f.stimuli_digest, f.protocol, f.parameters,
        f.seed, f.readout, f.layer, p.region, s.statistic, s.fold, s.score, f.trial_id,
        p.places IS NOT NULL AS has_regions, list_select(s.r, p.places) AS r
    FROM neural_scores AS s
    JOIN fits AS f USING (trial_id)
    LEFT JOIN (SELECT trial_id, recording_digest, names FROM named) AS n USING (trial_id)
    LEFT JOIN ordered AS p ON p.recording_digest = n.recording_digest AND p.names = n.names
    WHERE s.fold IS NOT NULL AND (p.places IS NULL OR len(p.places) > 0)
)
SELECT
    model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters, seed, readout, layer,
    region, statistic, fold,
    CASE
        WHEN NOT has_regions THEN score
        -- A sum is finite where all are.
        WHEN isfinite(list_sum(r)) THEN list_median(r)
        ELSE list_median(list_filter(r, lambda x: isfinite(x)))
    END AS score,
    trial_id
FROM picked
