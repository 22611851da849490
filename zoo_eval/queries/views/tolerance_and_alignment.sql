-- What does each model tolerate, and where do its perturbations fall, all measured in one setting?
-- Of protocol `corrected` in l2 the setting that most models share: stimuli, seed and all parameters but
-- the attack's options, the maps and what is saved; of equals that of argmax, of a common canvas (lengths
-- mean the same for every input size), the newest. tolerance is the smallest over its attacks, each of
-- which bounds the true minimum from above. alignment, with the published channel reduction, is of one
-- source for all models: the smallest of these perturbations, or if no model has any with human maps, the
-- input gradient (on the same stimuli if it was taken there), with the maps and parameters that most
-- models share. A model without it lacks it.
WITH attacked AS (
    SELECT *,
        json_merge_patch(
            parameters, '{"options": null, "importance": null, "save_perturbations": null}'
        ) AS setting
    FROM tolerances WHERE protocol = 'corrected' AND norm = 'l2' AND tolerance IS NOT NULL
),
shared AS (
    SELECT stimuli_digest, setting, seed, any_value(canvas) AS canvas FROM attacked
    GROUP BY stimuli_digest, setting, seed
    ORDER BY
        count(DISTINCT model) DESC, any_value(decision) = 'argmax' DESC,
        any_value(canvas) = 'own', max(started_at) DESC, stimuli_digest, setting, seed
    LIMIT 1
),
compared AS (
    SELECT a.* FROM attacked AS a JOIN shared USING (stimuli_digest, setting, seed)
),
smallest AS (
    SELECT * FROM compared
    QUALIFY row_number() OVER (
        PARTITION BY model, weights_digest ORDER BY tolerance, attack, parameters
    ) = 1
),
-- Alignment of the compared perturbations, and of input gradients, whose every parameter is a setting.
measured AS (
    SELECT l.*, c.setting, c.tolerance
    FROM alignments AS l
    JOIN compared AS c USING (model, weights_digest, stimuli_digest, protocol, parameters, seed)
    WHERE l.method = c.attack AND l.published_reduction AND l.alignment IS NOT NULL
        AND l.region IS DISTINCT FROM 'defect_unseen_frame'
    UNION ALL BY NAME
    SELECT *, parameters AS setting FROM alignments
    WHERE evaluation = 'human_alignment' AND method = 'input_gradient' AND published_reduction
        AND alignment IS NOT NULL AND region IS DISTINCT FROM 'defect_unseen_frame'
),
source AS (
    SELECT evaluation, stimuli_digest, importance_digest, setting, seed FROM measured
    GROUP BY evaluation, stimuli_digest, importance_digest, setting, seed
    ORDER BY
        evaluation = 'minimal_attack' DESC,
        stimuli_digest IN (SELECT stimuli_digest FROM shared) DESC, count(DISTINCT model) DESC,
        json_extract_string(setting, '$.canvas') IN (SELECT canvas FROM shared) DESC,
        max(started_at) DESC, importance_digest, setting, seed
    LIMIT 1
),
aligned AS (
    SELECT m.*
    FROM measured AS m
    JOIN source USING (evaluation, stimuli_digest, importance_digest, setting, seed)
    QUALIFY row_number() OVER (
        PARTITION BY model, weights_digest ORDER BY tolerance, method, m.parameters
    ) = 1
)
SELECT
    model, weights_digest, s.tolerance, s.tolerance_common, s.attack AS tolerance_attack,
    s.stimuli AS tolerance_stimuli, s.decision AS tolerance_decision, s.canvas AS tolerance_canvas,
    a.alignment, a.null_alignment, a.ceiled_alignment, a.method AS alignment_method,
    a.stimuli AS alignment_stimuli
FROM smallest AS s FULL JOIN aligned AS a USING (model, weights_digest)
