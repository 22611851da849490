-- What went wrong, how often, and with which models?
-- One row per class of failure, evaluation and model, of the trials that the view `failures` lists: those whose
-- last attempt failed or was refused. model is null for a recording's own trials. message is that of the last
-- one; n_messages counts different ones.
SELECT
    status, failure_class, evaluation, model,
    count(*) AS n_trials,
    string_agg(DISTINCT error_type, ', ' ORDER BY error_type) AS error_types,
    count(DISTINCT error_message) AS n_messages,
    arg_max(error_message, started_at) AS message,
    max(attempt) AS most_attempts,
    max(started_at) AS last_at
FROM failures
GROUP BY status, failure_class, evaluation, model
ORDER BY status, n_trials DESC, failure_class, evaluation, model
