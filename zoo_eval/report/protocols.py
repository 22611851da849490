"""Attack protocols side by side: what each published one does, in plain words."""

from collections.abc import Mapping
from typing import Any

from zoo_eval.files.names import in_html
from zoo_eval.queries.connection import Connection
from zoo_eval.report.table import REAL, SHARE, Column, Table

Row = dict[str, Any]
WORDS: Mapping[str, str] = {
    "corrected": (
        "the smallest perturbation that the attacks find, verified as stored; an image on which "
        "they fail counts as infinitely far."
    ),
    "linsley2023_paper": (
        "three steps of gradient ascent on a sphere around the image, its radius found by bisection "
        "to a width of 0.01 (0.1 above 1). Coarse, so that it only bounds the smallest perturbation "
        "from above; images that withstand radius 10 are left out of the published mean, which "
        "makes robust models look weaker."
    ),
    "linsley2023_release": "the same as the code that was released until June 2023 does it.",
    "feng2025_release": (
        "Foolbox's L2FMNAttack, and animate or inanimate as the decision: only crossing from one to "
        "the other counts."
    ),
    "defect_drifting_projection": "the paper's attack of 2023 with this defect alone.",
    "defect_constant_radius": "the paper's attack of 2023 with this defect alone.",
    "defect_rescaled_after_normalisation": "the paper's attack of 2023 with this defect alone.",
    "defect_radius_ignored": (
        "Foolbox's L2FMNAttack of the 2025 release with this defect alone: the image as it is, and "
        "the class as the decision."
    ),
    "defect_rescaled_image": (
        "FMN with a right projection, the class as the decision, and this defect alone."
    ),
}
DEFECTS: Mapping[str, str] = {
    "constant_radius": (
        "the bisection moved a radius that the attack never read: every attack used the same one."
    ),
    "drifting_projection": (
        "each step was projected around the step before, not around the image, so that "
        "perturbations grow past the radius."
    ),
    "rescaled_after_normalisation": (
        "images were stretched to [0, 1] after the model's own normalisation: the model sees "
        "colours it was not trained on, and distances are in another unit for every model."
    ),
    "radius_ignored": (
        "the attack's projection divides a norm by itself, so that its radius has no effect; what it "
        "returns is a step size, not a smallest perturbation."
    ),
    "rescaled_image": (
        "each image was stretched to [0, 1] by its own least and largest value: another image, and "
        "another unit for each."
    ),
}
COLUMNS = (
    Column("model", "model"),
    Column("protocol", "protocol", choose=True),
    Column("attack", "attack", choose=True),
    Column("decision", "decision"),
    Column("canvas", "canvas"),
    Column("tolerance", "tolerance", REAL),
    Column("times_corrected", "times corrected", REAL),
    Column("median_found", "median found", REAL),
    Column("mean_found", "mean as reported", REAL),
    Column("mean_l2", "mean l2, pixels", REAL),
    Column("bound_hit_share", "bound hits", SHARE),
    Column("alignment", "alignment", REAL),
    Column("null_alignment", "its null", REAL),
    Column("ceiled_alignment", "ceiled", REAL),
    Column("flags", "flags"),
)
NOTE = (
    "Tolerance: median with bound hits (images on which the attack fails) as infinitely far. Mean as "
    "reported: over the images that the published code keeps, as it measures them; mean l2: the same "
    "perturbations in [0, 1] pixels. Times corrected: against the smallest corrected tolerance for the "
    "same decision and canvas."
)


def protocols(connection: Connection) -> Table:
    """What each published protocol makes of the same models and images; no row where none was run."""
    rows = connection.rows("SELECT * FROM protocols")
    if all(row["protocol"] == "corrected" for row in rows):
        rows = []
    flagged = [{**row, "flags": _flags(row)} for row in rows]
    return Table("protocols", "Attack protocols side by side", COLUMNS, flagged)


def explained(table: Table) -> str:
    """The protocols that were run and the defects that they have, as a list."""
    present = {row["protocol"] for row in table.rows}
    named = {part.rpartition(" ")[0] for row in table.rows for part in row["flags"].split(", ")}
    words = {name: text for name, text in WORDS.items() if name in present}
    words |= {name: text for name, text in DEFECTS.items() if name in named}
    items = "".join(
        f"<dt><code>{in_html(name)}</code></dt><dd>{in_html(text)}</dd>"
        for name, text in words.items()
    )
    return f"<dl>{items}</dl>"


def _flags(row: Row) -> str:
    return ", ".join(f"{flag} {share:.0%}" for flag, share in row["flags"] or ())
