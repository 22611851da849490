-- Are more accurate models moved and attacked further from what humans look at?
SELECT a.model, l.importance, l.importance_digest, l.stimuli, l.stimuli_digest, l.method, l.norm, l.channel_reduction,
       l.published_reduction, l.region, l.evaluation, l.protocol, l.parameters, l.seed, l.planted, a.accuracy_stimuli, a.top1,
       a.top1_low, a.top1_high, l.alignment, l.standard_error, l.null_alignment, l.alignment_above_null,
       l.human_ceiling, l.ceiled_alignment, l.n_images
FROM model_accuracy AS a JOIN alignments AS l USING (model, weights_digest)
WHERE l.alignment IS NOT NULL
