-- Which model predicts each recording best, readout by readout?
SELECT
    rank() OVER (
        PARTITION BY recording_digest, stimuli_digest, protocol, parameters, seed, readout
        ORDER BY score DESC NULLS LAST
    ) AS place,
    *
FROM best_layer
