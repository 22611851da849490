-- How do all models compare: one row each?
-- neural_scores maps a recording to the best honest score over readouts (and neural_scores_ceiled to the
-- same, ceiled). All models are compared on what most of them share, of equals the newest: one content of
-- the recording, stimuli, protocol, seed and measure (fits, or one similarity), and one choice of
-- parameters per readout. A model without it is not in the map. tolerance is the smallest over l2
-- attacks, that of tolerance_attack: every attack bounds the true minimum from above. alignment is that
-- of alignment_method: of the attack's perturbations, or else of the input gradient, with the channel
-- reduction published for it. Released protocols, whose defects the view `protocols` shows, are left out.
WITH measured AS (
    SELECT *, CASE WHEN readout IN ('pls', 'ridge') THEN 'fit' ELSE readout END AS measure
    FROM best_layer WHERE score IS NOT NULL
),
shared AS (
    SELECT recording, recording_digest, stimuli_digest, protocol, seed, measure
    FROM measured
    GROUP BY recording, recording_digest, stimuli_digest, protocol, seed, measure
    QUALIFY row_number() OVER (
        PARTITION BY recording
        ORDER BY
            count(DISTINCT model) DESC, measure = 'fit' DESC, max(started_at) DESC, recording_digest,
            stimuli_digest, protocol, seed, measure
    ) = 1
),
compared AS (
    SELECT m.* FROM measured AS m JOIN shared
        USING (recording, recording_digest, stimuli_digest, protocol, seed, measure)
),
chosen AS (
    SELECT recording, readout, parameters FROM compared GROUP BY recording, readout, parameters
    QUALIFY row_number() OVER (
        PARTITION BY recording, readout
        ORDER BY count(DISTINCT model) DESC, max(started_at) DESC, parameters
    ) = 1
),
neural AS (
    SELECT model, weights_digest,
        map_from_entries(list((recording, score) ORDER BY recording)) AS neural_scores,
        map_from_entries(list((recording, ceiled_score) ORDER BY recording)) AS neural_scores_ceiled
    FROM (
        SELECT * FROM compared JOIN chosen USING (recording, readout, parameters)
        QUALIFY row_number() OVER (
            PARTITION BY model, weights_digest, recording
            ORDER BY score DESC, readout
        ) = 1
    )
    GROUP BY model, weights_digest
),
attacked AS (
    SELECT model, weights_digest, min(tolerance) AS tolerance,
        arg_min(tolerance_common, tolerance) AS tolerance_common,
        arg_min(attack, tolerance) AS tolerance_attack
    FROM tolerances
    WHERE norm = 'l2'
        AND protocol NOT IN ('linsley2023_paper', 'linsley2023_release', 'feng2025_release')
    GROUP BY model, weights_digest
),
aligned AS (
    SELECT
        model, weights_digest, method AS alignment_method, alignment, null_alignment,
        ceiled_alignment
    FROM alignments LEFT JOIN attacked USING (model, weights_digest)
    WHERE published_reduction AND alignment IS NOT NULL
        AND protocol NOT IN ('linsley2023_paper', 'linsley2023_release', 'feng2025_release')
    QUALIFY row_number() OVER (
        PARTITION BY model, weights_digest
        ORDER BY
            evaluation = 'minimal_attack' DESC,
            coalesce(method = tolerance_attack, FALSE) DESC,
            method = 'input_gradient' DESC,
            n_images DESC, method, parameters
    ) = 1
)
SELECT
    m.model, m.architecture, m.family, m.graded_from, m.n_params, m.input_px, m.pretraining, m.year,
    m.licence, m.gate, a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high, a.top5, m.published_top1,
    n.neural_scores, n.neural_scores_ceiled, k.tolerance, k.tolerance_common, k.tolerance_attack,
    l.alignment, l.null_alignment, l.ceiled_alignment, l.alignment_method, m.weights_digest
FROM (
    SELECT m.* EXCLUDE (gate), g.gate
    FROM models AS m
    JOIN current_trials AS t USING (trial_id)
    JOIN gates AS g ON g.model = m.model AND g.weights_digest = m.weights_digest
    QUALIFY row_number() OVER (PARTITION BY m.model ORDER BY t.started_at DESC) = 1
) AS m
LEFT JOIN model_accuracy AS a USING (model, weights_digest)
LEFT JOIN neural AS n USING (model, weights_digest)
LEFT JOIN attacked AS k USING (model, weights_digest)
LEFT JOIN aligned AS l USING (model, weights_digest)
ORDER BY a.top1 DESC NULLS LAST, m.model
