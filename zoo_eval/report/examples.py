"""Which attacked images the gallery shows, as they are stored: some of each of some models."""

import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo_eval.catalog import fits
from zoo_eval.errors import BadInput
from zoo_eval.numerics.attacks.norms import NORMS
from zoo_eval.queries.connection import Connection
from zoo_eval.report.gallery import Example
from zoo_eval.stimuli import classes

Row = dict[str, Any]
# A page holds its pictures: of larger zoos it shows models spread evenly over the leaderboard.
MOST_MODELS = 6
IMAGES_PER_MODEL = 2
IMAGENET_HEADS = ("imagenet1k", "zero_shot")

STORED = """
SELECT
    p.trial_id, p.model, p.stimulus_id, p.attack, a.norm, a.label, a.adversarial_prediction,
    -- In pixels, also where a released protocol's own distance is not.
    CASE a.norm
        WHEN 'l2' THEN a.l2 WHEN 'linf' THEN a.linf WHEN 'l1' THEN a.l1
        WHEN 'l0_values' THEN a.l0_values WHEN 'l0_pixels' THEN a.l0_pixels
    END AS distance,
    l.spearman, l.channel_reduction, t.protocol, m.head
FROM perturbations AS p
JOIN attacks AS a USING (trial_id, stimulus_id)
JOIN current_trials AS t USING (trial_id)
LEFT JOIN (SELECT DISTINCT ON (model, weights_digest) * FROM models) AS m
    ON m.model = p.model AND m.weights_digest = t.weights_digest
LEFT JOIN alignment AS l ON l.trial_id = p.trial_id AND l.stimulus_id = p.stimulus_id
    AND l.channel_reduction IN ('abs_of_mean', 'abs_mean')
WHERE p.photo IS NOT NULL
ORDER BY p.model, p.trial_id, p.stimulus_id
"""


def chosen(
    connection: Connection,
    *,
    models: str = "*",
    most_models: int | None = MOST_MODELS,
    per_model: int | None = IMAGES_PER_MODEL,
) -> list[Example]:
    """Examples of the smallest attacks on models of a name pattern, the most accurate first.

    Every model shows the images on which most models were attacked, by the attack with the
    smallest median distance under `corrected`, or under another protocol where that was not run.
    """
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in connection.rows(STORED):
        if fits(row["model"], models):
            by_model[row["model"]].append(row)
    ranked = connection.rows("SELECT model FROM leaderboard")
    names = [row["model"] for row in ranked if row["model"] in by_model]
    spread = _spread(names or sorted(by_model), most_models)
    smallest = {name: _smallest(by_model[name]) for name in spread}
    shared = Counter(row["stimulus_id"] for some in smallest.values() for row in some)
    wanted = [
        row
        for some in smallest.values()
        for row in sorted(some, key=lambda r: (-shared[r["stimulus_id"]], r["stimulus_id"]))[
            :per_model
        ]
    ]
    return [_example(connection, row) for row in wanted]


def _spread(names: Sequence[str], most: int | None) -> list[str]:
    if most is None or len(names) <= most:
        return list(names)
    places = np.linspace(0, len(names) - 1, most).round().astype(int)
    return [names[place] for place in places]


def _smallest(rows: Sequence[Row]) -> list[Row]:
    """The rows of the trial with the smallest median distance, `corrected` ones first."""
    trials: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        trials[row["trial_id"]].append(row)
    return min(
        trials.values(),
        key=lambda some: (
            some[0]["protocol"] != "corrected",
            # Lengths in different norms say nothing of each other.
            NORMS.index(some[0]["norm"]),
            float(np.median([row["distance"] for row in some])),
        ),
    )


def _example(connection: Connection, row: Row) -> Example:
    (stored,) = connection.rows(
        "SELECT shape, perturbation, photo, human_map FROM perturbations "
        f"WHERE trial_id = '{row['trial_id']}' AND stimulus_id = {_quoted(row['stimulus_id'])}"
    )
    human_map = stored["human_map"]
    return Example(
        model=row["model"],
        stimulus_id=row["stimulus_id"],
        attack=f"{row['attack']}, {row['protocol']}",
        photo=_decoded(stored["photo"]).transpose(2, 0, 1),
        perturbation=np.array(stored["perturbation"], np.float16).reshape(stored["shape"]),
        label=_named(row["label"], row["head"]),
        adversarial_label=_named(row["adversarial_prediction"], row["head"]),
        distance=row["distance"],
        norm=row["norm"],
        human_map=None if human_map is None else _decoded(human_map),
        spearman=row["spearman"],
        channel_reduction=row["channel_reduction"],
    )


def _named(label: int, head: str | None) -> str:
    """A class with its name, where the model's classes are known to be ImageNet's."""
    if head not in IMAGENET_HEADS:
        return f"class {label}"
    try:
        names = classes.imagenet().names
    except BadInput:
        # Timm's files of names are not here: the index says it too.
        return f"class {label}"
    return f"{names[label]} (class {label})" if label < len(names) else f"class {label}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _decoded(encoded: bytes) -> npt.NDArray[np.float32]:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image).astype(np.float32) / np.float32(255)
