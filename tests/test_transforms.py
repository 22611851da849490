"""The differentiable transform equals timm's evaluation transform, up to its rounding to 8 bits."""

from dataclasses import replace

import numpy as np
import pytest
import timm as timm_library
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms.functional import resize

from tests.rounding import float32_products
from zoo_eval.errors import Refusal
from zoo_eval.sources import timm
from zoo_eval.transforms import Transform

PLAIN = Transform(64, 72, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CPU = torch.device("cpu")


def smooth_image(height, width):
    """A smooth photo-like image: waves of a few periods, uint8 (row, column, RGB)."""
    row, column = np.mgrid[:height, :width] / 40
    waves = [np.sin(row + phase) * np.cos(1.3 * column - phase) for phase in (0, 1, 2)]
    return np.uint8(np.round(127.5 + 120 * np.stack(waves, 2)))


SIZES = [(300, 400), (400, 300), (256, 256), (100, 130), (611, 611), (97, 1000)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(
    "name",
    ["tf_efficientnet_lite0.in1k", "resnet50.a1_in1k", "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
     "convnext_base.fb_in22k_ft_in1k_384", "test_efficientnet.r160_in1k",
     "deepseek_vit_412m.deepseek_v4_1_flash", "vit_base_patch16_sapiens2.fb"],
)  # fmt: skip
def test_it_equals_timms_own(name, height, width):
    config = timm_library.get_pretrained_cfg(name)
    transform = timm.transform(f"timm/{name}", None)
    own = create_transform(
        config.input_size, is_training=False, interpolation=config.interpolation,
        mean=config.mean, std=config.std, crop_pct=config.crop_pct, crop_mode=config.crop_mode,
    )  # fmt: skip
    image = smooth_image(height, width)
    expected = own(Image.fromarray(image))[None]
    found = transform.normalise(transform.view_images([image], CPU))
    assert found.shape == expected.shape
    # Pillow rounds to 1/255 after each of its two passes: half a level, times at most 1.25 (the
    # bicubic weights' absolute sum) by the second pass, and another half.
    level = torch.tensor(transform.std)[:, None, None] * 255
    assert ((found - expected) * level).abs().max() <= 1.125


def test_input_that_is_no_square_is_squashed_to_unless_another_size_is_wanted():
    name = "timm/vit_base_patch16_sapiens2.fb"
    transform = timm.transform(name, None)
    assert transform.size == (1024, 768)
    assert transform.at(224).size == timm.transform(name, 224).size == (224, 224)


def test_a_crop_that_is_no_square_is_refused():
    config = replace(timm_library.get_pretrained_cfg("resnet18.a1_in1k"), input_size=(3, 64, 32))
    with pytest.raises(Refusal, match="crops to 64 x 32 px; images can only be squashed"):
        timm.view("timm/planted", config, None)
    with pytest.raises(ValueError, match="squashed to, not cropped"):
        replace(PLAIN, input_width_px=32)


def test_gradients_reach_the_pixels_inside_a_border():
    pixels = torch.rand(1, 3, 90, 128, requires_grad=True)
    view = replace(PLAIN, resize_px=64, fill=(0.5, 0.25, 0.0)).view(pixels)
    assert view.shape == (1, 3, 64, 64)
    assert view[0, :, 0, 0].tolist() == [0.5, 0.25, 0.0]
    view.sum().backward()
    assert (pixels.grad != 0).all()


@pytest.mark.parametrize("px", [64, 224, 480])
def test_every_image_size_is_resized_as_torchvision_does_and_cropped_to_the_input(px):
    transform = replace(PLAIN, input_px=px, resize_px=px)
    for height in range(30, 700, 97):
        for width in [*range(31, 700, 97), height, 611]:
            size = transform._resized(height, width)
            assert size == resize(Image.new("L", (width, height)), px).size[::-1]
            assert min(size) == px
    assert transform.view(torch.zeros(1, 3, 611, 611)).shape == (1, 3, px, px)


def test_squashing_ignores_proportions():
    wide = smooth_image(100, 300)
    squashed = replace(PLAIN, input_px=64, resize_px=64, squash=True).view_images([wide], CPU)
    assert squashed.shape == (1, 3, 64, 64)
    # The left and right edges of the photo are still there; the centre crop has lost them.
    assert (squashed[0, :, 32, 0] - torch.tensor(wide[50, 2] / 255)).abs().max() < 0.05
    cropped = replace(PLAIN, input_px=64, resize_px=64).view_images([wide], CPU)
    assert (cropped - squashed).abs().max() > 0.2


def test_a_view_of_the_right_size_is_left_alone():
    pixels = torch.rand(2, 3, 64, 64)
    assert torch.equal(replace(PLAIN, resize_px=64).view(pixels), pixels)


def test_normalising_is_per_channel():
    view = torch.rand(2, 3, 4, 4)
    for channel in range(3):
        expected = (view[:, channel] - PLAIN.mean[channel]) / PLAIN.std[channel]
        bound = 2 * float32_products(2, 1 / PLAIN.std[channel])
        assert (PLAIN.normalise(view)[:, channel] - expected).abs().max() <= bound


def test_overshoot_of_the_resize_stays_in_the_box():
    checks = np.kron(np.indices((9, 9)).sum(0) % 2, np.ones((11, 11)))[..., None].repeat(3, 2)
    view = PLAIN.view_images([np.uint8(255 * checks)], CPU)
    assert view.min() == 0
    assert view.max() == 1


def test_a_canvas_is_the_same_for_every_model():
    image = smooth_image(90, 120)
    other = Transform(48, 80, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), squash=True)
    one, same = (t.at(56).view_images([image], CPU) for t in (PLAIN, other))
    assert one.shape == (1, 3, 56, 56)
    assert torch.equal(one, same)
    assert not torch.allclose(other.view(one), one[..., 4:52, 4:52])  # each then has its own view


def test_gradients_flow_to_the_pixels_of_any_size():
    pixels = 0.25 + 0.5 * torch.rand(1, 3, 90, 120)
    PLAIN.normalise(PLAIN.view(pixels.requires_grad_())).sum().backward()
    # Resizing weights sum to one: brightening all pixels alike moves each seen value by 1 / std.
    torch.testing.assert_close(pixels.grad.sum(), (64 * 64 / torch.tensor(PLAIN.std)).sum())
    assert pixels.grad[..., 45, 60].abs().min() > 0
    assert pixels.grad[..., 0].abs().max() == 0  # the cropped edge is not seen


def test_the_gradient_is_that_of_a_finite_difference():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(1, 3, 20, 26, generator=generator, dtype=torch.float64) * 0.5 + 0.25
    small = replace(PLAIN, input_px=12, resize_px=15)
    pixels.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: small.view(p).sin(), pixels, fast_mode=True)


def test_its_key_says_everything_that_changes_the_view():
    changes = {"input_px": 63, "resize_px": 73, "interpolation": "bilinear", "squash": True,
               "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # fmt: skip
    keys = [str(replace(PLAIN, **{name: value}).key) for name, value in changes.items()]
    assert len({str(PLAIN.key), *keys}) == len(changes) + 1
