-- Do models that tolerate larger perturbations look where people look?
-- One row per model that has both, in the one setting of the view tolerance_and_alignment. A tolerance of
-- +infinity (more than half of the images could not be changed within the bound) is a number here: it ranks as
-- the largest, with its equals. Ranks are 1 for the largest, those of equals their mean. spearman_rho, over the
-- n_models models that count, is the same on all rows; null below three of them and where one of the two never
-- varies. Models whose alignment is no number, or whose tolerance is NaN, have no rank: n_excluded counts them.
WITH paired AS (
    SELECT
        t.*, c.family, a.top1,
        isfinite(t.alignment) AND NOT isnan(t.tolerance) AS is_counted
    FROM tolerance_and_alignment AS t
    JOIN cards AS c USING (model, weights_digest)
    LEFT JOIN model_accuracy AS a USING (model, weights_digest)
    WHERE t.tolerance IS NOT NULL AND t.alignment IS NOT NULL
),
ranked AS (
    SELECT
        *,
        (rank() OVER (own ORDER BY tolerance DESC) - rank() OVER (own ORDER BY tolerance)
            + count(*) OVER own + 1) / 2 AS tolerance_rank,
        (rank() OVER (own ORDER BY alignment DESC) - rank() OVER (own ORDER BY alignment)
            + count(*) OVER own + 1) / 2 AS alignment_rank
    FROM paired
    WINDOW own AS (PARTITION BY is_counted)
)
SELECT
    model, family, top1, tolerance, alignment, null_alignment, ceiled_alignment,
    if(is_counted, r.tolerance_rank, NULL) AS tolerance_rank,
    if(is_counted, r.alignment_rank, NULL) AS alignment_rank,
    CASE
        WHEN count(*) FILTER (is_counted) OVER () >= 3
            THEN nullif(
                corr(r.tolerance_rank, r.alignment_rank) FILTER (is_counted) OVER (), 'nan'::DOUBLE
            )
    END AS spearman_rho,
    count(*) FILTER (is_counted) OVER () AS n_models,
    count(*) FILTER (is_counted AND isinf(tolerance)) OVER () AS n_infinite_tolerances,
    count(*) FILTER (NOT is_counted) OVER () AS n_excluded,
    tolerance_stimuli, tolerance_decision, tolerance_canvas, alignment_method, alignment_stimuli,
    weights_digest
FROM ranked AS r
ORDER BY tolerance_rank NULLS LAST, model
