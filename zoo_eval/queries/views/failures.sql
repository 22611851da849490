-- Which trials were not done, and why?
-- The last attempt of each trial that failed or was refused; a refused request drops out once the
-- same model has been evaluated.
WITH last_attempt AS (
    SELECT * FROM trials QUALIFY row_number() OVER (PARTITION BY trial_id ORDER BY attempt DESC) = 1
)
SELECT
    model, evaluation, layer, readout, attack, stimuli, recording, status,
    failure_class, error_type, error_message, attempt, node, started_at, trial_id
FROM last_attempt AS l
WHERE status <> 'ok'
  AND NOT (
      protocol = 'refused' AND EXISTS (
          SELECT 1 FROM trials AS o
          WHERE o.model = l.model AND o.evaluation = l.evaluation
            AND o.status = 'ok' AND o.started_at > l.started_at
      )
  )
ORDER BY model, evaluation, layer, readout, attack
