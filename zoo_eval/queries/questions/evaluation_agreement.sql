-- Do evaluations agree on which models are better: forward fits, reverse fits, RDMs, accuracy, attacks?
-- One row per pair of evaluations, over the n_models models that have both: Spearman's rho, the ranks of equals
-- averaged; null below three models and where one of the two never varies. kind is accuracy, fit (a recording
-- predicted from layers), reverse (layers predicted from it), similarity (RDMs, CKA, ...), spatial, tolerance or
-- alignment; readout the readout, attack or method. Neural scores are means over folds (images), the layer chosen
-- in each without it. setting holds what all scores of an evaluation share; other settings are other evaluations. A
-- tolerance of +infinity counts, as the largest. n_excluded counts models with a value that is no number (null,
-- NaN, or infinite but for a tolerance): they are in nothing else. There is no interval: models come in families,
-- as `zoo-eval trends` takes into account.
WITH reverse_folds AS (
    SELECT
        s.model, t.weights_digest, s.recording, s.readout, s.statistic, s.protocol, t.parameters, t.seed,
        t.recording_digest, t.stimuli_digest, s.score
    FROM neural_scores AS s
    JOIN current_trials AS t USING (trial_id)
    JOIN neural_modes AS k USING (trial_id)
    WHERE k.mode = 'reverse'
    QUALIFY row_number() OVER (
        PARTITION BY
            s.model, t.weights_digest, t.recording_digest, t.stimuli_digest, s.protocol, t.parameters,
            t.seed, s.readout, s.fold
        ORDER BY nullif(s.selection_score, 'nan'::DOUBLE) DESC NULLS LAST, s.layer
    ) = 1
),
measured AS (
    SELECT
        model, weights_digest, 'accuracy' AS kind, accuracy_stimuli AS input, NULL AS readout,
        top1 AS value, json_object('statistic', 'top1') AS setting
    FROM model_accuracy
    UNION ALL BY NAME
    SELECT
        model, weights_digest, mode AS kind, recording AS input, readout, score AS value,
        json_object(
            'statistic', statistic, 'protocol', protocol, 'seed', seed, 'parameters', parameters::JSON,
            'recording_digest', recording_digest, 'stimuli_digest', stimuli_digest
        ) AS setting
    FROM best_layer
    UNION ALL BY NAME
    SELECT
        model, weights_digest, 'reverse' AS kind, any_value(recording) AS input, readout,
        avg(score) FILTER (NOT isnan(score)) AS value,
        json_object(
            'statistic', statistic, 'protocol', protocol, 'seed', seed, 'parameters', parameters::JSON,
            'recording_digest', recording_digest, 'stimuli_digest', stimuli_digest
        ) AS setting
    FROM reverse_folds
    GROUP BY
        model, weights_digest, readout, statistic, protocol, parameters, seed, recording_digest,
        stimuli_digest
    UNION ALL BY NAME
    SELECT
        model, weights_digest, 'spatial' AS kind, recording AS input, NULL AS readout, score AS value,
        json_object(
            'protocol', protocol, 'seed', seed, 'parameters', parameters::JSON,
            'recording_digest', recording_digest, 'stimuli_digest', stimuli_digest
        ) AS setting
    FROM spatial_leaderboard
    UNION ALL BY NAME
    SELECT
        model, weights_digest, 'tolerance' AS kind, stimuli AS input, attack AS readout,
        tolerance AS value,
        json_object(
            'norm', norm, 'protocol', protocol, 'seed', seed, 'parameters', parameters::JSON,
            'stimuli_digest', stimuli_digest
        ) AS setting
    FROM tolerances
    UNION ALL BY NAME
    SELECT
        model, weights_digest, 'alignment' AS kind, importance AS input, method AS readout,
        alignment AS value,
        json_object(
            'channel_reduction', channel_reduction, 'evaluation', evaluation, 'protocol', protocol,
            'seed', seed, 'parameters', parameters::JSON, 'importance_digest', importance_digest,
            'stimuli_digest', stimuli_digest
        ) AS setting
    FROM alignments WHERE published_reduction
),
numbered AS (
    SELECT
        * EXCLUDE (input),
        dense_rank() OVER (ORDER BY kind, readout, setting) AS place,
        max(input) OVER (PARTITION BY kind, readout, setting) AS input,
        value IS NOT NULL AND NOT isnan(value) AND (kind = 'tolerance' OR isfinite(value)) AS is_number
    FROM measured
),
pairs AS (
    SELECT
        a.place, b.place AS other_place, a.is_number AND b.is_number AS counts,
        a.value, b.value AS other_value
    FROM numbered AS a JOIN numbered AS b USING (model, weights_digest)
    WHERE a.place < b.place
),
ranked AS (
    -- Twice the mean rank of equals, but for a constant.
    SELECT
        place, other_place, counts,
        rank() OVER (own ORDER BY value) - rank() OVER (own ORDER BY value DESC) AS value_rank,
        rank() OVER (own ORDER BY other_value) - rank() OVER (own ORDER BY other_value DESC)
            AS other_rank
    FROM pairs
    WINDOW own AS (PARTITION BY place, other_place, counts)
),
agreement AS (
    SELECT
        place, other_place,
        count(*) FILTER (counts) AS n_models,
        CASE
            WHEN n_models >= 3
                THEN nullif(corr(value_rank, other_rank) FILTER (counts), 'nan'::DOUBLE)
        END AS spearman_rho,
        count(*) FILTER (NOT counts) AS n_excluded
    FROM ranked
    GROUP BY place, other_place
),
evaluations AS (SELECT DISTINCT place, kind, input, readout, setting FROM numbered)
SELECT
    a.kind, a.input, a.readout, b.kind AS other_kind, b.input AS other_input,
    b.readout AS other_readout, g.spearman_rho, g.n_models, g.n_excluded, a.setting,
    b.setting AS other_setting
FROM agreement AS g
JOIN evaluations AS a USING (place)
JOIN evaluations AS b ON b.place = g.other_place
ORDER BY
    -- A recording told in different ways comes first.
    a.input = b.input AND a.kind <> b.kind DESC, a.kind = b.kind, a.kind, b.kind, a.input, b.input, a.readout,
    b.readout, a.setting, b.setting
