-- Which layer scores best on the very folds it is scored on? Optimistic: for comparison only.
WITH means AS (
    SELECT
        model, weights_digest, recording, recording_digest, protocol, parameters, seed, readout,
        layer, avg(score) AS score, any_value(reliability) AS reliability
    FROM neural_folds GROUP BY ALL
)
SELECT *, score / sqrt(reliability) AS ceiled_score, TRUE AS layer_chosen_on_test
FROM means
QUALIFY row_number() OVER (
    PARTITION BY model, weights_digest, recording_digest, protocol, parameters, seed, readout
    ORDER BY score DESC NULLS LAST, layer
) = 1
