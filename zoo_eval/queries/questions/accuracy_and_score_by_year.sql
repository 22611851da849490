-- Do models of later years score better, or only classify better?
-- One row per year and all that scores must share to be compared; year is the year of publication, null where it is unknown.
-- Scores are those of accuracy_vs_neural: the layer is chosen without the scored fold. spearman_rho, of top-1 and
-- score, averages the ranks of equals; it is null below three models and where one of the two never varies.
-- n_undefined (null or NaN) and n_infinite count models whose score or top-1 is no number: they are in nothing
-- else.
WITH paired AS (
    SELECT
        c.year, a.*,
        isfinite(a.score) IS TRUE AND isfinite(a.top1) IS TRUE AS is_finite,
        isinf(a.score) IS TRUE OR isinf(a.top1) IS TRUE AS is_infinite
    FROM accuracy_vs_neural AS a JOIN cards AS c USING (model)
),
ranked AS (
    -- Twice the mean rank of equals, but for a constant.
    SELECT
        *,
        rank() OVER (own ORDER BY top1) - rank() OVER (own ORDER BY top1 DESC) AS top1_rank,
        rank() OVER (own ORDER BY score) - rank() OVER (own ORDER BY score DESC) AS score_rank
    FROM paired
    WINDOW own AS (
        PARTITION BY
            year, recording, recording_digest, stimuli_digest, readout, statistic, protocol,
            parameters, seed, is_finite
    )
)
SELECT
    recording, readout, year,
    count(*) FILTER (is_finite) AS n_models,
    median(top1) FILTER (is_finite) AS median_top1,
    median(score) FILTER (is_finite) AS median_score,
    max(score) FILTER (is_finite) AS best_score,
    CASE
        WHEN n_models >= 3
            THEN nullif(corr(top1_rank, score_rank) FILTER (is_finite), 'nan'::DOUBLE)
    END AS spearman_rho,
    count(*) FILTER (NOT is_finite AND NOT is_infinite) AS n_undefined,
    count(*) FILTER (is_infinite) AS n_infinite,
    accuracy_stimuli, statistic, protocol, parameters, seed, recording_digest, stimuli_digest
FROM ranked
GROUP BY
    recording, readout, year, accuracy_stimuli, statistic, protocol, parameters, seed,
    recording_digest, stimuli_digest
ORDER BY recording, readout, protocol, parameters, seed, year NULLS LAST
