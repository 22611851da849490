-- Does each trial fit a recording's targets, or measure a similarity?
-- Rows of old stores do not say; there a similarity has a row over all stimuli, without a fold.
SELECT
    trial_id,
    coalesce(any_value(mode), if(bool_or(fold IS NULL), 'similarity', 'fit')) AS mode
FROM neural_scores
GROUP BY trial_id
