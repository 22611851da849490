"""Tables of statistics over models, and of training."""

from zoo_eval.tables.table import COUNT, NAMES, REAL, TEXT, Column, Table, trial_table

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
)

TRAINING_RUNS = trial_table(
    "training_runs",
    "training run that is done",
    Column("run_id", TEXT, "digest of all that determines the weights"),
    Column("trained_from", TEXT, "the model whose weights it began with"),
    Column("control", TEXT, "the run's control, trained alike but for lambda = 0", "", True),
    Column("harmonization_lambda", REAL, "weight of the harmonization loss; 0 of a control"),
    Column("epochs", COUNT, "epochs trained"),
    Column("steps", COUNT, "optimiser steps"),
    Column("configuration", TEXT, "all that was chosen, as JSON"),
    Column("attention", TEXT, "as_it_is, or written_out where a fused kernel was switched off"),
    Column("n_workers", COUNT, "workers that shared a step"),
    Column("card", TEXT, "what opens the result as a model, as JSON"),
    Column("weights", TEXT, "path of the weights in the store"),
    Column("weights_digest", TEXT, "digest of that file"),
)

TRAINING_METRICS = trial_table(
    "training_metrics",
    "training run x epoch x metric",
    Column("run_id", TEXT, "the training run"),
    Column("epoch", COUNT, "epochs so far"),
    Column("step", COUNT, "optimiser steps so far"),
    Column(
        "metric",
        TEXT,
        "loss, cross_entropy, harmonization (without its weight): means over the epoch; top1, "
        "alignment, alignment_null: on the validation images",
    ),
    Column("value", REAL, "null where it is undefined", "", True),
)
