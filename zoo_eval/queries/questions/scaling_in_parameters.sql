-- Do larger networks trained on the same data score better?
-- One row per pretraining and all that scores must share to be compared; pretraining is null where it is unknown,
-- as it is of untrained networks. Graded versions (pruned, noised, ...) are left out: their edits set them apart,
-- not their size. per_tenfold is what a least-squares line gains with ten times the parameters; spearman_rho
-- averages the ranks of equals. Both are null below three models and where all sizes are equal, spearman_rho
-- also where all scores are. The same of top-1, over the models of the row that have one. n_undefined (null or
-- NaN) and n_infinite count models whose score is no number: they are in nothing else.
WITH sized AS (
    SELECT
        c.pretraining, c.family, c.n_params, log10(c.n_params) AS tenfolds, a.top1, b.*,
        isfinite(b.score) IS TRUE AS is_finite, isinf(b.score) IS TRUE AS is_infinite,
        isfinite(b.score) IS TRUE AND isfinite(a.top1) IS TRUE AS has_top1
    FROM best_layer AS b
    JOIN cards AS c USING (model, weights_digest)
    LEFT JOIN model_accuracy AS a USING (model, weights_digest)
    WHERE c.n_params > 0 AND c.graded_from IS NULL
),
ranked AS (
    -- Twice the mean rank of equals, but for a constant.
    SELECT
        *,
        rank() OVER (own ORDER BY n_params) - rank() OVER (own ORDER BY n_params DESC) AS size_rank,
        rank() OVER (own ORDER BY score) - rank() OVER (own ORDER BY score DESC) AS score_rank
    FROM sized
    WINDOW own AS (
        PARTITION BY
            pretraining, recording, recording_digest, stimuli_digest, readout, statistic, protocol,
            parameters, seed, is_finite
    )
)
SELECT
    recording, readout, pretraining,
    count(*) FILTER (is_finite) AS n_models,
    count(DISTINCT family) FILTER (is_finite) AS n_families,
    min(n_params) FILTER (is_finite) AS fewest_params,
    max(n_params) FILTER (is_finite) AS most_params,
    CASE
        WHEN n_models >= 3
            THEN nullif(corr(size_rank, score_rank) FILTER (is_finite), 'nan'::DOUBLE)
    END AS spearman_rho,
    CASE
        WHEN n_models >= 3 AND fewest_params < most_params
            THEN regr_slope(score, tenfolds) FILTER (is_finite)
    END AS score_per_tenfold,
    CASE
        WHEN count(*) FILTER (has_top1) >= 3
            AND min(n_params) FILTER (has_top1) < max(n_params) FILTER (has_top1)
            THEN regr_slope(top1, tenfolds) FILTER (has_top1)
    END AS top1_per_tenfold,
    count(*) FILTER (NOT is_finite AND NOT is_infinite) AS n_undefined,
    count(*) FILTER (is_infinite) AS n_infinite,
    statistic, protocol, parameters, seed, recording_digest, stimuli_digest
FROM ranked
GROUP BY
    recording, readout, pretraining, statistic, protocol, parameters, seed, recording_digest,
    stimuli_digest
ORDER BY recording, readout, protocol, parameters, seed, n_models DESC, pretraining
