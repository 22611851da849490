-- Which models lack which evaluations?
-- One row per model and evaluation that the store knows: state is ok, failed, refused, `partly` (some trials
-- finished, others failed or were refused), `outdated` (finished for other weights, input, numerics or an older
-- version of the evaluation alone) or never run. Trials are counted by their last attempt, once each. gate is
-- the verdict on the model's weights: where it is `fail`, what was finished counts in no other question.
WITH last_attempt AS (
    SELECT * FROM trials WHERE model IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY trial_id ORDER BY attempt DESC, started_at DESC) = 1
),
newest AS (
    SELECT
        model, arg_max(weights_digest, started_at) AS weights_digest,
        arg_max(transform, started_at) AS transform, arg_max(numerics, started_at) AS numerics
    FROM last_attempt WHERE status = 'ok' AND weights_digest IS NOT NULL
    GROUP BY model
),
versions AS (
    SELECT evaluation, max(evaluation_version) AS evaluation_version
    FROM last_attempt WHERE status = 'ok'
    GROUP BY evaluation
),
finished AS (
    SELECT
        t.model, t.evaluation,
        count(*) FILTER (
            t.evaluation_version = v.evaluation_version AND t.weights_digest = n.weights_digest
            AND t.transform = n.transform AND t.numerics = n.numerics
        ) AS n_ok,
        count(*) AS n_ever
    FROM last_attempt AS t JOIN newest AS n USING (model) JOIN versions AS v USING (evaluation)
    WHERE t.status = 'ok'
    GROUP BY t.model, t.evaluation
),
undone AS (
    SELECT
        model, evaluation, count(*) FILTER (status = 'failed') AS n_failed,
        count(*) FILTER (status = 'refused') AS n_refused
    FROM failures
    GROUP BY model, evaluation
),
verdicts AS (
    SELECT n.model, g.gate FROM newest AS n JOIN gates AS g USING (model, weights_digest)
),
cells AS (
    SELECT
        m.model, e.evaluation, coalesce(f.n_ok, 0) AS n_ok, coalesce(u.n_failed, 0) AS n_failed,
        coalesce(u.n_refused, 0) AS n_refused, coalesce(f.n_ever, 0) - n_ok AS n_outdated, v.gate
    FROM (SELECT DISTINCT model FROM last_attempt) AS m
    CROSS JOIN (SELECT DISTINCT evaluation FROM last_attempt) AS e
    LEFT JOIN finished AS f USING (model, evaluation)
    LEFT JOIN undone AS u USING (model, evaluation)
    LEFT JOIN verdicts AS v USING (model)
)
SELECT
    model, evaluation,
    CASE
        WHEN n_ok > 0 AND n_failed + n_refused > 0 THEN 'partly'
        WHEN n_ok > 0 THEN 'ok'
        WHEN n_failed > 0 THEN 'failed'
        WHEN n_refused > 0 THEN 'refused'
        WHEN n_outdated > 0 THEN 'outdated'
        ELSE 'never run'
    END AS state,
    n_ok, n_failed, n_refused, n_outdated, gate
FROM cells
ORDER BY model, evaluation
