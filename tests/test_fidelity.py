"""Photos and pixels through an open model give the logits of the source's own transform and network."""

from copy import deepcopy

import open_clip as open_clip_library
import pytest
import timm as timm_library
import torch
import torchvision
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import nn
from torchvision.transforms import CenterCrop, InterpolationMode, Normalize, Resize

from tests.photos import saved
from tests.planted_nets import noise
from tests.rounding import float32_network, float32_products
from zoo_eval.catalog import ModelCard
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.folder import Files

CPU = torch.device("cpu")
TIMM = ("test_efficientnet.r160_in1k", "test_vit.r160_in1k", "test_vit3.r160_in1k",
        "test_convnext.r160_in1k", "test_nfnet.r160_in1k", "test_byobnet.r160_in1k")  # fmt: skip
TORCHVISION = ("squeezenet1_1", "alexnet", "shufflenet_v2_x0_5")
OPEN_CLIP = ("ViT-S-32-alt", "MobileCLIP2-S0")
ALL = (*(f"timm/{n}" for n in TIMM), *(f"torchvision/{n}" for n in TORCHVISION),
       *(f"open_clip/{n}" for n in OPEN_CLIP))  # fmt: skip


def waves(*size, n=3):
    """Smooth images (image, RGB, row, column) that no resize takes out of [0, 1], each different."""
    row, column = torch.meshgrid(*(torch.arange(side) / 40 for side in size), indexing="ij")
    phases = torch.linspace(0, 5, 3 * n).view(n, 3, 1, 1)
    return 0.5 + 0.3 * torch.sin(row + phases) * torch.cos(1.3 * column - 2 * phases)


def on_tensors(own):
    """The steps of a source's transform that are left when an image is a tensor already."""
    if not hasattr(own, "transforms"):
        return own
    left = [step for step in own.transforms if isinstance(step, Resize | CenterCrop | Normalize)]
    assert len(left) == 3
    assert left[0].antialias
    return torchvision.transforms.Compose(left)


def own_timm(name, head):
    net = timm_library.create_model(name)
    net.load_state_dict(head.state_dict())
    config = resolve_data_config({}, model=net)
    return net.eval(), create_transform(**config, is_training=False)


def own_torchvision(name, head):
    net = torchvision.models.get_model(name)
    net.load_state_dict(head.state_dict())
    return net.eval(), torchvision.models.get_model_weights(name).DEFAULT.transforms()


def own_open_clip(name, head):
    clip = open_clip_library.create_model(name, pretrained=None).eval()
    clip.visual.load_state_dict(head.visual.state_dict())
    preprocess = image_transform_v2(PreprocessCfg(**clip.visual.preprocess_cfg), is_train=False)

    def logits(images):
        seen = clip.encode_image(images, normalize=True)
        return clip.logit_scale.exp() * seen @ head.embeddings.T

    return logits, preprocess


OWN = {"timm": own_timm, "torchvision": own_torchvision, "open_clip": own_open_clip}


@torch.no_grad()
def randomise(net, view):
    """Weights that carry a signal from layer to layer, where initial ones are small or zero.

    Batch normalisation gets the statistics of some images.
    """
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            # He et al. 2015: rectifiers halve the variance.
            parameter.copy_(drawn * (2 * len(parameter) / parameter.numel()) ** 0.5)
        else:
            parameter.add_(0.1 * drawn)
    normalising = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for module in normalising:
        module.train().momentum = 1.0
    net(view)
    net.eval()


@pytest.fixture(scope="module", params=ALL)
def model(request):
    """An open model whose logits hang on the image, as an untrained network's hardly do."""
    card = ModelCard("local/m", "local", request.param, weights="untrained")
    opened = open_model(card, CPU)
    px = opened.transform.input_px
    randomise(opened.net, opened.transform.normalise(waves(px, px)))
    return opened


@pytest.fixture(scope="module")
def own(model):
    """The source's own network with the same weights, and its own transform."""
    source, _, name = model.card.architecture.partition("/")
    return OWN[source](name, model.net)


def rounding(model, logits):
    """Of float32, in the network and in the two passes of a resize."""
    size = float(logits.abs().max())
    return float32_network(model.net, size) + float32_products(2 * 16, size)


