-- How do all models compare: one row each?
-- neural maps a recording to the best honest score over readouts (raw and ceiled), over fits where
-- there are any: a similarity is on another scale. tolerance is the
-- smallest of the attacks in tolerance_attack: every attack bounds the true minimum from above.
WITH neural AS (
    SELECT model, weights_digest,
        map_from_entries(list((recording, score) ORDER BY recording)) AS neural_scores,
        map_from_entries(list((recording, ceiled_score) ORDER BY recording)) AS neural_scores_ceiled
    FROM (
        SELECT * FROM best_layer
        QUALIFY row_number() OVER (
            PARTITION BY model, weights_digest, recording
            ORDER BY readout IN ('pls', 'ridge') DESC, score DESC NULLS LAST, readout
        ) = 1
    )
    GROUP BY model, weights_digest
),
attacked AS (
    SELECT model, weights_digest, min(tolerance) AS tolerance,
        arg_min(tolerance_common, tolerance) AS tolerance_common,
        arg_min(attack, tolerance) AS tolerance_attack
    FROM tolerances GROUP BY model, weights_digest
),
aligned AS (
    SELECT model, weights_digest, arg_max(alignment, n_images) AS alignment
    FROM alignments GROUP BY model, weights_digest
)
SELECT
    m.model, m.architecture, m.family, m.graded_from, m.n_params, m.input_px, m.pretraining, m.year,
    m.licence, m.gate, a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high, a.top5, m.published_top1,
    n.neural_scores, n.neural_scores_ceiled, k.tolerance, k.tolerance_common, k.tolerance_attack,
    l.alignment, m.weights_digest
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
