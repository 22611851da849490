"""Tables of layers and of their comparisons with recordings."""

import pyarrow as pa

from zoo_eval.tables.table import (
    BYTES,
    COMMIT,
    COUNT,
    COUNTS,
    NAMES,
    REAL,
    REALS,
    TEXT,
    TRIAL,
    Column,
    Table,
    trial_table,
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
    Column(
        "chosen_by",
        TEXT,
        "what `layers` said for the model in the sweep that captured it: blocks, blocks/2, ...",
        "",
        True,
    ),
).by("neural_fit")

FEATURES = trial_table(
    "features",
    "model x layer x stimulus, on request",
    Column("layer", TEXT, "module name in the network"),
    Column("stimulus_id", TEXT, "the stimulus"),
    Column("vector", REALS, "the layer's activation, flattened in C order"),
).by("features")

NEURAL_SCORES = trial_table(
    "neural_scores",
    "model x recording x layer x readout x fold",
    Column("recording", TEXT, "the recording's name"),
    Column("layer", TEXT, "module name in the network"),
    Column("readout", TEXT, "pls, ridge, reverse_pls, reverse_ridge, rsa, cka, procrustes, ..."),
    Column(
        "mode",
        TEXT,
        "fit, similarity, or reverse: units predicted from targets; null in old stores (see neural_modes)",
        "",
        True,
    ),
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
        "of a fit: median over targets on the untouched fold; of mode reverse: over the units that were "
        "drawn; of a similarity: its value; null if undefined",
        nullable=True,
    ),
    Column(
        "score_low",
        REAL,
        "of a fit: 95 % bootstrap over targets, or units; null below five of them, and for a similarity",
        nullable=True,
    ),
    Column("score_high", REAL, "the upper end of the same interval", nullable=True),
    Column(
        "stimuli_low",
        REAL,
        "95 % bootstrap over groups of stimuli; null below five of them, for a similarity's folds, "
        "kendall_tau_a of more than 512 stimuli, shape_similarity of more than 256 dimensions",
        nullable=True,
    ),
    Column("stimuli_high", REAL, "the upper end of the same interval", nullable=True),
    Column(
        "r",
        REALS,
        "one value of the statistic per target, unit or subject; NaN where undefined",
        nullable=True,
    ),
    Column("selection_score", REAL, "the same in the training folds: may choose a layer", "", True),
    Column(
        "choices",
        REALS,
        "per target or unit, chosen inside the training folds: components, or penalty / mean eigenvalue",
        nullable=True,
    ),
    Column(
        "target_ids",
        NAMES,
        "targets or subjects, in the order of r; of mode reverse: numbers of units, from 0, in the layer's "
        "activation, flattened in C order",
        nullable=True,
    ),
    Column("n_constant_targets", COUNT, "targets, or units, left out of the median"),
    Column("undefined", NAMES, 'why no number, per target or subject; "" where one', "", True),
    Column("sketch", COUNT, "dimensions that features were sketched to; null: exact", "", True),
    Column("n_stimuli", COUNT, "stimuli that the score is over; null in old stores", "", True),
    Column("n_observed", COUNTS, "of these, per target; null: every target answered all", "", True),
    Column(
        "pc_r",
        REALS,
        "of a fit: r of predicted and measured projections on each of the first ten principal components "
        "of the training responses; equal scores may hide that one is missed",
        nullable=True,
    ),
    Column(
        "n_sets", COUNT, "sets of targets that answered the same stimuli, fitted apart", "", True
    ),
    Column(
        "n_predictors",
        COUNT,
        "of mode reverse: targets that units are predicted from, those that answered every stimulus",
        nullable=True,
    ),
    Column(
        "variance_explained",
        REAL,
        "of mode reverse: share of the variance of all of the layer's units that is predicted on the "
        "untouched fold, 1 - squared errors / squares about the training mean; negative where the mean is "
        "better, null where the layer is constant",
        nullable=True,
    ),
).by("neural_fit")

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
            "splithalf_spearman_brown, internal_consistency (Brain-Score's), leave_one_out, ncsnr, "
            "max_pairwise_target, from_file, planted_exact, nili_lower or nili_upper",
        ),
        Column("statistic", TEXT, "the statistic that it bounds"),
        Column("scale", TEXT, "reliability: r / sqrt(c); correlation: r / c; variance: r^2 / c"),
        Column("target", TEXT, "the target's id; `all` for a ceiling of the whole recording"),
        Column("ceiling", REAL, "null where it is undefined", nullable=True),
        Column("undefined", TEXT, "why there is no ceiling; null where there is one", "", True),
        Column(
            "split", TEXT, "the published split whose test stimuli it is of; null: all", "", True
        ),
        COMMIT,
    ),
).by("neural_fit", "spatial_fit")

TARGETS = Table(
    "targets",
    "recording x target",
    (
        TRIAL,
        Column("model", TEXT, "always null: a target belongs to a recording", nullable=True),
        Column("recording", TEXT, "the recording's name"),
        Column("recording_digest", TEXT, "digest of its responses"),
        Column("target", TEXT, "the target's id"),
        Column("region", TEXT, "of the brain, as the recording's files call it", "", True),
        Column("subject", TEXT, "whose it is", "", True),
        Column("session", TEXT, "in which it was recorded", "", True),
        Column("electrode", TEXT, "or array, on which it was recorded", "", True),
        Column("reliability", REAL, "as published with the responses", "", True),
        Column("known", TEXT, "everything that the files say of it", "JSON"),
        COMMIT,
    ),
).by("neural_fit with recording files that describe targets")

SPATIAL_SCORES = trial_table(
    "spatial_scores",
    "model x recording x layer x held-out image",
    Column("recording", TEXT, "the recording's name"),
    Column("layer", TEXT, "module name in the network"),
    Column("protocol", TEXT, "corrected, linsley2023_release or defect_..."),
    Column("stimulus_id", TEXT, "the held-out image"),
    Column("score", REAL, "median of r over channels; null where none is defined", "", True),
    Column(
        "selection_score",
        REAL,
        "mean score of the other images, each predicted without this one: may choose a layer; null with "
        "`selection = false`; of a protocol with layer_on_test, the mean score of all images",
        "",
        True,
    ),
    Column("r", REALS, "Pearson r over positions, one per channel; NaN where undefined"),
    Column("channel_ids", NAMES, "channels, in the order of r"),
    Column("n_constant_channels", COUNT, "channels left out of the median"),
    Column(
        "ceiling",
        REAL,
        "max_pairwise_target of this image, as the protocol has it; null where undefined",
        "",
        True,
    ),
    Column(
        "map_spearman_full",
        REAL,
        "predicted and neural map, means over channels, at the full grid; null where one is constant",
        nullable=True,
    ),
    Column(
        "map_spearman_quarter",
        REAL,
        "the same after down-sampling by 4; null on a grid with fewer than 3 positions then",
        nullable=True,
    ),
).by("spatial_fit")

SPATIAL_MAPS = trial_table(
    "spatial_maps",
    "model x recording x layer x held-out image, on request",
    Column("recording", TEXT, "the recording's name"),
    Column("layer", TEXT, "module name in the network"),
    Column("stimulus_id", TEXT, "the held-out image"),
    Column("n_rows", COUNT, "of the grid of positions"),
    Column("n_columns", COUNT, "of the grid of positions"),
    Column("predicted", REALS, "mean over channels at each position, row by row"),
    Column("neural", REALS, "the same of what was recorded"),
    Column(
        "photo", BYTES, "PNG of what the model saw, 8 bits: for pictures, not numbers", "", True
    ),
).by("spatial_fit with keep_maps")