def spread(logits):
    return (logits - logits.mean(0)).abs().max()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Real photos from every kind of file."""
    return saved(tmp_path_factory.mktemp("photos"))


@torch.no_grad()
def test_logits_of_photos_are_those_of_the_sources_own_pipeline(model, own, photos):
    net, transform = own
    images = []
    for path in photos:
        with Image.open(path) as image:
            images.append(transform(image.convert("RGB")))
    expected = net(torch.stack(images))
    scale = float(expected.abs().max())
    decoded = list(Files(tuple(photos)))
    assert (model.predict(decoded) - expected).abs().max() <= 1e-5 * scale
    # What is rounded to 8 bits elsewhere, or not at all, is seen here.
    floats = [torch.from_numpy(one).permute(2, 0, 1)[None] / 255 for one in decoded]
    assert (torch.cat([model(one) for one in floats]) - expected).abs().max() > 1e-4 * scale


@pytest.mark.parametrize("size", [(300, 410), (277, 201)])
@torch.no_grad()
def test_logits_of_tensors_are_those_of_the_sources_own_steps_and_network(model, own, size):
    net, transform = own[0], on_tensors(own[1])
    pixels = waves(*size)
    expected = net(torch.stack([transform(image) for image in pixels]))
    scale = spread(expected)
    assert scale > 1e-2 * expected.abs().max()
    bound = rounding(model, expected)
    assert (model(pixels) - expected).abs().max() <= bound
    # A hundredth of the range off: this test would see a wrong normalisation.
    assert (model(pixels + 0.01) - expected).abs().max() > bound


@torch.no_grad()
def test_a_second_call_is_bit_equal_and_other_images_of_the_batch_do_not_matter(model):
    pixels = waves(240, 260)
    together = model(pixels)
    assert torch.equal(model(pixels), together)
    alone = torch.cat([model(image[None]) for image in pixels])
    assert (alone - together).abs().max() <= rounding(model, together)


def test_the_gradient_reaches_the_pixels_and_is_that_of_a_finite_difference(model):
    # In float64, whose rounding allows steps so small that few rectifiers switch.
    exact = OpenModel(model.card, model.blueprint, deepcopy(model.net).double(), CPU)
    pixels = waves(240, 260, n=1).double().requires_grad_()
    logits = exact(pixels)
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(logits.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((logits * direction).sum(), pixels)
    assert 0 < gradient.norm() < torch.inf
    step = 1e-6 * gradient / gradient.norm()
    with torch.no_grad():
        ahead, behind = ((exact(pixels + s * step) * direction).sum() for s in (1, -1))
    # Rounding is a millionth of that; a thousandth is left to the rectifiers that switch all the same.
    torch.testing.assert_close((ahead - behind) / 2e-6, gradient.norm(), rtol=1e-3, atol=0)


def outputs(net, layers, view, keep):
    """What plain hooks keep of some layers' outputs, looked at after the whole network ran."""
    seen = {}
    handles = [
        net.get_submodule(layer).register_forward_hook(
            lambda _module, _inputs, output, layer=layer: seen.update({layer: keep(output)})
        )
        for layer in layers
    ]
    with torch.no_grad():
        net(view)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize(
    "architecture",
    ["torchvision/squeezenet1_1", "torchvision/alexnet", "timm/test_efficientnet", "timm/test_resnet"],
)  # fmt: skip
def test_activations_in_place_do_not_corrupt_what_is_captured(architecture):
    card = ModelCard("local/m", "local", architecture, weights="untrained")
    model = open_model(card, CPU)
    stimuli = noise(2, px=model.transform.input_px)
    view = model.transform.normalise(model.view(stimuli.images))
    apart = deepcopy(model.net)
    in_place = [m for m in apart.modules() if getattr(m, "inplace", False)]
    assert in_place
    for module in in_place:
        module.inplace = False
    layers = [
        name for name, m in apart.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)
    ]
    expected = outputs(apart, layers, view, keep=deepcopy)
    (found,) = Representations(model, 2**30).features(stimuli, layers)
    for layer in layers:
        assert torch.equal(found[layer], expected[layer].flatten(1)), layer
    overwritten = outputs(model.net, layers, view, keep=lambda output: output)
    assert any(not torch.equal(overwritten[layer], expected[layer]) for layer in layers)


def test_torchvisions_own_steps_resize_with_antialiasing():
    # What the tensors of this file rest on: its presets smooth tensors as they do images.
    preset = torchvision.models.get_model_weights("alexnet").DEFAULT.transforms()
    assert preset.antialias
    assert preset.interpolation == InterpolationMode.BILINEAR
