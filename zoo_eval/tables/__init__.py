"""Every table, declared once: column, Arrow type, unit, meaning.

The writer, the checker, the DuckDB views and docs/tables.md come from these declarations.
"""

from collections.abc import Iterable

import pyarrow as pa

from zoo_eval.tables.table import (
    BYTES,
    COMMIT,
    COUNT,
    FLAG,
    LEDGER,
    MODEL,
    NAMES,
    REAL,
    REALS,
    SCHEMA_VERSION,
    TEXT,
    TIME,
    TRIAL,
    Column,
    Table,
    View,
    trial_table,
)

MODELS = trial_table(
    "models",
    "model card and weights",
    Column("weights_digest", TEXT, "digest of the weights as evaluated (file, mapping, edits)"),
    Column("revision", TEXT, "the hub's revision of the weights; null elsewhere", nullable=True),
    Column(
        "source",
        TEXT,
        "of the card: timm, open_clip, torchvision, hf-hub, factory, local, live, live_untold",
    ),
    Column("architecture", TEXT, "the network's definition, e.g. timm/resnet50"),
    Column("family", TEXT, "the architecture's family, e.g. resnet"),
    Column("pretraining", TEXT, "training data or recipe; null when unknown", nullable=True),
    Column("objective", TEXT, "training objective; null when unknown", nullable=True),
    Column("year", COUNT, "year of publication; null when unknown", nullable=True),
    Column("harmonized_from", TEXT, "the model this one was harmonized from", nullable=True),
    Column("graded_from", TEXT, "for a graded model: its edits as JSON", nullable=True),
    Column("n_params", COUNT, "parameters"),
    Column("flops", COUNT, "of one image's forward pass, two per multiply-add", "", True),
    Column("head", TEXT, "imagenet1k, zero_shot, other:N or none", nullable=True),
    Column("input_px", COUNT, "side of the square input, or rows of another", "pixel"),
    Column("input_width_px", COUNT, "columns, where the input is no square", "pixel", True),
    Column("published_top1", REAL, "published ImageNet top-1; null when unknown", "share", True),
    Column("published_view", TEXT, "where that was at another size or crop: which", nullable=True),
    Column("gate", TEXT, "pass, fail, undecided or exempt"),
    Column("gate_reason", TEXT, "what the gate compared and found"),
    Column("gate_max_abs_logit_diff", REAL, "against the card's reference logits", "", True),
    Column("licence", TEXT, "of the weights; null when unknown", nullable=True),
)

TRIALS = Table(
    LEDGER,
    "attempt at a trial",
    (
        TRIAL,
        Column("attempt", COUNT, "1 for the first; more after --retry-failed"),
        Column("model", TEXT, "the card's name; null for a recording's own ceiling", "", True),
        Column("evaluation", TEXT, "accuracy, neural_fit, minimal_attack, ..."),
        Column("evaluation_version", COUNT, "moves only when numbers move"),
        Column("protocol", TEXT, "the named procedure"),
        Column("parameters", TEXT, "everything else that was chosen, as JSON"),
        Column("layer", TEXT, "null where there are no layers", nullable=True),
        Column("readout", TEXT, "pls, ridge, rsa, ...; null where there is none", nullable=True),
        Column("attack", TEXT, "ddn, fmn, ensemble, ...; null where there is none", nullable=True),
        Column("stimuli", TEXT, "the stimulus set's name; null where none is used", "", True),
        Column("stimuli_digest", TEXT, "digest of its ids, labels, groups and pixels", "", True),
        Column("recording", TEXT, "the recording's name; null where none is used", "", True),
        Column("recording_digest", TEXT, "digest of its responses", nullable=True),
        Column("importance", TEXT, "the human maps' name; null where none are used", "", True),
        Column("importance_digest", TEXT, "digest of maps, images, preparation", "", True),
        Column("weights_digest", TEXT, "null for a ceiling or a refused request", nullable=True),
        Column("transform", TEXT, "the model's resize and normalisation as JSON", "", True),
        Column("numerics", TEXT, "dtype, TF32 and AMP as JSON"),
        Column("status", TEXT, "ok, failed or refused"),
        Column("error_type", TEXT, "exception class; null when ok", nullable=True),
        Column("error_message", TEXT, "one line; null when ok", nullable=True),
        Column("node", TEXT, "host name"),
        Column("device", TEXT, "cpu or the GPU's name"),
        Column("seconds", REAL, "wall time; shared work is split evenly over its trials", "s"),
        Column("peak_gpu_bytes", COUNT, "null on a CPU", "byte", True),
        Column("peak_host_bytes", COUNT, "peak resident memory of the process so far", "byte"),
        Column("images_per_s", REAL, "image passes per second; null without any", "1/s", True),
        Column("batch_size", COUNT, "images per batch, after any forced halving", "image", True),
        Column("seed", COUNT, "the sweep's seed"),
        Column("library_versions", TEXT, "as JSON"),
        Column("code_revision", TEXT, "git commit, or the package version outside a checkout"),
        Column("started_at", TIME, "when the trial began", "UTC"),
        COMMIT,
    ),
)

