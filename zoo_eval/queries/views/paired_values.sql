-- What did each model get on each target, or each stimulus, so that two models can be compared on the same?
-- unit is target or stimulus. A neural value is r at the layer chosen without the scored fold, averaged over
-- folds; an image's of maps the median r at the layer chosen without it; a tolerance the distance of one
-- image, +infinity where the bound was hit; an alignment one image's, in the published channel reduction.
WITH chosen AS (
    SELECT * FROM neural_folds WHERE mode = 'fit'
    QUALIFY row_number() OVER (
        PARTITION BY
            model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed,
            readout, fold
        ORDER BY nullif(selection_score, 'nan'::DOUBLE) DESC NULLS LAST, layer
    ) = 1
),
-- Only of the rows that are chosen the lists are unfolded.
rows AS (
    SELECT s.model, t.recording_digest, t.stimuli_digest, t.parameters, t.seed, s.recording, s.protocol,
        s.readout, s.target_ids, s.r
    FROM neural_scores AS s
    JOIN current_trials AS t USING (trial_id)
    JOIN chosen AS c
        ON c.model = s.model AND c.weights_digest = t.weights_digest
        AND c.recording_digest = t.recording_digest AND c.stimuli_digest = t.stimuli_digest
        AND c.protocol = s.protocol AND c.parameters = t.parameters AND c.seed = t.seed
        AND c.readout = s.readout AND c.fold = s.fold AND c.layer = s.layer
),
targets AS (
    SELECT * EXCLUDE (target_ids, r), unnest(target_ids) AS target, unnest(r)::DOUBLE AS r FROM rows
),
images AS (
    SELECT s.*, t.recording_digest, t.stimuli_digest, t.parameters, t.seed
    FROM spatial_scores AS s JOIN current_trials AS t USING (trial_id)
    WHERE s.selection_score IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY s.model, t.weights_digest, t.recording_digest, t.stimuli_digest, s.protocol,
            t.parameters, t.seed, s.stimulus_id
        ORDER BY nullif(s.selection_score, 'nan'::DOUBLE) DESC NULLS LAST, s.layer
    ) = 1
)
SELECT 'accuracy_vs_neural' AS trend, model, concat_ws(', ', recording, readout) AS name, protocol, parameters,
    recording_digest, stimuli_digest, NULL AS importance_digest, seed, 'target' AS unit, target AS unit_id,
    avg(r) FILTER (NOT isnan(r)) AS value
FROM targets
GROUP BY ALL
UNION ALL BY NAME
SELECT 'accuracy_vs_spatial' AS trend, model, recording AS name, protocol, parameters, recording_digest,
    stimuli_digest, seed, 'stimulus' AS unit, stimulus_id AS unit_id, score AS value
FROM images
UNION ALL BY NAME
SELECT 'accuracy_vs_tolerance' AS trend, a.model,
    concat_ws(', ', t.stimuli, a.attack || ' ' || a.norm) AS name, t.protocol, t.parameters,
    t.stimuli_digest, t.seed, 'stimulus' AS unit, a.stimulus_id AS unit_id,
    CASE a.status WHEN 'found' THEN a.distance WHEN 'bound_hit' THEN 'infinity'::DOUBLE END AS value
FROM attacks AS a JOIN current_trials AS t USING (trial_id)
UNION ALL BY NAME
SELECT 'accuracy_vs_alignment' AS trend, a.model,
    concat_ws(', ', l.importance, l.stimuli, concat_ws(' ', l.method, l.norm), l.channel_reduction) AS name,
    t.protocol, t.parameters, t.importance_digest, t.stimuli_digest, t.seed,
    'stimulus' AS unit, a.stimulus_id AS unit_id, a.spearman AS value
FROM alignment AS a
JOIN current_trials AS t USING (trial_id)
JOIN alignments AS l ON l.model = a.model AND l.weights_digest = t.weights_digest AND l.method = a.method
    AND l.channel_reduction = a.channel_reduction AND l.importance_digest = t.importance_digest
    AND l.stimuli_digest = t.stimuli_digest AND l.evaluation = t.evaluation AND l.protocol = t.protocol
    AND l.parameters = t.parameters AND l.seed = t.seed
WHERE l.published_reduction
