-- Are more accurate models better models of the recorded maps over positions?
-- score is the mean over held-out images of the median r over channels, at the layer chosen without the
-- image; ceiled_score is score / ceiling, not squared, and null without a ceiling.
SELECT a.model, s.recording, s.recording_digest, s.stimuli_digest, s.protocol, s.parameters, s.seed,
       a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high, s.layer, s.score, s.ceiling, s.ceiled_score,
       s.map_spearman_full, s.map_spearman_quarter
FROM model_accuracy AS a JOIN spatial_leaderboard AS s USING (model, weights_digest)