ACCURACY = trial_table(
    "accuracy",
    "model x stimulus set",
    Column("top1", REAL, "share of images whose label is the first choice", "share"),
    Column("top1_low", REAL, "Wilson 95 % interval, lower end", "share"),
    Column("top1_high", REAL, "Wilson 95 % interval, upper end", "share"),
    Column("top5", REAL, "share of images whose label is among the first five", "share"),
    Column("top5_low", REAL, "Wilson 95 % interval, lower end", "share"),
    Column("top5_high", REAL, "Wilson 95 % interval, upper end", "share"),
    Column("n_images", COUNT, "labelled images", "image"),
)

LAYERS = trial_table(
    "layers",
    "model x stimulus set x layer",
    Column("layer", TEXT, "module name in the network"),
    Column("layer_index", COUNT, "position of its last module among the network's modules, from 0"),
    Column("depth", REAL, "layer_index / number of modules: 1 for the logits"),
    Column("shape", pa.list_(pa.int64()), "of one image's activation"),
    Column("n_features", COUNT, "product of the shape"),
    Column("effective_dim", REAL, "(sum l)^2 / sum l^2 over the centred Gram spectrum"),
    Column("sketch", COUNT, "dimensions it is estimated from, a bit low; null: exact", "", True),
)

FEATURES = trial_table(
    "features",
    "model x layer x stimulus, on request",
    Column("layer", TEXT, "module name in the network"),
    Column("stimulus_id", TEXT, "the stimulus"),
    Column("vector", REALS, "the layer's activation, flattened in C order"),
)

NEURAL_SCORES = trial_table(
    "neural_scores",
    "model x recording x layer x readout x fold",
    Column("recording", TEXT, "the recording's name"),
    Column("layer", TEXT, "module name in the network"),
    Column("readout", TEXT, "pls, ridge, rsa, cka, procrustes, ..."),
    Column("mode", TEXT, "fit or similarity; null in old stores (see neural_modes)", "", True),
    Column("protocol", TEXT, "how folds and choices were made"),
    Column(
        "statistic",
        TEXT,
        "pearson_r, spearman_rho, kendall_tau_a, cosine, cka, debiased_cka or shape_similarity",
    ),
    Column("fold", COUNT, "from 0; null for a similarity over all stimuli", nullable=True),
    Column(
        "score",
        REAL,
        "of a fit: median over targets on the untouched fold; of a similarity: its value; null if "
        "undefined",
        nullable=True,
    ),
    Column("score_low", REAL, "of a fit: 95 % bootstrap over targets; else null", nullable=True),
    Column("score_high", REAL, "of a fit: 95 % bootstrap over targets; else null", nullable=True),
    Column(
        "stimuli_low",
        REAL,
        "95 % bootstrap over stimuli; null for a similarity's folds, kendall_tau_a of more than 512 "
        "stimuli, shape_similarity of more than 256 dimensions",
        nullable=True,
    ),
    Column("stimuli_high", REAL, "the upper end of the same interval", nullable=True),
    Column("r", REALS, "one value per target or subject; NaN where undefined", nullable=True),
    Column("selection_score", REAL, "the same in the training folds: may choose a layer", "", True),
    Column(
        "choices",
        REALS,
        "per target, chosen inside the training folds: components, or penalty / mean eigenvalue",
        nullable=True,
    ),
    Column("target_ids", NAMES, "targets or subjects, in the order of r", nullable=True),
    Column("n_constant_targets", COUNT, "targets left out of the median"),
    Column("undefined", NAMES, 'why no number, per target or subject; "" where one', "", True),
    Column("sketch", COUNT, "dimensions that features were sketched to; null: exact", "", True),
)

