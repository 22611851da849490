-- How accurate does a model stay under perturbations of at most eps, for every eps at once?
-- The curve's steps: one row for eps 0 and for each distance that an attack found. At an eps between two
-- rows the value is that of the smaller one. robust_accuracy is the share of all images whose distance is
-- above eps. An image that is wrong as it is has distance 0; one that no attack changed within its bound,
-- or on which it ended in an error, is infinitely far: neither is dropped, so that a failing attack shows as
-- accuracy, an upper bound of what a better attack leaves. low and high are Wilson's 95 % interval over
-- images as draws of their kind (crops of one photo are not that many). attack is null for all attacks of a
-- setting taken together, the shortest image by image: parameters are then without options, maps and what
-- is saved, and n_attacks counts what was run.
WITH settings AS (
    SELECT *,
        -- Numbers in place of long texts, of which there is one for each image.
        dense_rank() OVER (
            ORDER BY model, weights_digest, stimuli_digest, protocol, parameters, seed
        ) AS own,
        dense_rank() OVER (
            ORDER BY model, weights_digest, stimuli_digest, protocol, shared, seed
        ) AS together
    FROM (
        SELECT
            trial_id, model, weights_digest, stimuli, stimuli_digest, protocol, parameters, seed,
            started_at,
            json_merge_patch(
                parameters, '{"options": null, "importance": null, "save_perturbations": null}'
            ) AS shared
        FROM current_trials WHERE trial_id IN (SELECT trial_id FROM attacks)
    )
),
attacked AS (
    SELECT
        s.own, s.together, a.attack, a.norm, a.stimulus_id, s.parameters, s.started_at,
        a.status = 'error' AS is_error,
        CASE
            WHEN a.status = 'already_wrong' THEN 0
            WHEN a.status = 'found' AND isfinite(a.distance) THEN a.distance
            ELSE 'infinity'::DOUBLE
        END AS distance
    FROM attacks AS a JOIN settings AS s USING (trial_id)
),
images AS (
    SELECT
        FALSE AS is_together, own AS setting, attack, norm, stimulus_id,
        min(distance) AS distance, bool_and(is_error) AS is_error
    FROM attacked GROUP BY own, attack, norm, stimulus_id
    UNION ALL
    SELECT
        TRUE, together, '', norm, stimulus_id, min(distance), bool_and(is_error)
    FROM attacked GROUP BY together, norm, stimulus_id
),
totals AS (
    SELECT
        is_together, setting, attack, norm, count(*) AS n_images,
        count(*) FILTER (distance = 0) AS n_already_wrong,
        count(*) FILTER (isinf(distance) AND NOT is_error) AS n_bound_hit,
        count(*) FILTER (is_error) AS n_error
    FROM images GROUP BY is_together, setting, attack, norm
),
steps AS (
    SELECT is_together, setting, attack, norm, distance AS eps, count(*) AS n_at FROM images
    WHERE isfinite(distance)
    GROUP BY is_together, setting, attack, norm, distance
    UNION ALL
    SELECT is_together, setting, attack, norm, 0, 0 FROM totals
),
curves AS (
    SELECT
        is_together, setting, attack, norm, eps,
        sum(sum(n_at)) OVER (PARTITION BY is_together, setting, attack, norm ORDER BY eps) AS n_within
    FROM steps GROUP BY is_together, setting, attack, norm, eps
),
shares AS (
    SELECT *, (n_images - n_within)::BIGINT AS n_above, n_above / n_images AS share, 1.959963984540054 AS z
    FROM curves JOIN totals USING (is_together, setting, attack, norm)
),
facts AS (
    SELECT
        FALSE AS is_together, s.own AS setting, a.attack, a.norm, any_value(s.model) AS model,
        any_value(s.weights_digest) AS weights_digest, any_value(s.stimuli) AS stimuli,
        any_value(s.stimuli_digest) AS stimuli_digest, any_value(s.protocol) AS protocol,
        any_value(s.parameters) AS parameters, any_value(s.seed) AS seed, 1 AS n_attacks,
        max(s.started_at) AS started_at
    FROM settings AS s JOIN (SELECT DISTINCT own, attack, norm FROM attacked) AS a USING (own)
    GROUP BY s.own, a.attack, a.norm
    UNION ALL
    SELECT
        TRUE, s.together, '', a.norm, any_value(s.model), any_value(s.weights_digest),
        any_value(s.stimuli), any_value(s.stimuli_digest), any_value(s.protocol),
        any_value(s.shared), any_value(s.seed), count(DISTINCT (s.own, a.attack)),
        max(s.started_at)
    FROM settings AS s JOIN (SELECT DISTINCT own, attack, norm FROM attacked) AS a USING (own)
    GROUP BY s.together, a.norm
)
SELECT
    f.model, f.weights_digest, f.stimuli, f.stimuli_digest, nullif(f.attack, '') AS attack, f.n_attacks,
    f.norm, f.protocol, f.parameters, f.seed,
    json_extract_string(f.parameters, '$.decision') AS decision,
    json_extract_string(f.parameters, '$.canvas') AS canvas,
    c.eps, c.share AS robust_accuracy,
    greatest(0, (
        c.share + z * z / (2 * c.n_images)
        - z * sqrt(c.share * (1 - c.share) / c.n_images + z * z / (4 * c.n_images * c.n_images))
    ) / (1 + z * z / c.n_images)) AS low,
    least(1, (
        c.share + z * z / (2 * c.n_images)
        + z * sqrt(c.share * (1 - c.share) / c.n_images + z * z / (4 * c.n_images * c.n_images))
    ) / (1 + z * z / c.n_images)) AS high,
    c.n_above, c.n_images, c.n_already_wrong, c.n_bound_hit, c.n_error, f.started_at
FROM shares AS c JOIN facts AS f USING (is_together, setting, attack, norm)
