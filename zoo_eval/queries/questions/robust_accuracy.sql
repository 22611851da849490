-- How accurate does each model stay where every image may be changed by at most eps?
-- One row per model, setting, norm and eps. eps are those of `asked`: in linf shares of 1/255 (RobustBench's for
-- ImageNet is 4/255), in l2 and l1 lengths in [0, 1] pixels, in l0 numbers of values or of pixels; lengths mean
-- the same on a common canvas only. Of all attacks of the setting that search in the norm (n_attacks), the
-- shortest counts for each image; what none changed (n_bound_hit) and errors (n_error) count as unchanged, so
-- that robust_accuracy is an upper bound. low and high are Wilson's 95 % interval over images. The curve at
-- every eps is the view robust_curves.
WITH asked(norm, eps) AS (
    VALUES
        ('linf', 0.0), ('linf', 0.5 / 255), ('linf', 1 / 255), ('linf', 2 / 255), ('linf', 4 / 255),
        ('linf', 8 / 255),
        ('l2', 0), ('l2', 0.1), ('l2', 0.25), ('l2', 0.5), ('l2', 1), ('l2', 3),
        ('l1', 0), ('l1', 1), ('l1', 12), ('l1', 75),
        ('l0_values', 0), ('l0_values', 10), ('l0_values', 100), ('l0_values', 1000),
        ('l0_pixels', 0), ('l0_pixels', 10), ('l0_pixels', 100), ('l0_pixels', 1000)
)
SELECT
    c.model, c.norm, a.eps, c.robust_accuracy, c.low, c.high, c.n_above, c.n_images, c.n_already_wrong,
    c.n_bound_hit, c.n_error, c.n_attacks, c.stimuli, c.decision, c.canvas, c.protocol, c.parameters, c.seed,
    c.stimuli_digest, c.weights_digest
FROM asked AS a JOIN robust_curves AS c ON c.norm = a.norm AND c.eps <= a.eps
WHERE c.attack IS NULL
QUALIFY row_number() OVER (
    PARTITION BY
        c.model, c.weights_digest, c.stimuli_digest, c.protocol, c.parameters, c.seed, c.norm, a.eps
    ORDER BY c.eps DESC
) = 1
ORDER BY
    c.norm, c.stimuli, c.protocol, c.model, c.parameters, c.seed, a.eps
