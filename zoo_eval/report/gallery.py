"""Pictures of attacks: photo, perturbation, adversarial image and human map, as one HTML section."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo_eval.files.names import in_html
from zoo_eval.pictures import levels, png

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.floating]
# Of a perturbation's values, this share is shown in full; the rest is as dark or light as can be.
SHOWN_SHARE = 0.995
# The page's second colour (page.css, --c1), which photos seldom have.
TINT = np.array([213, 94, 0]) / 255
TINT_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class Example:
    """One attacked image, as it is stored.

    `photo` (channel, row, column) is what was attacked, in [0, 1]; `perturbation`, of that shape,
    is float16. `human_map` (row, column) is of any square size, in [0, 1]; None where there is
    none. `distance` is the perturbation's length in `norm`; `spearman` its rank correlation with
    the human map, None where undefined, after `channel_reduction` made one channel of three.

    Raises:
        ValueError: photo and perturbation differ in shape.
    """

    model: str
    stimulus_id: str
    attack: str
    photo: Values
    perturbation: npt.NDArray[np.float16]
    label: str
    adversarial_label: str
    distance: float
    norm: str = "l2"
    human_map: Values | None = None
    spearman: float | None = None
    channel_reduction: str | None = None

    def __post_init__(self) -> None:
        if self.photo.shape != self.perturbation.shape:
            raise ValueError(
                f"photo {self.photo.shape} and perturbation {self.perturbation.shape} differ in shape"
            )


def pictures(examples: Sequence[Example]) -> str:
    """Every picture as HTML, inside it; nothing of none.

    A page that restricts its sources must allow images from `data:`.
    """
    if not examples:
        return ""
    note = (
        f"In the perturbation grey is 0; white and black are plus and minus the printed value, which "
        f"{100 * SHOWN_SHARE:g} % of its values stay within. Where people look, the photo is orange."
    )
    rows = "".join(_row(example) for example in examples)
    return f'<p class="soft">{note}</p>\n<div class="gallery">{rows}</div>\n'


def photo_pixels(photo: Values) -> Pixels:
    """Values (channel, row, column) in [0, 1] as uint8 (row, column, RGB)."""
    return levels(photo.astype(np.float64).transpose(1, 2, 0))


def perturbation_scale(perturbation: Values) -> float:
    """The value drawn white: 99.5 % of absolute values do not exceed it; the largest if that is 0."""
    magnitudes = np.abs(perturbation.astype(np.float64))
    return float(np.quantile(magnitudes, SHOWN_SHARE)) or float(magnitudes.max())


def perturbation_pixels(perturbation: Values, scale: float) -> Pixels:
    """A signed perturbation (channel, row, column) as uint8 (row, column, RGB): 0 is mid-grey.

    `scale` and all above is 255, minus `scale` and all below is 0.
    """
    values = perturbation.astype(np.float64).transpose(1, 2, 0)
    return levels(0.5 + 0.5 * values / (scale or 1.0))


def overlay_pixels(photo: Values, human_map: Values) -> Pixels:
    """The photo in grey, tinted where the map is high, as uint8 (row, column, RGB).

    A map (row, column) of another size is resized to the photo.
    """
    red, green, blue = photo.astype(np.float64)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    height, width = grey.shape
    shown = Image.fromarray(human_map.astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    share = TINT_SHARE * np.asarray(shown, dtype=np.float64).clip(0, 1)[..., None]
    # Tinted by the light of the photo, so that its drawing stays visible.
    paper, light = (0.25 + 0.75 * grey)[..., None], (0.6 + 0.6 * grey)[..., None]
    return levels((1 - share) * paper + share * light * TINT)


def _row(example: Example) -> str:
    scale = perturbation_scale(example.perturbation)
    adversarial = example.photo.astype(np.float64) + example.perturbation
    figures = [
        figure(photo_pixels(example.photo), "photo", example.label),
        figure(
            perturbation_pixels(example.perturbation, scale),
            "perturbation",
            f"±{scale:.2g}, {example.norm} {_short(example.distance)}",
        ),
        figure(photo_pixels(adversarial), "adversarial", example.adversarial_label),
    ]
    if example.human_map is not None:
        agreement = "undefined" if example.spearman is None else f"{example.spearman:.2f}"
        if example.channel_reduction:
            agreement += f" ({example.channel_reduction})"
        drawn = overlay_pixels(example.photo, example.human_map)
        figures.append(figure(drawn, "human map", f"Spearman {agreement}"))
    heading = (
        f"<h3>{in_html(example.model)} "
        f'<span class="soft">{in_html(example.stimulus_id)}, {in_html(example.attack)}</span></h3>'
    )
    return article(example.model, heading, figures)


def article(model: str, heading: str, figures: Sequence[str]) -> str:
    """Pictures of one model side by side, found again by its name on the model's own page."""
    return (
        f'<article data-model="{in_html(model)}">{heading}'
        f'<div class="pictures">{"".join(figures)}</div></article>\n'
    )


def figure(pixels: Pixels, name: str, said: str) -> str:
    """A picture, uint8 (row, column, RGB), with its name and what is said of it below."""
    encoded = base64.b64encode(png(pixels, smallest=True)).decode()
    height, width = pixels.shape[:2]
    return (
        f'<figure><img alt="{in_html(f"{name}: {said}")}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{encoded}">'
        f"<figcaption><b>{in_html(name)}</b> {in_html(said)}</figcaption></figure>"
    )


def _short(distance: float) -> str:
    return "∞" if math.isinf(distance) else f"{distance:.3g}"
