-- Do more accurate models tolerate larger perturbations?
SELECT a.model, t.stimuli, t.stimuli_digest, t.attack, t.norm, t.decision, t.canvas, t.protocol, t.parameters, t.seed,
       a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high,
       t.tolerance, t.tolerance_common, t.n_found, t.n_bound_hit, t.n_common
FROM model_accuracy AS a JOIN tolerances AS t USING (model, weights_digest)
WHERE t.tolerance IS NOT NULL
