-- Which finished trials count by default? Newest evaluation version, weights, input and numerics, gate not failed.
WITH done AS (SELECT * FROM trials WHERE status = 'ok'),
newest_weights AS (
    SELECT
        model,
        arg_max(weights_digest, started_at) AS weights_digest,
        arg_max(transform, started_at) AS transform,
        arg_max(numerics, started_at) AS numerics
    FROM done WHERE weights_digest IS NOT NULL GROUP BY model
),
newest_version AS (
    SELECT evaluation, max(evaluation_version) AS evaluation_version FROM done GROUP BY evaluation
)
SELECT done.*
FROM done
JOIN newest_version USING (evaluation, evaluation_version)
LEFT JOIN newest_weights AS w ON w.model = done.model
LEFT JOIN gates AS g ON g.model = done.model AND g.weights_digest = done.weights_digest
WHERE (
    done.model IS NULL OR (done.weights_digest = w.weights_digest AND done.transform = w.transform
        AND done.numerics = w.numerics)
)
  AND coalesce(g.gate, 'undecided') <> 'fail'
-- Two sweeps on one object store may both finish a trial; it counts once, as its rows do.
QUALIFY row_number() OVER (PARTITION BY done.trial_id ORDER BY done.commit_id) = 1
