-- Which model predicts each recording best, readout by readout?
-- NaN, to DuckDB the largest number, has the last place, as null has.
SELECT
    rank() OVER (
        PARTITION BY recording_digest, stimuli_digest, protocol, parameters, seed, readout
        ORDER BY nullif(score, 'nan'::DOUBLE) DESC NULLS LAST
    ) AS place,
    *
FROM best_layer