CEILINGS = Table(
    "ceilings",
    "recording x estimator x target",
    (
        TRIAL,
        Column("model", TEXT, "always null: a ceiling belongs to a recording", nullable=True),
        Column("recording", TEXT, "the recording's name"),
        Column("recording_digest", TEXT, "digest of its responses"),
        Column(
            "estimator",
            TEXT,
            "splithalf_spearman_brown, leave_one_out, ncsnr, max_pairwise_target, from_file, "
            "planted_exact, nili_lower or nili_upper",
        ),
        Column("statistic", TEXT, "the statistic that it bounds"),
        Column("scale", TEXT, "reliability: r / sqrt(c); correlation: r / c; variance: r^2 / c"),
        Column("target", TEXT, "the target's id; `all` for a ceiling of the whole recording"),
        Column("ceiling", REAL, "null where it is undefined", nullable=True),
        COMMIT,
    ),
)

SPATIAL_SCORES = trial_table(
    "spatial_scores",
    "model x recording x layer x held-out image",
    Column("recording", TEXT, "the recording's name"),
    Column("layer", TEXT, "module name in the network"),
    Column("stimulus_id", TEXT, "the held-out image"),
    Column("r", REALS, "one value per channel"),
    Column("map_spearman_full", REAL, "predicted and neural map at full grid", nullable=True),
    Column("map_spearman_quarter", REAL, "the same after down-sampling by 4", nullable=True),
)

ATTACKS = trial_table(
    "attacks",
    "model x stimulus x attack",
    Column("stimulus_id", TEXT, "the attacked stimulus"),
    Column("attack", TEXT, "ddn, fmn, ensemble, foolbox:NAME, ..."),
    Column("winner", TEXT, "of an ensemble: the attack that found it", nullable=True),
    Column("canvas_px", COUNT, "side of the attacked image", "pixel"),
    Column("norm", TEXT, "the norm that was minimised"),
    Column("status", TEXT, "already_wrong, found, bound_hit or error"),
    Column("reason", TEXT, "of an error, or why released code leaves the image out", "", True),
    Column(
        "flags",
        NAMES,
        "signs of masked gradients, defects of a released protocol; null if not attacked",
        nullable=True,
    ),
    Column(
        "distance",
        REAL,
        "of the minimised norm, [0, 1] pixels; under a released protocol what its code reports; "
        "null unless found",
        nullable=True,
    ),
    Column("l2", REAL, "Euclidean norm of the perturbation", "", True),
    Column("linf", REAL, "largest absolute change", "", True),
    Column("rms", REAL, "l2 / sqrt(number of values)", "", True),
    Column("relative_l2", REAL, "l2 / Euclidean norm of the stimulus", "", True),
    Column("survives_8bit", FLAG, "changed after rounding to 8 bits; null unless found", "", True),
    Column("label", COUNT, "the correct class"),
    Column("target", COUNT, "the class to be reached; null if untargeted", nullable=True),
    Column("clean_prediction", COUNT, "the class before the attack"),
    Column("adversarial_prediction", COUNT, "the class after it; null unless found", "", True),
    Column("n_forwards", COUNT, "forward passes of this image, tightening included"),
    Column("n_backwards", COUNT, "backward passes of this image"),
    Column(
        "seconds", REAL, "wall time, split evenly over a batch; null if not attacked", "s", True
    ),
)

PERTURBATIONS = trial_table(
    "perturbations",
    "model x stimulus x attack, on request",
    Column("stimulus_id", TEXT, "the attacked stimulus"),
    Column("attack", TEXT, "ddn, fmn, ensemble, foolbox:NAME, ..."),
    Column("shape", pa.list_(pa.int64()), "channel, row, column"),
    Column("perturbation", pa.list_(pa.float16()), "adversarial minus stimulus, in [0, 1] pixels"),
    Column("photo", BYTES, "PNG of what was attacked, 8 bits: for pictures, not numbers", "", True),
    Column("human_map", BYTES, "PNG of the human map there, 8 bits; null without", "", True),
)

