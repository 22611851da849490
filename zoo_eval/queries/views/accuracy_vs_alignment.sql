-- Are more accurate models attacked further from what humans look at?
SELECT a.model, l.method, l.channel_reduction, a.accuracy_stimuli, a.top1, a.top1_low, a.top1_high, l.alignment,
       l.null_alignment, l.ceiled_alignment, l.n_images
FROM model_accuracy AS a JOIN alignments AS l USING (model, weights_digest)
