"""Tables of attacks, and of alignment with where people look."""

import pyarrow as pa

from zoo_eval.tables.table import BYTES, COUNT, FLAG, NAMES, REAL, TEXT, Column, trial_table

ATTACKS = trial_table(
    "attacks",
    "model x stimulus x attack",
    Column("stimulus_id", TEXT, "the attacked stimulus"),
    Column("attack", TEXT, "ddn, fmn, ensemble, foolbox:NAME, ..."),
    Column("winner", TEXT, "of an ensemble: the attack that found it", nullable=True),
    Column("canvas_px", COUNT, "side of the attacked image", "pixel"),
    Column(
        "norm",
        TEXT,
        "the norm that was minimised: l2, linf, l1, or a count, l0_values or l0_pixels",
    ),
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
    Column("l1", REAL, "sum of absolute changes; null in older rows", "", True),
    Column("l0_values", COUNT, "channel values that change; null in older rows", "value", True),
    Column(
        "l0_pixels",
        COUNT,
        "positions at which any channel changes; null in older rows",
        "pixel",
        True,
    ),
    Column("rms", REAL, "l2 / sqrt(number of values)", "", True),
    Column(
        "relative_l2", REAL, "l2 / Euclidean norm of the stimulus; null for a black one", "", True
    ),
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
).by("minimal_attack")

PERTURBATIONS = trial_table(
    "perturbations",
    "model x stimulus x attack, on request",
    Column("stimulus_id", TEXT, "the attacked stimulus"),
    Column("attack", TEXT, "ddn, fmn, ensemble, foolbox:NAME, ..."),
    Column("shape", pa.list_(pa.int64()), "channel, row, column"),
    Column("perturbation", pa.list_(pa.float16()), "adversarial minus stimulus, in [0, 1] pixels"),
    Column("photo", BYTES, "PNG of what was attacked, 8 bits: for pictures, not numbers", "", True),
    Column("human_map", BYTES, "PNG of the human map there, 8 bits; null without", "", True),
).by("minimal_attack with save_perturbations")

ALIGNMENT = trial_table(
    "alignment",
    "model x stimulus x method",
    Column("stimulus_id", TEXT, "the stimulus"),
    Column("method", TEXT, "attack or gradient name"),
    Column(
        "channel_reduction",
        TEXT,
        "abs_of_mean (abs_mean in older rows), abs_max, l2, or abs_of_max to reproduce a release",
    ),
    Column(
        "published_reduction",
        FLAG,
        "whether that reduction was published for the method; null in older rows",
        nullable=True,
    ),
    Column("importance", TEXT, "the human maps' name", nullable=True),
    Column(
        "region",
        TEXT,
        "pixels that count: seen, common, or defect_unseen_frame; null in older rows",
        nullable=True,
    ),
    Column(
        "unseen_share",
        REAL,
        "of the canvas that does not reach the model; null in older rows",
        "share",
        True,
    ),
    Column("spearman", REAL, "with the human map; null where undefined", nullable=True),
    Column("reason", TEXT, "why spearman is undefined; null where it is not", nullable=True),
    Column("null_spearman", REAL, "mean over the other images' maps", nullable=True),
    Column("null_low", REAL, "2.5 % quantile over the other images' maps", nullable=True),
    Column("null_high", REAL, "97.5 % quantile over the other images' maps", nullable=True),
    Column("n_null", COUNT, "other images' maps that are defined", "image", True),
    Column("human_ceiling", REAL, "agreement among people (Spearman)", nullable=True),
).by("human_alignment", "minimal_attack with importance")
