-- What does each published protocol, or one defect alone, make of the same model and images?
-- mean_found is what the published code would report: distances as it measures them, over the images
-- that it keeps. mean_l2 is the length in [0, 1] pixels of the same perturbations as stored. flags maps
-- each sign of a masked gradient, and each defect of a protocol, to its share of the attacked
-- images. times_corrected sets the tolerance against the smallest of protocol `corrected` for the same
-- norm, decision and canvas; null without one or where both are infinite. Alignment is by the channel
-- reduction that the protocol's own code uses.
WITH flagged AS (
    SELECT trial_id, map_from_entries(list((flag, share) ORDER BY flag)) AS flags
    FROM (
        SELECT trial_id, unnest(flags) AS flag, count(*) / any_value(n_attacked) AS share
        FROM (
            SELECT trial_id, flags, count(flags) OVER (PARTITION BY trial_id) AS n_attacked
            FROM attacks
        )
        GROUP BY trial_id, flag
    )
    GROUP BY trial_id
),
-- One trial has one model, protocol, attack, parameters (with the maps), seed and stimuli.
flags AS (
    SELECT
        t.model, t.weights_digest, t.stimuli_digest, t.protocol, t.parameters, t.seed, t.attack,
        f.flags
    FROM current_trials AS t JOIN flagged AS f USING (trial_id)
),
aligned AS (
    SELECT
        model, weights_digest, stimuli_digest, protocol, parameters, seed, method AS attack,
        importance, channel_reduction, alignment, null_alignment, ceiled_alignment,
        n_images AS n_aligned
    FROM alignments WHERE evaluation = 'minimal_attack' AND published_reduction
),
judged AS (
    SELECT
        *,
        min(tolerance) FILTER (protocol = 'corrected') OVER (
            PARTITION BY model, weights_digest, stimuli_digest, norm, decision, canvas
        ) AS corrected_tolerance
    FROM tolerances
)
SELECT
    j.model, j.weights_digest, j.stimuli, j.stimuli_digest, j.protocol, j.attack, j.norm, j.decision,
    j.canvas, j.tolerance, j.median_found, j.mean_found, j.mean_l2, j.corrected_tolerance,
    nullif(j.tolerance / j.corrected_tolerance, 'nan') AS times_corrected,
    j.n_found, j.n_bound_hit, j.n_already_wrong, j.n_error, j.bound_hit_share,
    a.importance, a.channel_reduction, a.alignment, a.null_alignment, a.ceiled_alignment, a.n_aligned,
    f.flags, j.parameters, j.seed
FROM judged AS j
LEFT JOIN aligned AS a
    USING (model, weights_digest, stimuli_digest, protocol, parameters, seed, attack)
LEFT JOIN flags AS f
    USING (model, weights_digest, stimuli_digest, protocol, parameters, seed, attack)
ORDER BY j.model, j.stimuli, j.norm, j.protocol <> 'corrected', j.protocol, j.decision, j.canvas, j.attack
