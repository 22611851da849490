-- On which models do two recordings disagree most?
-- One row per model and pair of recordings that it was scored on, by the leaderboard's scores: its best readout,
-- chosen without the scored fold, in the setting that most models of that recording share. Ranks are among the
-- n_models models that have both, 1 for the highest score, those of equals their mean; difference is the
-- first rank minus the second, and share_of_models the same, its sign left out, as a share of the largest
-- possible. spearman_rho is that of the pair, the same on all of its rows: null below three models and where one
-- recording has one score for all. n_excluded counts models of which a score is NaN or infinite: no row, no rank.
WITH scores AS (
    SELECT model, weights_digest, unnest(map_entries(neural_scores)) AS entry FROM leaderboard
),
pairs AS (
    SELECT
        a.model, a.weights_digest, a.entry.key AS recording, b.entry.key AS other_recording,
        a.entry.value AS score, b.entry.value AS other_score,
        isfinite(a.entry.value) AND isfinite(b.entry.value) AS is_finite
    FROM scores AS a JOIN scores AS b USING (model, weights_digest)
    WHERE a.entry.key < b.entry.key
),
ranked AS (
    SELECT
        *,
        count(*) OVER own AS n_models,
        (rank() OVER (own ORDER BY score DESC) - rank() OVER (own ORDER BY score)
            + count(*) OVER own + 1) / 2 AS score_rank,
        (rank() OVER (own ORDER BY other_score DESC) - rank() OVER (own ORDER BY other_score)
            + count(*) OVER own + 1) / 2 AS other_rank,
        count(*) FILTER (NOT is_finite) OVER (PARTITION BY recording, other_recording) AS n_excluded
    FROM pairs
    WINDOW own AS (PARTITION BY recording, other_recording, is_finite)
)
SELECT
    model, recording, score, score_rank AS rank, other_recording, other_score, other_rank,
    score_rank - other_rank AS difference,
    abs(difference) / nullif(n_models - 1, 0) AS share_of_models,
    CASE
        WHEN n_models >= 3
            THEN nullif(
                corr(score_rank, other_rank) OVER (PARTITION BY recording, other_recording), 'nan'::DOUBLE
            )
    END AS spearman_rho,
    n_models, n_excluded, weights_digest
FROM ranked
WHERE is_finite
ORDER BY share_of_models DESC NULLS LAST, recording, other_recording, model
