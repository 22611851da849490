-- What did each model cost: seconds and memory, by evaluation?
-- One row per model with its weights, evaluation with its version, protocol and device. seconds are wall time of
-- the trials that were finished, work that trials share split evenly; lost_seconds that of attempts that failed.
-- Peaks are the largest of its trials, in bytes: on the GPU (null on a CPU), and of the process that ran them,
-- which may have run other models before. What was spent is told of every model, also where its gate failed.
SELECT
    model, evaluation, protocol, device,
    count(DISTINCT trial_id) FILTER (status = 'ok') AS n_trials,
    coalesce(sum(seconds) FILTER (status = 'ok'), 0) AS seconds,
    count(*) FILTER (status = 'failed') AS n_failed_attempts,
    coalesce(sum(seconds) FILTER (status = 'failed'), 0) AS lost_seconds,
    max(peak_gpu_bytes) AS peak_gpu_bytes,
    max(peak_host_bytes) AS peak_host_bytes,
    sum(images_per_s * seconds) FILTER (status = 'ok')
        / nullif(sum(seconds) FILTER (status = 'ok' AND images_per_s IS NOT NULL), 0) AS images_per_s,
    evaluation_version, weights_digest
FROM trials
WHERE model IS NOT NULL AND status <> 'refused'
GROUP BY model, evaluation, protocol, device, evaluation_version, weights_digest
ORDER BY sum(seconds) DESC, model, evaluation, protocol, device, weights_digest, evaluation_version
