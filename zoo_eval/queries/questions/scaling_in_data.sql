-- Do networks that were trained on other data score better?
-- One row per pretraining and all that scores must share to be compared; pretraining is null where it is unknown,
-- as it is of untrained networks. Graded versions (pruned, noised, ...) are left out. Groups differ in more than
-- their data, so beside the medians stands a controlled comparison: usual is the pretraining that most of these
-- models have, and gain_over_usual the mean, over architectures that have both, of how much higher they score
-- with this one; n_architectures counts them. n_undefined (null or NaN) and n_infinite count models whose score
-- is no number: they are in nothing else.
WITH trained AS (
    SELECT
        b.*, c.pretraining, c.family, c.architecture, c.n_params, a.top1,
        isfinite(b.score) IS TRUE AS is_finite, isinf(b.score) IS TRUE AS is_infinite
    FROM best_layer AS b
    JOIN cards AS c USING (model, weights_digest)
    LEFT JOIN model_accuracy AS a USING (model, weights_digest)
    WHERE c.graded_from IS NULL
),
usual AS (
    SELECT
        recording_digest, stimuli_digest, readout, statistic, protocol, parameters, seed,
        mode(pretraining ORDER BY pretraining) AS usual
    FROM trained WHERE is_finite
    GROUP BY ALL
),
architectures AS (
    SELECT
        recording_digest, stimuli_digest, readout, statistic, protocol, parameters, seed, pretraining,
        architecture, avg(score) AS score
    FROM trained WHERE is_finite
    GROUP BY ALL
),
gains AS (
    SELECT
        o.recording_digest, o.stimuli_digest, o.readout, o.statistic, o.protocol, o.parameters, o.seed,
        o.pretraining, count(*) AS n_architectures, avg(o.score - r.score) AS gain_over_usual
    FROM architectures AS o
    JOIN usual AS u USING (recording_digest, stimuli_digest, readout, statistic, protocol, parameters, seed)
    JOIN architectures AS r
        USING (recording_digest, stimuli_digest, readout, statistic, protocol, parameters, seed, architecture)
    WHERE r.pretraining = u.usual AND o.pretraining <> u.usual
    GROUP BY ALL
),
groups AS (
    SELECT
        recording, readout, pretraining,
        count(*) FILTER (is_finite) AS n_models,
        count(DISTINCT family) FILTER (is_finite) AS n_families,
        median(n_params) FILTER (is_finite) AS median_params,
        median(top1) FILTER (is_finite AND isfinite(top1)) AS median_top1,
        median(score) FILTER (is_finite) AS median_score,
        max(score) FILTER (is_finite) AS best_score,
        count(*) FILTER (NOT is_finite AND NOT is_infinite) AS n_undefined,
        count(*) FILTER (is_infinite) AS n_infinite,
        statistic, protocol, parameters, seed, recording_digest, stimuli_digest
    FROM trained
    GROUP BY
        recording, readout, pretraining, statistic, protocol, parameters, seed, recording_digest,
        stimuli_digest
)
SELECT
    g.recording, g.readout, g.pretraining, g.n_models, g.n_families, g.median_params, g.median_top1,
    g.median_score, g.best_score, u.usual, x.gain_over_usual, coalesce(x.n_architectures, 0) AS n_architectures,
    g.n_undefined, g.n_infinite, g.statistic, g.protocol, g.parameters, g.seed, g.recording_digest,
    g.stimuli_digest
FROM groups AS g
LEFT JOIN usual AS u USING (recording_digest, stimuli_digest, readout, statistic, protocol, parameters, seed)
LEFT JOIN gains AS x
    USING (recording_digest, stimuli_digest, readout, statistic, protocol, parameters, seed, pretraining)
ORDER BY g.recording, g.readout, g.protocol, g.parameters, g.seed, g.median_score DESC NULLS LAST, g.pretraining
