-- Which layer scores best on the very folds it is scored on? Optimistic: for comparison only.
WITH means AS (
    SELECT
        model, weights_digest, recording, recording_digest, stimuli_digest, protocol, parameters,
        seed, readout, mode, statistic, layer, avg(score) AS score, reliability, reliability_estimator,
        avg(r_over_sqrt_ceiling) AS ceiled_score
    FROM neural_folds GROUP BY ALL
)
SELECT *, TRUE AS layer_chosen_on_test
FROM means
QUALIFY row_number() OVER (
    PARTITION BY
        model, weights_digest, recording_digest, stimuli_digest, protocol, parameters, seed, readout
    ORDER BY nullif(score, 'nan'::DOUBLE) DESC NULLS LAST, layer
) = 1
