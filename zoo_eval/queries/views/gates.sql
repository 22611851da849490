-- What did the sanity gate say of each model and its weights? A failure outweighs everything else.
SELECT
    model, weights_digest,
    arg_min(gate, severity) AS gate,
    arg_min(gate_reason, severity) AS gate_reason
FROM (
    SELECT *, list_position(['fail', 'pass', 'undecided', 'exempt'], gate) AS severity FROM models
)
GROUP BY model, weights_digest
