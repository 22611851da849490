"""ImportanceMaps: identity is content and preparation; they follow a model's own view of an image."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from zoo_eval.errors import BadInput, Refusal
from zoo_eval.importance.maps import ImportanceMaps, of_stimuli
from zoo_eval.importance.preparation import BLURRED_BEFORE, PUBLISHED, Preparation
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform

OWN = Transform(
    input_px=80, resize_px=96, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3
)


def photos(*sizes: tuple[int, int], seed: int = 0) -> StimulusSet:
    rng = np.random.default_rng(seed)
    ids = tuple(f"photo_{i}" for i in range(len(sizes)))
    images = tuple(rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes)
    return StimulusSet("photos", ids, images, groups=ids)


def raw_maps(*sizes: tuple[int, int], seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(size).astype(np.float32) for size in sizes]


def made(stimuli=None, raw=None, preparation=PUBLISHED, **more) -> ImportanceMaps:
    stimuli = stimuli or photos((64, 64), (64, 64))
    raw = raw or raw_maps((64, 64), (64, 64))
    return of_stimuli("people", stimuli, raw, preparation, **{"human_ceiling": None, **more})


def test_the_same_maps_have_the_same_digest_and_any_difference_another():
    first = made()
    assert first.digest == made(human_ceiling=0.6).digest
    changed = raw_maps((64, 64), (64, 64))
    changed[1][3, 4] = 2
    others = [
        made(raw=changed),
        made(stimuli=photos((64, 64), (64, 64), seed=5)),
        made(preparation=BLURRED_BEFORE),
        made(preparation=Preparation(canvas_px=112)),
        first.seen_through(OWN, photos((64, 64), (64, 64))),
    ]
    assert len({first.digest, *(o.digest for o in others)}) == 6


def test_equal_maps_of_unequal_parameters_have_unequal_digests():
    flat = [np.zeros((64, 64), np.float32)] * 2
    one, two = made(raw=flat), made(raw=flat, preparation=BLURRED_BEFORE)
    assert np.array_equal(one.maps, two.maps)
    assert one.digest != two.digest


def test_a_constant_map_is_undefined_with_its_reason():
    raw = raw_maps((64, 64), (64, 64))
    raw[1][:] = 3
    assert made(raw=raw).undefined == {"photo_1": "the human map is constant"}
    assert made().undefined == {}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_with_a_hole_is_refused_by_name(value):
    raw = raw_maps((64, 64), (64, 64))
    raw[1][5, 5] = value
    with pytest.raises(BadInput, match="map of 'photo_1' has a NaN or infinite value"):
        made(raw=raw)


def test_maps_must_cover_the_whole_image():
    maps = made(photos((64, 64), (60, 80)), raw_maps((64, 64), (64, 64)))
    reason = "the human map is 64 x 64 px, its image 80 x 60: other proportions"
    assert maps.undefined == {"photo_1": reason}
    with pytest.raises(BadInput, match=r"no map fits its image .'photo_0': .* 64 x 60: other"):
        made(photos((60, 64), (60, 80)), raw_maps((64, 64), (64, 64)))
    # A smaller map of the same proportions, sides rounded to whole pixels, is fine.
    made(photos((375, 500), (333, 500)), raw_maps((24, 32), (85, 128)))


def test_other_images_are_refused():
    maps = made()
    maps.check(photos((64, 64), (64, 64)))
    with pytest.raises(BadInput, match="name the images that the maps were made for"):
        maps.check(photos((64, 64), (64, 64), seed=9))


@pytest.mark.parametrize("ceiling", [0.0, -0.1, 1.5, float("nan")])
def test_a_ceiling_is_a_correlation(ceiling):
    with pytest.raises(BadInput, match="human_ceiling"):
        made(human_ceiling=ceiling)


def test_one_map_per_stimulus_is_needed():
    with pytest.raises(BadInput, match="for 2 stimuli, got shape"):
        ImportanceMaps(
            "m", "photos", "d", ("a", "b"), np.zeros((1, 4, 4), np.float32), PUBLISHED
        )  # fmt: skip


@pytest.mark.parametrize("size", [(64, 64), (60, 100), (100, 60)])
@pytest.mark.parametrize("canvas_px", [64, 200])
def test_a_map_follows_its_image_through_a_model_own_crop(size, canvas_px):
    """A smooth image that is its own map: what the model sees of both must agree."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    picture = np.exp(-((rows - 0.3 * size[0]) ** 2 + (columns - 0.6 * size[1]) ** 2) / 400)
    image = np.rint(255 * picture).astype(np.uint8)[..., None].repeat(3, axis=2)
    stimuli = StimulusSet("photos", ("a",), (image,), groups=("a",))
    raw = [image[..., 0].astype(np.float32)]
    maps = made(stimuli, raw, Preparation(canvas_px=canvas_px, blur=None))
    seen = maps.seen_through(OWN, stimuli)
    view = OWN.view_images([image], torch.device("cpu"))[0, 0].numpy()
    assert seen.maps.shape == (1, 80, 80)
    assert np.corrcoef(seen.maps.ravel(), view.ravel())[0, 1] > 0.998
    peak = [np.unravel_index(m.argmax(), m.shape) for m in (seen.maps[0], view)]
    # Each was sampled on a grid of its own before: half a pixel of either.
    assert_allclose(peak[0], peak[1], rtol=0, atol=1.5)


def test_a_model_that_sees_the_whole_of_an_oblong_image_is_refused():
    whole = [
        Transform(80, 80, "bilinear", (0.5,) * 3, (0.5,) * 3, squash=True),
        Transform(80, 80, "bilinear", (0.5,) * 3, (0.5,) * 3, fill=(0.5,) * 3),
    ]
    oblong = photos((64, 64), (48, 64))
    maps = made(oblong, raw_maps((64, 64), (48, 64)))
    square = photos((64, 64), (64, 64))
    for transform in whole:
        with pytest.raises(Refusal, match="sees the whole of 'photo_1'"):
            maps.seen_through(transform, oblong)
        assert made(square).seen_through(transform, square).maps.shape == (2, 80, 80)


def test_a_border_is_looked_at_by_nobody():
    bordered = Transform(80, 60, "bicubic", (0.5,) * 3, (0.5,) * 3, fill=(1.0, 0.5, 0.5))
    square = photos((64, 64), (64, 64))
    seen = made(square).seen_through(bordered, square).maps
    assert not seen[:, :10].any()
    assert not seen[:, :, -10:].any()
    assert seen[:, 10:-10, 10:-10].max() > 0.5
