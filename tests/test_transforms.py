"""The transform gives its library's own pixels, bit for bit; the differentiable one up to their rounding."""

from dataclasses import replace

import numpy as np
import pytest
import timm as timm_library
import torch
import torchvision
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.data.transforms import ResizeKeepRatio
from timm.models import PretrainedCfg
from torchvision import transforms
from torchvision.transforms import v2
from torchvision.transforms.functional import resize

from tests.photos import saved
from tests.rounding import float32_products
from zoo_eval import pipelines
from zoo_eval.errors import Refusal
from zoo_eval.sources import open_clip, timm
from zoo_eval.sources import torchvision as torchvision_source
from zoo_eval.sources.open_clip import Recipe
from zoo_eval.stimuli.folder import Files
from zoo_eval.transforms import INTERPOLATIONS, WITH_GRADIENT, Transform

PLAIN = Transform(64, 72, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CPU = torch.device("cpu")


def smooth_image(height, width):
    """A smooth photo-like image: waves of a few periods, uint8 (row, column, RGB)."""
    row, column = np.mgrid[:height, :width] / 40
    waves = [np.sin(row + phase) * np.cos(1.3 * column - phase) for phase in (0, 1, 2)]
    return np.uint8(np.round(127.5 + 120 * np.stack(waves, 2)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Real photos from every kind of file: name, as Pillow opens it, as a stimulus set decodes it."""
    paths = saved(tmp_path_factory.mktemp("photos"))
    decoded = Files(tuple(paths))
    return [(path.name, opened(path), decoded[number]) for number, path in enumerate(paths)]


def opened(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def check_bits(transform, own, photos):
    """The view and its normalisation are those of a library's own pipeline, bit for bit."""
    found = transform.normalise(transform.view_images([decoded for *_, decoded in photos], CPU))
    for (name, image, _), one in zip(photos, found, strict=True):
        expected = own(image)
        assert torch.equal(one, expected), (name, float((one - expected).abs().max()))


TIMM = {"input_size": (3, 64, 64), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop_pct", [0.875, 0.95, 1.0])
def test_pixels_are_timms_own_bit_for_bit(photos, interpolation, crop_mode, crop_pct):
    said = {"interpolation": interpolation, "crop_mode": crop_mode, "crop_pct": crop_pct}
    config = PretrainedCfg(**TIMM, **said)
    own = create_transform(**TIMM, **said, is_training=False)
    check_bits(timm.view("timm/planted", config, None), own, photos)
    assert pipelines.read(own) == timm.view("timm/planted", config, None)


@pytest.mark.parametrize("crop_pct", [1.15, 1.5])
def test_what_is_smaller_than_the_crop_is_padded_as_timm_does(photos, crop_pct):
    # volo_d5_512.sail_in1k and two others are shown so.
    said = {"interpolation": "bicubic", "crop_mode": "center", "crop_pct": crop_pct}
    transform = timm.view("timm/planted", PretrainedCfg(**TIMM, **said), None)
    assert transform.resize_px < transform.input_px
    check_bits(transform, create_transform(**TIMM, **said, is_training=False), photos)
    pixels = torch.rand(2, 3, 80, 100)
    assert transform.view(pixels).shape == (2, 3, 64, 64)


@pytest.mark.parametrize(
    "name",
    ["tf_efficientnet_lite0.in1k", "convnext_base.fb_in22k_ft_in1k_384",
     "deepseek_vit_412m.deepseek_v4_1_flash", "vit_base_patch16_sapiens2.fb"],
)  # fmt: skip
def test_pixels_are_those_of_timms_own_configuration(photos, name):
    config = timm_library.get_pretrained_cfg(name)
    own = create_transform(**resolve_data_config(pretrained_cfg=config.to_dict()))
    check_bits(timm.transform(f"timm/{name}", None), own, photos[:3])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "random"])
@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [64, (64, 48)])
def test_pixels_are_open_clips_own_bit_for_bit(photos, interpolation, resize_mode, size):
    said = {"interpolation": interpolation, "resize_mode": resize_mode, "fill_color": 90}
    recipe = Recipe("planted", {"vision_cfg": {"image_size": size}}, said)
    if resize_mode != "squash" and size != 64:
        with pytest.raises(Refusal, match="takes 64 x 48 px with resize mode"):
            open_clip.view("open_clip/planted", recipe, None)
        return
    own = image_transform_v2(PreprocessCfg(size=size, **said), is_train=False)
    transform = open_clip.view("open_clip/planted", recipe, None)
    check_bits(transform, own, photos)
    assert pipelines.read(own) == transform


@pytest.mark.parametrize("name", ["squeezenet1_1", "vit_b_16", "efficientnet_b1", "swin_v2_t"])
def test_pixels_are_torchvisions_own_bit_for_bit(photos, name):
    for weights in torchvision.models.get_model_weights(name):
        transform = torchvision_source.transform(f"torchvision/{name}.{weights.name}", None)
        check_bits(transform, weights.transforms(), photos)
        assert pipelines.read(weights.transforms()) == transform


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_what_resizes_tensors_is_taken_as_it_is_written(photos, interpolation):
    how = v2.InterpolationMode(interpolation)
    tail = [
        v2.Resize(72, interpolation=how),
        v2.CenterCrop(64),
        v2.Normalize([0.5] * 3, [0.25] * 3),
    ]
    tensors = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), *tail])
    transform = pipelines.read(tensors)
    decoded = [one for *_, one in photos]
    found = transform.normalise(transform.view_images(decoded, CPU))
    # Not bit for bit: PyTorch's kernels differ with the order of channels in memory. A pass sums
    # as many terms as a resize covers pixels of the largest photo, twice; weights sum to 1.5 at most.
    bound = float32_products(2 * 4 * 4000 // 72, 1.5**2) / 0.25
    for (_, image, _), one in zip(photos, found, strict=True):
        assert (one - tensors(image)).abs().max() <= bound
    rounded = replace(transform, resized="uint8")
    assert (rounded.normalise(rounded.view_images(decoded, CPU)) - found).abs().max() > bound
    images = pipelines.read(v2.Compose([*tail[:2], v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]))  # fmt: skip
    assert (transform.resized, images.resized) == ("float32", "uint8")
    assert (images.mean, images.std) == ((0.0,) * 3, (1.0,) * 3)


class OwnStep:
    """A step of somebody's own."""


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([v2.Resize(72), v2.CenterCrop(64)], "ends without a float tensor"),
        ([v2.Resize(72), OwnStep()], "step OwnStep is own code"),
        ([v2.Resize(72), v2.ToImage(), v2.ToDtype(torch.float32)], "does not make"),
        ([v2.ToDtype(torch.float32, scale=True)], "step ToDtype does not make"),
        ([v2.ToImage(), v2.Resize(72)], "resize of a uint8 tensor"),
        ([v2.CenterCrop(64), v2.Resize(64)], "after a crop"),
        ([v2.Resize(72), v2.RandomHorizontalFlip()], "step RandomHorizontalFlip has no counterpart"),
        ([v2.Resize(72), v2.Normalize([0.5] * 3, [0.5] * 3)], "before a conversion"),
        ([v2.Resize(72), transforms.ToTensor()], "has no crop"),
        ([v2.CenterCrop(64), transforms.ToTensor()], "has no resize"),
        ([v2.Resize(48), v2.CenterCrop(64), transforms.ToTensor()], "larger than"),
        ([v2.Resize(72), v2.CenterCrop((64, 48)), transforms.ToTensor()], "no square"),
        ([v2.Resize((72, 64)), v2.CenterCrop(64), transforms.ToTensor()], "no square"),
        ([v2.Resize(72, max_size=90), v2.CenterCrop(64)], "max_size"),
        ([v2.Resize(72), v2.CenterCrop(70), v2.CenterCrop(64)], "a crop comes after another"),
        ([transforms.RandomApply([v2.Resize(72)])], "step RandomApply has no counterpart"),
        ([transforms.ToTensor(), transforms.Resize(72, transforms.InterpolationMode.NEAREST),
          v2.CenterCrop(64)], "resizes a tensor by 'nearest'"),
        ([v2.Resize(72), v2.CenterCrop(64), transforms.ToTensor(),
          transforms.Normalize([0.5], [0.5])], "three channels"),
        ([ResizeKeepRatio(64, longest=1), v2.CenterCrop(64), transforms.ToTensor()], "go together"),
    ],
)  # fmt: skip
def test_a_pipeline_that_no_transform_stands_for_says_which_step(steps, said):
    with pytest.raises(pipelines.NotReadable, match=said):
        pipelines.read(transforms.Compose(steps))


