-- What is known of the targets of each recording?
-- region, subject, session, electrode and reliability where the recording's files say them; all that they
-- say is in known, as JSON: known ->> '$.depth'.
SELECT c.recording, c.recording_digest, c.target, c.region, c.subject, c.session, c.electrode,
    c.reliability, c.known, c.trial_id
FROM targets AS c
JOIN current_trials AS t USING (trial_id)
-- The newest, where the files said other things of the same responses before.
QUALIFY c.trial_id = first_value(c.trial_id) OVER (
    PARTITION BY c.recording_digest ORDER BY t.started_at DESC, c.trial_id
)
