-- At which depth of a network are scores highest, over all models?
-- One row per tenth of the depth (from_depth 0: the first, 0.9: the last) and all that scores must share to be
-- compared. A model's score there is the mean over its layers of that tenth; median_score and the quartiles are
-- over models. n_best counts the models whose best layer lies there: that of the highest mean selection_score,
-- from training folds alone. n_undefined (null or NaN) and n_infinite count layers that are in no other number.
WITH depths AS (
    SELECT l.model, t.weights_digest, l.layer, any_value(l.depth) AS depth
    FROM layers AS l JOIN current_trials AS t USING (trial_id)
    GROUP BY l.model, t.weights_digest, l.layer
),
folds AS (
    SELECT
        f.*, least(floor(d.depth * 10), 9) / 10 AS from_depth
    FROM neural_folds AS f JOIN depths AS d USING (model, weights_digest, layer)
),
means AS (
    SELECT
        model, weights_digest, recording, recording_digest, stimuli_digest, readout, statistic, protocol,
        parameters, seed, layer, from_depth,
        avg(score) FILTER (isfinite(score)) AS score,
        avg(selection_score) FILTER (isfinite(selection_score)) AS selection_score,
        coalesce(bool_or(isinf(score)), FALSE) AS is_infinite
    FROM folds
    GROUP BY ALL
),
ranked AS (
    SELECT
        *, selection_score IS NOT NULL AND row_number() OVER (
            PARTITION BY
                model, weights_digest, recording_digest, stimuli_digest, readout, statistic, protocol,
                parameters, seed
            ORDER BY selection_score DESC NULLS LAST, layer
        ) = 1 AS is_best
    FROM means
),
models_there AS (
    SELECT
        model, weights_digest, recording, recording_digest, stimuli_digest, readout, statistic, protocol,
        parameters, seed, from_depth,
        avg(score) AS score, count(score) AS n_layers, bool_or(is_best) AS is_best,
        count(*) FILTER (score IS NULL AND NOT is_infinite) AS n_undefined,
        count(*) FILTER (score IS NULL AND is_infinite) AS n_infinite
    FROM ranked
    GROUP BY ALL
)
SELECT
    recording, readout, from_depth,
    count(score) AS n_models, sum(n_layers)::BIGINT AS n_layers,
    median(score) AS median_score,
    quantile_cont(score, 0.25) AS lower_quartile, quantile_cont(score, 0.75) AS upper_quartile,
    count(*) FILTER (is_best) AS n_best,
    sum(n_undefined)::BIGINT AS n_undefined, sum(n_infinite)::BIGINT AS n_infinite,
    statistic, protocol, parameters, seed, recording_digest, stimuli_digest
FROM models_there
GROUP BY
    recording, readout, from_depth, statistic, protocol, parameters, seed, recording_digest,
    stimuli_digest
ORDER BY recording, readout, protocol, parameters, seed, from_depth
