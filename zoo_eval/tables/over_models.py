"""Tables of statistics over models, and of training."""

from zoo_eval.tables.table import COUNT, NAMES, REAL, TEXT, TIME, Column, Table

TRENDS = Table(
    "trends",
    "statistic over models",
    (
        Column("trend", TEXT, "x_vs_y, e.g. accuracy_vs_neural"),
        Column("subject", TEXT, "recording and readout, or stimuli and attack, and what differs"),
        Column(
            "measure",
            TEXT,
            "what is set against top-1: tolerance, alignment, r / sqrt(ceiling), or without a ceiling "
            "the statistic of the score",
        ),
        Column("protocol", TEXT, "of all trials compared"),
        Column("parameters", TEXT, "of all trials compared, as JSON"),
        Column("recording_digest", TEXT, "null without a recording", nullable=True),
        Column("stimuli_digest", TEXT, "of all trials compared"),
        Column("importance_digest", TEXT, "null without human maps", nullable=True),
        Column("seed", COUNT, "of all trials compared"),
        Column("statistic", TEXT, "spearman_rho or pearson_r"),
        Column("estimate", REAL, "null with fewer than three models", nullable=True),
        Column(
            "low",
            REAL,
            "95 % percentile bootstrap over models; null below five that are counted",
            nullable=True,
        ),
        Column("high", REAL, "95 % percentile bootstrap over models", nullable=True),
        Column("n_models", COUNT, "models compared"),
        Column("n_infinite", COUNT, "models whose value is +infinity: ranked, not in pearson_r"),
        Column("n_resamples", COUNT, "bootstrap resamples in which the statistic is defined"),
        Column("no_interval", TEXT, "why an estimate has no interval; null where it has", "", True),
        Column("models", NAMES, "the models compared"),
    ),
).by("zoo-eval trends")

TRAINING_RUNS = Table(
    "training_runs",
    "training run",
    (
        Column("run_id", TEXT, "digest of the configuration"),
        Column("model", TEXT, "the model card's name"),
        Column("configuration", TEXT, "as JSON"),
        Column("status", TEXT, "ok or failed"),
        Column("started_at", TIME, "when the run began", "UTC"),
    ),
).by("zoo-eval harmonize")

TRAINING_METRICS = Table(
    "training_metrics",
    "training run x step x metric",
    (
        Column("run_id", TEXT, "the training run"),
        Column("step", COUNT, "optimiser steps so far"),
        Column("metric", TEXT, "e.g. loss, harmonization, top1"),
        Column("value", REAL, "at that step"),
    ),
).by("zoo-eval harmonize")
