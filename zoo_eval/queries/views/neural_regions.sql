-- How well is each region of each subject predicted, layer by layer?
-- The median over its targets of r, which is a mean over folds, and of r / sqrt(split-half reliability).
-- Regions and subjects are those of current_targets; a recording that says neither is one row a layer.
WITH orders AS (
    SELECT
        t.recording_digest, t.seed, json_extract_string(t.parameters, '$.split') AS split,
        hash(s.target_ids) AS names, any_value(s.target_ids) AS target_ids
    FROM neural_scores AS s
    JOIN current_trials AS t USING (trial_id)
    SEMI JOIN (FROM neural_modes WHERE mode = 'fit') AS k USING (trial_id)
    WHERE s.fold = 0 AND len(s.target_ids) > 0
    GROUP BY ALL
),
targets AS (
    SELECT recording_digest, seed, split, names, unnest(target_ids) AS target,
        unnest(range(1, len(target_ids) + 1)) AS place
    FROM orders
),
-- Where the targets of a region stand in the lists, and the roots of their reliabilities.
regions AS (
    SELECT o.recording_digest, o.seed, o.split, o.names, t.region, t.subject,
        list(o.place ORDER BY o.place) AS places,
        list(sqrt(CASE WHEN c.ceiling > 0 THEN c.ceiling END) ORDER BY o.place) AS roots
    FROM targets AS o
    LEFT JOIN (
        SELECT recording_digest, seed, split, target, any_value(ceiling) AS ceiling
        FROM current_ceilings WHERE estimator = 'splithalf_spearman_brown'
        GROUP BY recording_digest, seed, split, target
    ) AS c ON c.recording_digest = o.recording_digest AND c.seed = o.seed AND c.target = o.target
        AND c.split IS NOT DISTINCT FROM o.split
    LEFT JOIN current_targets AS t ON t.recording_digest = o.recording_digest AND t.target = o.target
    GROUP BY o.recording_digest, o.seed, o.split, o.names, t.region, t.subject
),
scored AS (
    SELECT m.* EXCLUDE (r), g.region, g.subject, g.roots, list_select(m.r, g.places) AS r
    FROM neural_means AS m JOIN regions AS g
        ON hash(m.target_ids) = g.names AND m.recording_digest IS NOT DISTINCT FROM g.recording_digest
        AND m.seed IS NOT DISTINCT FROM g.seed
        AND json_extract_string(m.parameters, '$.split') IS NOT DISTINCT FROM g.split
)
SELECT
    model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters, seed, layer,
    readout, region, subject, len(r) AS n_targets, list_count(r) AS n_scored, list_median(r) AS score,
    list_median(list_transform(r, lambda x, i: x / roots[i])) AS ceiled_score
FROM scored
