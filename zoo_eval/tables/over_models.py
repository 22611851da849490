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
        Column("statistic", TEXT, "spearman_rho, pearson_r, ...; docs/trends.md has them all"),
        Column(
            "detail",
            TEXT,
            "which of several: covariates, a shape, a fact, two models; null where there is one",
            nullable=True,
        ),
        Column("at", REAL, "the top-1 it is of: a break, a place on the front", "share", True),
        Column("estimate", REAL, "null where undefined, as with fewer than three models", "", True),
        Column(
            "low",
            REAL,
            "95 % interval over families, lower end; null with a reason (no_interval). Rows of old stores "
            "have that over models here",
            nullable=True,
        ),
        Column("high", REAL, "the same, upper end", nullable=True),
        Column("p_value", REAL, "two-sided, of no relation or no difference", nullable=True),
        Column(
            "p_adjusted",
            REAL,
            "after Holm over the named questions, or over the pairs asked for; null of other rows",
            nullable=True,
        ),
        Column("method", TEXT, "how interval and p were made; null in old stores", nullable=True),
        Column("n_models", COUNT, "models compared"),
        Column("n_infinite", COUNT, "models whose value is +infinity: ranked, or else excluded"),
        Column("n_pairs", COUNT, "of a mean difference: what it is over", nullable=True),
        Column("unit", TEXT, "of those: pair (of models), target or stimulus", nullable=True),
        Column("n_families", COUNT, "families of the models that count", nullable=True),
        Column(
            "effective_families",
            REAL,
            "G* = 1 / sum(share^2): families of one size that would be as even",
            nullable=True,
        ),
        Column("naive_low", REAL, "95 % percentile bootstrap, as if no two were kin", "", True),
        Column("naive_high", REAL, "the same, upper end", nullable=True),
        Column("n_resamples", COUNT, "resamples of the naive interval that are defined"),
        Column("without_low", REAL, "smallest estimate without one family", nullable=True),
        Column("without_high", REAL, "largest estimate without one family", nullable=True),
        Column("moves_most", TEXT, "the family without which it moves furthest", "", True),
        Column("no_interval", TEXT, "why an estimate has no interval; null where it has", "", True),
        Column("population", TEXT, "what the models have in common, in words", "", True),
        Column("exclusions", TEXT, "models left out by reason, as JSON", nullable=True),
        Column("models", NAMES, "the models compared"),
    ),
).by("zoo-eval trends")

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
).by("zoo-eval harmonize")

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
        "alignment, alignment_null: on the validation images; skipped_steps: of fp16, steps of the epoch "
        "that were left out",
    ),
    Column("value", REAL, "null where it is undefined", "", True),
).by("zoo-eval harmonize")
