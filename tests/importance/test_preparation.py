"""Prepared maps equal the published recipe written with SciPy, and keep an image's geometry."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.ndimage import correlate

from tests.rounding import float32_products
from zoo_eval.errors import BadInput
from zoo_eval.importance.preparation import (
    BLURRED_BEFORE,
    PUBLISHED,
    Blur,
    Preparation,
    blurred,
    gaussian_kernel,
    prepare,
    prepare_all,
)


def bilinear(values: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resize with half-pixel centres, edges repeated, no antialiasing, one axis at a time."""
    for axis in (0, 1):
        n = values.shape[axis]
        at = ((np.arange(size) + 0.5) * n / size - 0.5).clip(0, n - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n - 1)
        weight = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        values = values.take(low, axis) * (1 - weight) + values.take(high, axis) * weight
    return values


def blurred_by_scipy(raw: np.ndarray) -> np.ndarray:
    """64 px, kernel exp(-(x^2 + y^2) / 200) over x = -5 ... 4, y = 4 ... -5, 224 px."""
    x, y = np.arange(-5, 5), np.arange(4, -6, -1)
    kernel = np.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / 200)
    small = bilinear(raw.astype(np.float64), 64)
    # "SAME" padding of an even kernel is 4 before and 5 after; SciPy's default is the reverse.
    smooth = correlate(small, kernel / kernel.sum(), mode="constant", origin=-1)
    return bilinear(smooth, 224)


def in_unit_interval(large: np.ndarray) -> np.ndarray:
    return (large - large.min()) / np.ptp(large)


def rounding(large: np.ndarray) -> float:
    """Of float32: a kernel of 100 weights, two bilinear sums of 4, and a range that is stretched."""
    return 2 * float32_products(100 + 2 * 4 + 2, large.max()) / np.ptp(large)


@pytest.mark.parametrize("side", [256, 224, 64, 40])
def test_the_published_preparation_equals_it_written_with_scipy(side):
    raw = np.random.default_rng(side).random((side, side)).astype(np.float32) ** 8
    found = prepare(raw, PUBLISHED)
    assert found.dtype == np.float32
    assert found.shape == (224, 224)
    assert (found.min(), found.max()) == (0, 1)
    expected = blurred_by_scipy(raw)
    assert_allclose(found, in_unit_interval(expected), rtol=0, atol=rounding(expected))


def test_the_kernel_sums_to_one_and_has_its_peak_where_the_release_has_it():
    kernel = gaussian_kernel(Blur())[0, 0]
    assert kernel.shape == (10, 10)
    assert_allclose(kernel.sum(), 1, rtol=2 * float32_products(100))
    assert divmod(int(kernel.argmax()), 10) == (4, 5)
    odd = gaussian_kernel(Blur(kernel_px=11, sigma_px=3.0))[0, 0]
    assert torch.equal(odd, odd.flip(0))
    assert torch.equal(odd, odd.flip(1))
    assert torch.equal(odd, odd.T)


@pytest.mark.parametrize("kernel_px", [1, 2, 10, 11])
def test_a_blur_spreads_a_point_over_the_kernel_without_loss(kernel_px):
    point = torch.zeros(1, 1, 32, 32)
    point[0, 0, 16, 16] = 1
    spread = blurred(point, Blur(kernel_px=kernel_px, sigma_px=2.0))
    assert spread.shape == point.shape
    assert int((spread > 0).sum()) == kernel_px**2
    assert_allclose(spread.sum(), 1, rtol=3 * float32_products(kernel_px**2))


def test_without_a_blur_a_map_of_the_canvas_size_is_only_rescaled():
    raw = np.random.default_rng(0).integers(10, 200, (224, 224)).astype(np.float32)
    expected = (raw - raw.min()) / (raw.max() - raw.min())
    assert_allclose(prepare(raw, BLURRED_BEFORE), expected, rtol=0, atol=float32_products(4))


def test_units_do_not_matter():
    raw = np.random.default_rng(0).random((256, 256)).astype(np.float32)
    expected = prepare(raw, PUBLISHED)
    bound = 2 * rounding(blurred_by_scipy(raw))
    for scaled in (255 * raw + 3, np.float32(3e38) * raw):
        found = prepare(scaled.astype(np.float32), PUBLISHED)
        assert_allclose(found, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_map_stays_constant_although_the_blur_has_dark_borders(value):
    assert not prepare(np.full((256, 256), value, np.float32), PUBLISHED).any()


def test_of_an_oblong_map_the_middle_square_is_kept():
    square = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    wide = np.pad(square, ((0, 0), (24, 24)))
    for raw in (wide, wide.T):
        found = prepare(raw, Preparation(canvas_px=96, blur=None))
        expected = square if raw is wide else square.T
        assert_allclose(found, in_unit_interval(expected), rtol=0, atol=float32_products(4))


def test_all_maps_are_prepared_alike():
    raw = [np.random.default_rng(i).random((30 + i, 30 + i)).astype(np.float32) for i in range(3)]
    found = prepare_all(raw, PUBLISHED)
    assert np.array_equal(found, np.stack([prepare(one, PUBLISHED) for one in raw]))


def test_the_key_tells_preparations_apart():
    others = [BLURRED_BEFORE, Preparation(canvas_px=128), Preparation(blur=Blur(sigma_px=5.0))]
    keys = [str(p.key) for p in (PUBLISHED, *others)]
    assert len(set(keys)) == 4
    assert PUBLISHED.key == {
        "canvas_px": 224, "blur": {"at_px": 64, "kernel_px": 10, "sigma_px": 10.0}
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"canvas_px": 0}, {"blur": Blur(at_px=0)}])
def test_sizes_below_one_are_refused(wrong):
    with pytest.raises(BadInput, match="above 0"):
        Preparation(**wrong)


@pytest.mark.parametrize("sigma_px", [0.0, float("nan")])
def test_a_blur_without_width_is_refused(sigma_px):
    with pytest.raises(BadInput, match="above 0"):
        Preparation(blur=Blur(sigma_px=sigma_px))
