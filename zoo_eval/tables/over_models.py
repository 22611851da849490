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
)

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
)

TRAINING_METRICS = Table(
    "training_metrics",
    "training run x step x metric",
    (
        Column("run_id", TEXT, "the training run"),
        Column("step", COUNT, "optimiser steps so far"),
        Column("metric", TEXT, "e.g. loss, harmonization, top1"),
        Column("value", REAL, "at that step"),
    ),
)
