"""Maps over positions: stimulus, neural map and predicted map side by side."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo_eval.files.names import in_html
from zoo_eval.pictures import levels
from zoo_eval.queries.connection import Connection
from zoo_eval.report.gallery import article, figure
from zoo_eval.report.table import number

Row = dict[str, Any]
Values = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
# A page holds its pictures: the best models of each recording, and a few images of each.
MOST_MODELS, IMAGES_PER_MODEL = 6, 2
# A position is drawn as a square of so many pixels.
POSITION_PX = 12
NOTE = (
    "Means over channels; each map from its least value, black, to its largest, white, for correlations "
    "see no scale. Predictions are of images that the fit was not given, from the layer that was chosen "
    "most often."
)
STORED = f"""
SELECT
    m.model, m.recording, m.layer, m.stimulus_id, m.n_rows, m.n_columns, m.predicted, m.neural, m.photo,
    s.score, s.map_spearman_full, s.protocol
FROM spatial_maps AS m
JOIN spatial_scores AS s USING (trial_id, stimulus_id)
JOIN current_trials AS t USING (trial_id)
JOIN spatial_leaderboard AS b
    ON b.model = m.model AND b.layer = m.layer AND b.recording_digest = t.recording_digest
    AND b.protocol = t.protocol AND b.parameters = t.parameters AND b.seed = t.seed
WHERE b.place <= {MOST_MODELS}
QUALIFY row_number() OVER (PARTITION BY m.trial_id ORDER BY m.stimulus_id) <= {IMAGES_PER_MODEL}
ORDER BY m.recording, s.protocol, b.place, m.stimulus_id
"""


def pictures(connection: Connection) -> str:
    """The best models' maps of each recording, as they are stored, as HTML; nothing where none are."""
    rows = connection.rows(STORED)
    if not rows:
        return ""
    articles = "".join(_article(row) for row in rows)
    return f'<p class="soft">{in_html(NOTE)}</p>\n<div class="gallery">{articles}</div>\n'


def map_pixels(values: Values) -> Pixels:
    """A map (row, column) as uint8 (pixel row, pixel column, RGB), grey; one value alone is mid-grey."""
    low, high = values.min(), values.max()
    grey = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    large = np.kron(grey, np.ones((POSITION_PX, POSITION_PX)))
    return levels(np.repeat(large[..., None], 3, 2))


def _article(row: Row) -> str:
    figures = []
    if row["photo"] is not None:
        with Image.open(io.BytesIO(row["photo"])) as image:
            figures.append(figure(np.asarray(image.convert("RGB")), "stimulus", row["stimulus_id"]))
    shape = row["n_rows"], row["n_columns"]
    for name, said in (
        ("neural", row["recording"]),
        ("predicted", f"r {number(row['score'])}, map rho {number(row['map_spearman_full'])}"),
    ):
        values = np.array(row[name], np.float64).reshape(shape)
        figures.append(figure(map_pixels(values), f"{name} map", said))
    heading = (
        f"<h3>{in_html(row['model'])} "
        f'<span class="soft">{in_html(row["layer"])}, {in_html(row["protocol"])}</span></h3>'
    )
    return article(row["model"], heading, figures)
