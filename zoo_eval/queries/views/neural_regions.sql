-- How well is each region of each subject predicted, layer by layer?
-- The median over its targets of r, which is a mean over folds, and of r / sqrt(split-half reliability).
-- Regions and subjects are those of current_targets; a recording that says neither is one row a layer.
WITH numbered AS (
    SELECT *, row_number() OVER () AS number, json_extract_string(parameters, '$.split') AS split
    FROM neural_means
),
targets AS (
    SELECT number, recording_digest, seed, split, unnest(target_ids) AS target, unnest(r) AS r
    FROM numbered
),
regions AS (
    SELECT m.number, t.region, t.subject,
        count(*) AS n_targets, count(m.r) AS n_scored,
        median(m.r) AS score,
        median(m.r / sqrt(CASE WHEN c.ceiling > 0 THEN c.ceiling END)) AS ceiled_score
    FROM targets AS m
    LEFT JOIN (
        SELECT recording_digest, seed, split, target, any_value(ceiling) AS ceiling
        FROM current_ceilings WHERE estimator = 'splithalf_spearman_brown'
        GROUP BY recording_digest, seed, split, target
    ) AS c ON c.recording_digest = m.recording_digest AND c.seed = m.seed AND c.target = m.target
        AND c.split IS NOT DISTINCT FROM m.split
    LEFT JOIN current_targets AS t ON t.recording_digest = m.recording_digest AND t.target = m.target
    GROUP BY m.number, t.region, t.subject
)
SELECT
    m.model, m.weights_digest, m.recording, m.recording_digest, m.stimuli_digest, m.protocol,
    m.parameters, m.seed, m.layer, m.readout, g.region, g.subject, g.n_targets, g.n_scored, g.score,
    g.ceiled_score
FROM regions AS g JOIN numbered AS m USING (number)