@pytest.mark.parametrize("interpolation", WITH_GRADIENT)
@pytest.mark.parametrize("fill", [None, (0.4, 0.2, 0.0)])
def test_the_differentiable_view_is_the_same_but_for_rounding_to_levels(
    photos, interpolation, fill
):
    transform = replace(PLAIN, interpolation=interpolation, fill=fill, resize_px=64 if fill else 72)
    for *_, decoded in photos:
        # No resize leaves [0, 1] from here: Pillow clips after each pass, the tensor only at the end.
        image = np.uint8(64 + decoded / 2)
        pixels = torch.tensor(image).permute(2, 0, 1)[None] / 255
        difference = (transform.view(pixels) - transform.view_images([image], CPU)).abs().max()
        # Pillow rounds to a level after each of its two passes: half a level, times at most 1.5
        # (the weights' absolute sum of a bicubic of a = -0.5, at any scale), and another half.
        assert 255 * difference <= 0.5 * 1.5 + 0.5 + 1e-3


@pytest.mark.parametrize("interpolation", ["nearest", "box", "hamming", "lanczos"])
def test_an_interpolation_without_a_gradient_is_refused_where_one_is_needed(interpolation):
    transform = replace(PLAIN, interpolation=interpolation)
    with pytest.raises(Refusal, match=r"no gradient through it; set canvas = \"own\""):
        transform.view(torch.rand(1, 3, 90, 90))
    with pytest.raises(ValueError, match="a tensor is resized by one of bilinear"):
        replace(transform, resized="float32")
    with pytest.raises(
        ValueError, match="unknown interpolation 'sinc'; choose one of nearest, box"
    ):
        replace(PLAIN, interpolation="sinc")


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
               "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "resized": "float32"}  # fmt: skip
    keys = [str(replace(PLAIN, **{name: value}).key) for name, value in changes.items()]
    assert len({str(PLAIN.key), *keys}) == len(changes) + 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"input_px": 256, "resize_px": 224}, "resize_px = 224 is smaller than input_px = 256.*swapped"),
        ({"input_px": 0}, "input_px = 0: expected a whole number of pixels"),
        ({"resize_px": -1}, "resize_px = -1: expected a whole number"),
        ({"input_px": 64.0}, "input_px = 64.0: expected a whole number"),
        ({"resize_px": 10**9}, "resize_px = 1000000000: expected a whole number of pixels, 1 to 16384"),
        ({"std": (0.2, 0.0, 0.2)}, r"std = .*: expected three numbers above 0"),
        ({"std": (0.2, -0.1, 0.2)}, r"std = .*: expected three numbers above 0"),
        ({"mean": (123.675, 116.28, 103.53)}, "are of 0 to 255, and pixels of 0 to 1; divide both by 255"),
        ({"std": (58.395, 57.12, 57.375)}, "divide both by 255"),
        ({"mean": (float("nan"), 0.0, 0.0)}, "mean = .*: expected three numbers"),
        ({"std": (float("inf"), 1.0, 1.0)}, "std = .*: expected three numbers"),
        ({"mean": (0.5,)}, "mean = .*: expected three numbers, red, green and blue"),
        ({"fill": (124.0, 116.0, 104.0)}, "fill = .*: expected a colour of 0 to 1"),
    ],
)  # fmt: skip
def test_sizes_and_colours_that_cannot_be_are_refused_in_words(changes, said):
    with pytest.raises(ValueError, match=said) as error:
        replace(PLAIN, **changes)
    assert "\n" not in str(error.value)


def test_a_pipeline_with_colours_of_0_to_255_is_not_readable():
    steps = [transforms.Resize(72), transforms.CenterCrop(64), transforms.ToTensor(),
             transforms.Normalize((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))]  # fmt: skip
    with pytest.raises(pipelines.NotReadable, match="divide both by 255"):
        pipelines.read(transforms.Compose(steps))
