-- Which recordings and human maps are planted: made to check the method, by nobody's brain or eyes?
SELECT DISTINCT t.recording_digest AS digest
FROM current_ceilings AS t WHERE t.estimator = 'planted_exact'
UNION
SELECT DISTINCT importance_digest FROM alignments WHERE planted
