-- How well is each region of each subject predicted, layer by layer?
-- The median over its targets of r, which is a mean over folds, and of r / sqrt(split-half reliability).
-- Regions and subjects are those of current_targets; a recording that says neither is one row a layer.
WITH means AS (
    SELECT * EXCLUDE (target_ids, n_undefined_folds, undefined), target_ids,
        json_extract_string(parameters, '$.split') AS split, hash(target_ids) AS names
    FROM neural_means WHERE len(target_ids) > 0
),
orders AS (
    SELECT recording_digest, seed, split, names, any_value(target_ids) AS target_ids
    FROM means GROUP BY recording_digest, seed, split, names
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
    FROM means AS m JOIN regions AS g
        ON m.names = g.names AND m.recording_digest IS NOT DISTINCT FROM g.recording_digest
        AND m.seed IS NOT DISTINCT FROM g.seed AND m.split IS NOT DISTINCT FROM g.split
)
SELECT
    model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters, seed, layer,
    readout, region, subject, len(r) AS n_targets, list_count(r) AS n_scored, list_median(r) AS score,
    list_median(list_transform(r, lambda x, i: x / roots[i])) AS ceiled_score
FROM scored
