-- How sure is each neural score? The standard error of its mean over folds, or over images of maps.
SELECT
    model, recording_digest, stimuli_digest, readout, protocol, parameters, seed, score,
    standard_error
FROM best_layer WHERE standard_error IS NOT NULL
UNION ALL
SELECT
    model, recording_digest, stimuli_digest, NULL, protocol, parameters, seed, score,
    standard_error
FROM spatial_leaderboard WHERE standard_error IS NOT NULL
