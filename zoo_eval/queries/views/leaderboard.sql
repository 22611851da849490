-- How do all models compare: one row each?
-- neural_scores maps a recording to the honest score of the model's best readout, chosen by selection_score
-- as layers are; neural_scores_ceiled to the same, ceiled, null without a ceiling; neural_readouts to that
-- readout, and neural_statistics to what the score is of. All models are compared on what most of them share, of equals the newest: one content of
-- the recording, stimuli, protocol, seed and measure (fits, or one similarity), and one choice of
-- parameters per readout. A model without it is not in the map. Tolerance and alignment are those of
-- the view `tolerance_and_alignment`, in one setting for all models.
WITH measured AS (
    SELECT *, if(mode = 'fit', mode, readout) AS measure
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
        map_from_entries(list((recording, ceiled_score) ORDER BY recording)) AS neural_scores_ceiled,
        map_from_entries(list((recording, readout) ORDER BY recording)) AS neural_readouts,
        map_from_entries(list((recording, statistic) ORDER BY recording)) AS neural_statistics
    FROM (
        SELECT * FROM compared JOIN chosen USING (recording, readout, parameters)
        QUALIFY row_number() OVER (
            PARTITION BY model, weights_digest, recording
            ORDER BY
                nullif(selection_score, 'nan'::DOUBLE) DESC NULLS LAST,
                nullif(score, 'nan'::DOUBLE) DESC NULLS LAST, readout
        ) = 1
    )
    GROUP BY model, weights_digest
)
SELECT
    m.model, m.architecture, m.family, m.graded_from, m.n_params, m.input_px, m.pretraining, m.year,
    m.licence, m.gate, a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high, a.top5, m.published_top1,
    n.neural_scores, n.neural_scores_ceiled, n.neural_readouts, n.neural_statistics, k.tolerance, k.tolerance_common, k.tolerance_attack,
    k.tolerance_stimuli, k.tolerance_decision, k.tolerance_canvas,
    k.alignment, k.null_alignment, k.ceiled_alignment, k.alignment_method, k.alignment_stimuli,
    m.weights_digest
FROM (
    SELECT m.* EXCLUDE (gate), g.gate
    FROM models AS m
    JOIN current_trials AS t USING (trial_id)
    JOIN gates AS g ON g.model = m.model AND g.weights_digest = m.weights_digest
    QUALIFY row_number() OVER (PARTITION BY m.model ORDER BY t.started_at DESC) = 1
) AS m
LEFT JOIN model_accuracy AS a USING (model, weights_digest)
LEFT JOIN neural AS n USING (model, weights_digest)
LEFT JOIN tolerance_and_alignment AS k USING (model, weights_digest)
ORDER BY nullif(a.top1, 'nan'::DOUBLE) DESC NULLS LAST, m.model
