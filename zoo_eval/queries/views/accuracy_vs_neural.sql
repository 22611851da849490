-- Are more accurate models better models of the recording?
-- score is of the statistic named; ceiled_score is r / sqrt(reliability), null without a ceiling.
SELECT a.model, n.recording, n.recording_digest, n.stimuli_digest, n.readout, n.protocol, n.parameters, n.seed,
       a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high, n.statistic, n.layer, n.score, n.ceiled_score
FROM model_accuracy AS a JOIN best_layer AS n USING (model, weights_digest)
