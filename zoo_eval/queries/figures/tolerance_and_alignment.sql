-- Which models have both a tolerance and an alignment, and are the human maps planted?
SELECT
    model, tolerance, tolerance_stimuli, alignment, null_alignment, alignment_method,
    EXISTS (
        SELECT 1 FROM alignments AS l
        WHERE l.planted AND l.stimuli = a.alignment_stimuli AND l.method = a.alignment_method
    ) AS planted
FROM tolerance_and_alignment AS a
WHERE tolerance IS NOT NULL AND alignment IS NOT NULL
ORDER BY model
