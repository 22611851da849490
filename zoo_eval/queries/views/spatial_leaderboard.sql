-- Which model's maps over positions tell each recording's best, each image by a layer chosen without it?
-- For every held-out image the layer with the highest selection_score (from the other images only) is
-- chosen, and its score on that image reported: score is their mean, ceiling the mean of the images'
-- highest correlations between two channels, and ceiled_score one over the other. `layer` is the one
-- chosen most often. Under linsley2023_release the layer is chosen by the score itself. Layers without
-- a selection score (`selection = false`) are not here.
WITH chosen AS (
    SELECT
        s.*, t.weights_digest, t.recording_digest, t.stimuli_digest, t.parameters, t.seed, t.started_at
    FROM spatial_scores AS s
    JOIN current_trials AS t USING (trial_id)
    WHERE s.selection_score IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY
            s.model, t.weights_digest, t.recording_digest, t.stimuli_digest, s.protocol, t.parameters,
            t.seed, s.stimulus_id
        ORDER BY nullif(s.selection_score, 'nan'::DOUBLE) DESC NULLS LAST, s.layer
    ) = 1
),
models AS (
    SELECT
        model, weights_digest, arg_max(recording, stimulus_id) AS recording, recording_digest,
        stimuli_digest, protocol, parameters, seed,
        mode(layer ORDER BY layer) AS layer,
        list(layer ORDER BY stimulus_id) AS layer_per_image,
        count(*) AS n_images,
        count(*) - count(score) AS n_undefined_images,
        avg(score) AS score,
        stddev_samp(score) / sqrt(count(score)) AS standard_error,
        avg(selection_score) AS selection_score,
        avg(ceiling) AS ceiling,
        avg(score) / CASE WHEN avg(ceiling) > 0 THEN avg(ceiling) END AS ceiled_score,
        avg(map_spearman_full) AS map_spearman_full,
        avg(map_spearman_quarter) AS map_spearman_quarter,
        max(started_at) AS started_at
    FROM chosen
    GROUP BY
        model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed
)
SELECT
    rank() OVER (
        PARTITION BY recording_digest, stimuli_digest, protocol, parameters, seed
        ORDER BY nullif(score, 'nan'::DOUBLE) DESC NULLS LAST
    ) AS place,
    *
FROM models
