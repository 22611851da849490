"""The gallery shows what is stored: its pictures decode to the values they stand for."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from zoo_eval.report import gallery
from zoo_eval.report.gallery import Example

SIDE = 40


def example(**changed) -> Example:
    rng = np.random.default_rng(0)
    photo = rng.uniform(0.2, 0.8, (3, SIDE, SIDE)).astype(np.float32)
    perturbation = (0.01 * rng.standard_normal((3, SIDE, SIDE))).astype(np.float16)
    return Example(**{
        "model": "local/<a&b>", "stimulus_id": 'img"1".jpg', "attack": "ddn", "photo": photo,
        "perturbation": perturbation, "label": "tench", "adversarial_label": "eel",
        "distance": 0.7071, **changed,
    })  # fmt: skip


def pictures(html: str) -> list[np.ndarray]:
    encoded = re.findall(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(e)))) for e in encoded]


def rgb(values: np.ndarray) -> np.ndarray:
    return values.transpose(1, 2, 0)


def test_photo_and_adversarial_image_are_the_stored_values_in_8_bits():
    one = example()
    photo, _, adversarial = pictures(gallery.pictures([one]))
    assert photo.shape == (SIDE, SIDE, 3)
    assert np.abs(photo / 255 - rgb(one.photo)).max() <= 0.5 / 255 + 1e-6
    attacked = rgb(one.photo.astype(np.float64) + one.perturbation)
    assert np.abs(adversarial / 255 - attacked).max() <= 0.5 / 255 + 1e-6
    assert (photo != adversarial).any()


def test_the_perturbation_can_be_read_off_its_picture_with_the_printed_scale():
    one = example()
    html = gallery.pictures([one])
    scale = float(re.search(r"</b> ±([\d.]+), l2 0.707<", html).group(1))
    shown = 2 * (pictures(html)[1] / 255 - 0.5) * scale
    values = rgb(one.perturbation.astype(np.float64))
    inside = np.abs(values) < 0.95 * scale
    assert inside.mean() > 0.98
    # The printed scale has two digits, a picture 8 bits.
    assert np.abs(shown - values)[inside].max() < 0.05 * scale
    assert (pictures(html)[1][values > 1.06 * scale] == 255).all()
    assert (pictures(html)[1][values < -1.06 * scale] == 0).all()


def test_the_scale_covers_nearly_all_values_and_a_single_pixel_too():
    values = np.linspace(-1, 1, 3 * 100 * 100).reshape(3, 100, 100)
    # One of evenly spaced values.
    step = 2 / values.size
    assert gallery.perturbation_scale(values) == pytest.approx(0.995, rel=0, abs=2 * step)
    single = np.zeros((3, 50, 50), np.float16)
    single[1, 4, 5] = -0.5
    assert gallery.perturbation_scale(single) == 0.5
    drawn = gallery.perturbation_pixels(single, 0.5)
    assert drawn[4, 5].tolist() == [128, 0, 128]
    assert (np.delete(drawn.reshape(-1, 3), 4 * 50 + 5, axis=0) == 128).all()


def test_no_perturbation_is_plain_grey():
    one = example(perturbation=np.zeros((3, SIDE, SIDE), np.float16), distance=0.0)
    assert (pictures(gallery.pictures([one]))[1] == 128).all()


def test_the_human_map_tints_where_it_is_high_at_any_size():
    human = np.zeros((2 * SIDE, 2 * SIDE), np.float32)
    human[:SIDE] = 1
    html = gallery.pictures([example(human_map=human, spearman=0.123)])
    drawn = pictures(html)[3].astype(int)
    assert drawn.shape == (SIDE, SIDE, 3)
    redness = drawn[..., 0] - drawn[..., 2]
    assert redness[: SIDE // 2 - 2].min() > 60
    assert (redness[SIDE // 2 + 2 :] == 0).all()
    assert "Spearman 0.12" in html


def test_an_image_without_a_map_has_three_pictures_and_an_undefined_rho_says_so():
    assert len(pictures(gallery.pictures([example()]))) == 3
    assert "undefined" in gallery.pictures([example(human_map=np.ones((4, 4), np.float32))])


def test_every_example_is_shown_in_order_and_any_name_survives():
    html = gallery.pictures([example(), example(stimulus_id="second", label="<script>")])
    assert len(pictures(html)) == 6
    assert html.index("img&quot;1&quot;.jpg") < html.index("second")
    assert "local/&lt;a&amp;b&gt;" in html
    assert "<script>" not in html
    assert 'alt="photo: &lt;script&gt;"' in html


def test_nothing_is_loaded_from_outside():
    html = gallery.pictures([example()])
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', html) == []
    assert "url(" not in html


def test_an_empty_gallery_is_nothing():
    assert gallery.pictures([]) == ""


def test_the_channel_reduction_is_said_with_what_it_gave():
    html = gallery.pictures(
        [
            example(
                human_map=np.ones((4, 4), np.float32), spearman=0.5, channel_reduction="abs_of_mean"
            )
        ]
    )
    assert "Spearman 0.50 (abs_of_mean)" in html


def test_photo_and_perturbation_must_fit():
    with pytest.raises(ValueError, match=r"photo \(3, 40, 40\) and perturbation \(3, 8, 8\)"):
        example(perturbation=np.zeros((3, 8, 8), np.float16))