ALIGNMENT = trial_table(
    "alignment",
    "model x stimulus x method",
    Column("stimulus_id", TEXT, "the stimulus"),
    Column("method", TEXT, "attack or gradient name"),
    Column(
        "channel_reduction", TEXT, "abs_mean, abs_max, l2, or abs_of_max to reproduce a release"
    ),
    Column(
        "published_reduction",
        FLAG,
        "whether that reduction was published for the method; null in older rows",
        nullable=True,
    ),
    Column("importance", TEXT, "the human maps' name", nullable=True),
    Column("spearman", REAL, "with the human map; null where undefined", nullable=True),
    Column("reason", TEXT, "why spearman is undefined; null where it is not", nullable=True),
    Column("null_spearman", REAL, "mean over the other images' maps", nullable=True),
    Column("null_low", REAL, "2.5 % quantile over the other images' maps", nullable=True),
    Column("null_high", REAL, "97.5 % quantile over the other images' maps", nullable=True),
    Column("n_null", COUNT, "other images' maps that are defined", "image", True),
    Column("human_ceiling", REAL, "agreement among people (Spearman)", nullable=True),
)

TRENDS = Table(
    "trends",
    "statistic over models",
    (
        Column("trend", TEXT, "x_vs_y, e.g. accuracy_vs_neural"),
        Column("subject", TEXT, "recording and readout, or stimuli and attack, and what differs"),
        Column("protocol", TEXT, "of all trials compared"),
        Column("parameters", TEXT, "of all trials compared, as JSON"),
        Column("recording_digest", TEXT, "null without a recording", nullable=True),
        Column("stimuli_digest", TEXT, "of all trials compared"),
        Column("importance_digest", TEXT, "null without human maps", nullable=True),
        Column("seed", COUNT, "of all trials compared"),
        Column("statistic", TEXT, "spearman_rho or pearson_r"),
        Column("estimate", REAL, "null with fewer than three models", nullable=True),
        Column("low", REAL, "95 % percentile bootstrap over models", nullable=True),
        Column("high", REAL, "95 % percentile bootstrap over models", nullable=True),
        Column("n_models", COUNT, "models compared"),
        Column("n_infinite", COUNT, "models whose value is +infinity: ranked, not in pearson_r"),
        Column("n_resamples", COUNT, "bootstrap resamples in which the statistic is defined"),
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

_ALL = (
    MODELS, TRIALS, ACCURACY, LAYERS, FEATURES, NEURAL_SCORES, CEILINGS, SPATIAL_SCORES, ATTACKS,
    PERTURBATIONS, ALIGNMENT, TRENDS, TRAINING_RUNS, TRAINING_METRICS,
)  # fmt: skip
TABLES: dict[str, Table] = {table.name: table for table in _ALL}

# In the order in which they build on each other; their SQL is in zoo_eval/queries/views.
VIEWS = (
    "gates",
    "current_trials",
    "current_ceilings",
    "failures",
    "neural_modes",
    "neural_folds",
    "neural_targets",
    "similarities",
    "best_layer",
    "best_layer_on_test",
    "neural_leaderboard",
    "model_accuracy",
    "tolerances",
    "alignments",
    "protocols",
    "accuracy_vs_neural",
    "accuracy_vs_tolerance",
    "accuracy_vs_alignment",
    "tolerance_and_alignment",
    "leaderboard",
)


# What users and other packages need to declare tables of their own.
__all__ = [
    "BYTES",
    "COMMIT",
    "COUNT",
    "FLAG",
    "MODEL",
    "NAMES",
    "REAL",
    "REALS",
    "SCHEMA_VERSION",
    "TABLES",
    "TEXT",
    "TIME",
    "TRENDS",
    "TRIAL",
    "TRIALS",
    "VIEWS",
    "Column",
    "Table",
    "View",
    "documentation",
    "trial_table",
]  # fmt: skip


def documentation(tables: Iterable[Table] = TABLES.values()) -> str:
    """The Markdown of docs/tables.md."""
    parts = [
        "# Tables\n\nParquet under `<store>/<table>/`; the same names are DuckDB views. "
        "Made from `zoo_eval/tables` by `make docs`.\n"
    ]
    for table in tables:
        parts.append(f"\n## {table.name}\n\nOne row per {table.grain}.\n")
        parts.append("\n| column | type | unit | meaning |\n|---|---|---|---|\n")
        for c in table.columns:
            null = " (may be null)" if c.nullable else ""
            parts.append(f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning}{null} |\n")
    return "".join(parts)
