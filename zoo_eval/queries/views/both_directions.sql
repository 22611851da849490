-- Who explains whom: how well does each layer tell a recording, and the recording that layer?
-- reverse_score is the median r over the units that were drawn, predicted from the recording's targets, and
-- variance_explained the share of the variance of all of the layer's units. score and ceiled_score are of the
-- fit the other way, reverse_ridge beside ridge, of the same protocol and folds: null where there is none,
-- a row for each where there are several. All are means over folds.
-- Units have no noise, so reverse scores have no ceiling; noise in the responses lowers them all the same.
WITH directions AS (
    SELECT *, json_extract_string(
        parameters, ['$.n_folds', '$.n_inner_folds', '$.split', '$.split_digest', '$.sketch']
    ) AS folds
    FROM current_trials
),
reversed AS (
    SELECT s.model, t.weights_digest, s.recording, t.recording_digest, t.stimuli_digest, s.protocol,
        t.parameters, t.folds, t.seed, s.layer, s.readout, s.sketch,
        count(*) AS n_folds, avg(s.score) AS score, avg(s.selection_score) AS selection_score,
        avg(s.variance_explained) AS variance_explained,
        any_value(s.n_predictors) AS n_predictors, any_value(len(s.r)) AS n_units
    FROM neural_scores AS s JOIN directions AS t USING (trial_id) JOIN neural_modes AS k USING (trial_id)
    WHERE k.mode = 'reverse'
    GROUP BY ALL
),
forward AS (
    SELECT f.model, f.weights_digest, f.recording_digest, f.stimuli_digest, f.protocol, f.parameters,
        t.folds, f.seed, f.layer, f.readout, avg(f.score) AS score,
        avg(f.r_over_sqrt_ceiling) AS ceiled_score
    FROM neural_folds AS f
    JOIN (SELECT DISTINCT parameters, folds FROM directions) AS t USING (parameters)
    WHERE f.mode = 'fit'
    GROUP BY ALL
)
SELECT
    r.model, r.weights_digest, r.recording, r.recording_digest, r.stimuli_digest, r.protocol, r.seed,
    r.layer, r.n_folds, f.readout, f.score, f.ceiled_score, r.readout AS reverse_readout,
    r.score AS reverse_score, r.variance_explained, r.selection_score AS reverse_selection_score,
    r.n_units, r.n_predictors, r.sketch, f.parameters, r.parameters AS reverse_parameters
FROM reversed AS r
LEFT JOIN forward AS f
    ON r.readout = 'reverse_' || f.readout AND f.model = r.model AND f.weights_digest = r.weights_digest
    AND f.recording_digest = r.recording_digest AND f.stimuli_digest = r.stimuli_digest
    AND f.protocol = r.protocol AND f.seed = r.seed AND f.layer = r.layer AND f.folds = r.folds
