-- What did harmonization change: each network less its run's control, on the same images, or targets?
-- One row per pair and thing measured: alignment and tolerance image by image, a neural fit target by target,
-- maps image by image, as paired_values has them. difference is the mean over units on which both have a
-- value, low and high its 95 % t interval (t by Hill 1970, Algorithm 396: six digits). Where a value is
-- infinite, as a bound that was hit, there is no mean: larger and smaller count the units. no_interval says
-- why there is none. Of tolerance: images that both get right.
WITH pairs AS (
    SELECT
        r.model, r.control, r.trained_from, r.harmonization_lambda, v.trend, v.name, v.protocol,
        v.parameters, v.recording_digest, v.stimuli_digest, v.importance_digest, v.seed, v.unit,
        v.value AS its, c.value AS controls, v.value - c.value AS apart
    FROM training_runs AS r
    JOIN paired_values AS v ON v.model = r.model
    JOIN paired_values AS c ON c.model = r.control
        AND c.trend = v.trend AND c.name = v.name AND c.protocol = v.protocol
        AND c.parameters = v.parameters AND c.stimuli_digest = v.stimuli_digest AND c.seed = v.seed
        AND c.recording_digest IS NOT DISTINCT FROM v.recording_digest
        AND c.importance_digest IS NOT DISTINCT FROM v.importance_digest
        AND c.unit_id = v.unit_id
    WHERE NOT isnan(v.value) AND NOT isnan(c.value)
),
counted AS (
    SELECT
        * EXCLUDE (its, controls, apart),
        count(*) AS n,
        count(*) FILTER (isinf(its) OR isinf(controls)) AS n_infinite,
        count(*) FILTER (its > controls) AS larger,
        count(*) FILTER (its < controls) AS smaller,
        avg(its) FILTER (isfinite(apart)) AS harmonized,
        avg(controls) FILTER (isfinite(apart)) AS controlled,
        avg(apart) FILTER (isfinite(apart)) AS mean,
        stddev_samp(apart) FILTER (isfinite(apart)) AS deviation,
        -- Values of single precision differ in their last digit.
        max(apart) FILTER (isfinite(apart)) - min(apart) FILTER (isfinite(apart))
            <= 1e-6 * max(abs(apart)) FILTER (isfinite(apart)) AS is_same
    FROM pairs GROUP BY ALL
),
-- Two-sided 95 % quantile of Student's t of n - 1 degrees of freedom, expanded about the normal's x.
expanded AS (
    SELECT
        *,
        CASE
            WHEN n_infinite > 0 THEN 'a value is infinite: counted, not averaged'
            WHEN n < 5 THEN 'an interval takes 5 of them'
            WHEN is_same THEN 'the difference is the same throughout'
        END AS no_interval,
        -1.959963984540054::DOUBLE AS x, x * x AS y, greatest(n - 1, 4)::DOUBLE AS df, 1 / (df - 0.5) AS a,
        48 / (a * a) AS b, ((20700 * a / b - 98) * a - 16) * a + 96.36 AS c,
        ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * pi() / 2) * df AS d,
        c + CASE WHEN df < 5 THEN 0.3 * (df - 4.5) * (x + 0.6) ELSE 0 END AS few,
        (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + few AS e,
        (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / e - y - 3) / b + 1) * x AS z,
        sqrt(df * (exp(a * z * z) - 1)) AS t
    FROM counted
)
SELECT
    model, control, trained_from, harmonization_lambda, trend, name, protocol, parameters,
    recording_digest, stimuli_digest, importance_digest, seed, unit, n, n_infinite, larger, smaller,
    CASE WHEN n_infinite = 0 THEN harmonized END AS harmonized,
    CASE WHEN n_infinite = 0 THEN controlled END AS controlled,
    CASE WHEN n_infinite = 0 THEN mean END AS difference,
    CASE WHEN no_interval IS NULL THEN mean - t * deviation / sqrt(n) END AS low,
    CASE WHEN no_interval IS NULL THEN mean + t * deviation / sqrt(n) END AS high,
    no_interval
FROM expanded
ORDER BY trend, name, protocol, parameters, stimuli_digest, model
