-- Which layer predicts each recording best, chosen without looking at the scored fold?
-- In every fold the layer with the highest selection_score (from the training folds only) is
-- chosen, and its score on the untouched fold is reported: score is their mean, of the statistic
-- named, over the folds in which it is defined. `layer` is the one chosen most often.
WITH choices AS (
    SELECT
        model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed,
        readout, fold,
        arg_min(
            {
                layer: layer, recording: recording, mode: mode, statistic: statistic, score: score,
                selection_score: selection_score, reliability: reliability,
                reliability_estimator: reliability_estimator,
                r_over_sqrt_ceiling: r_over_sqrt_ceiling, started_at: started_at
            },
            -- The highest score, NaN (to DuckDB the largest) being none, and of equals the first layer by its name.
            {
                is_none: coalesce(isnan(selection_score), TRUE), descending: -selection_score,
                layer: layer
            }
        ) AS best
    FROM neural_folds
    GROUP BY
        model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed,
        readout, fold
),
chosen AS (SELECT * EXCLUDE (best), unnest(best) FROM choices)
SELECT
    model, weights_digest, arg_max(recording, fold) AS recording, recording_digest,
    stimuli_digest, protocol, parameters, seed, readout, any_value(mode) AS mode,
    any_value(statistic) AS statistic,
    mode(layer ORDER BY layer) AS layer,
    list(layer ORDER BY fold) AS layer_per_fold,
    count(*) AS n_folds,
    count(*) - count(score) AS n_undefined_folds,
    avg(score) AS score,
    stddev_samp(score) / sqrt(count(score)) AS standard_error,
    avg(selection_score) AS selection_score,
    any_value(reliability) AS reliability,
    any_value(reliability_estimator) AS reliability_estimator,
    avg(r_over_sqrt_ceiling) AS ceiled_score,
    max(started_at) AS started_at
FROM chosen
GROUP BY
    model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed, readout
