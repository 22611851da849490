"""Keras layers: variables of Keras' own architectures under the names of the same networks in PyTorch."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase

from torch import Tensor, nn

State = dict[str, Tensor]
# A layer's variables in the order in which Keras numbers them, and what PyTorch calls each.
PRODUCT = (("kernel", "weight"), ("bias", "bias"))
NORM = (
    ("gamma", "weight"), ("beta", "bias"), ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
)  # fmt: skip
VARIABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "conv2d": PRODUCT, "dense": PRODUCT, "depthwise_conv2d": PRODUCT, "batch_normalization": NORM,
}  # fmt: skip
# As Keras 2 called the kernel of a depthwise layer.
OLDER = "depthwise_"
# The parts of blocks in Keras' order, by what Keras calls them: their class, and their module here.
Parts = Mapping[str, tuple[str, str]]
# Of the last two, which are equally far from the end, Keras meets the shortcut first.
RESIDUAL: Parts = {
    "preact_bn": ("batch_normalization", "preact"),
    "1_conv": ("conv2d", "conv1"),
    "1_bn": ("batch_normalization", "bn1"),
    "2_conv": ("conv2d", "conv2"),
    "2_bn": ("batch_normalization", "bn2"),
    "0_conv": ("conv2d", "shortcut"),
    "3_conv": ("conv2d", "conv3"),
}
EXCITATION: Parts = {
    "se_reduce": ("conv2d", "se.conv_reduce"),
    "se_expand": ("conv2d", "se.conv_expand"),
}
SEPARABLE: Parts = {
    "dwconv": ("depthwise_conv2d", "conv_dw"),
    "bn": ("batch_normalization", "bn1"),
    **EXCITATION,
    "project_conv": ("conv2d", "conv_pw"),
    "project_bn": ("batch_normalization", "bn2"),
}
INVERTED: Parts = {
    "expand_conv": ("conv2d", "conv_pw"),
    "expand_bn": ("batch_normalization", "bn1"),
    "dwconv": ("depthwise_conv2d", "conv_dw"),
    "bn": ("batch_normalization", "bn2"),
    **EXCITATION,
    "project_conv": ("conv2d", "conv_pwl"),
    "project_bn": ("batch_normalization", "bn3"),
}


@dataclass(frozen=True)
class Layer:
    """A layer with weights: its name in Keras, the class that Keras has of it, and its module here."""

    name: str
    kind: str
    module: str


def mapped(state: State, layers: Iterator[Layer], net: nn.Module) -> State:
    """Variables LAYER/VARIABLE as the tensors of a network; what is of no layer keeps its name.

    Args:
        state: as `keras_files.read` has it.
        layers: those with weights, in Keras' order of them.
        net: the network, on any device.
    """
    left, found, numbers = dict(state), {}, Counter[str]()
    wanted = net.state_dict()
    for layer in layers:
        number = numbers[layer.kind]
        numbers[layer.kind] += 1
        numbered = f"{layer.kind}_{number}" if number else layer.kind
        for place, (variable, ours) in enumerate(VARIABLES[layer.kind]):
            name, by_name = f"{layer.module}.{ours}", f"{layer.name}/{variable}"
            older = f"{layer.name}/{OLDER}{variable}"
            for theirs in (by_name, older, f"{numbered}/{place}"):
                if theirs in left and name in wanted:
                    found[name] = _turned(left.pop(theirs), layer.kind, wanted[name])
                    break
    return {**left, **found}


def _turned(tensor: Tensor, kind: str, wanted: Tensor) -> Tensor:
    """Axes in PyTorch's order; one that does not fit is left to be refused by its shape."""
    if tensor.ndim == 4:
        # Row, column, in, out; of a depthwise kernel in and multiplier.
        return tensor.permute((2, 3, 0, 1) if kind == "depthwise_conv2d" else (3, 2, 0, 1))
    if tensor.ndim != 2:
        return tensor
    if wanted.ndim == 4 and tensor.numel() == wanted.numel():
        # A convolution over all there is in place of a dense layer: its inputs are row, column, channel.
        rows, columns = wanted.shape[2:]
        return tensor.reshape(rows, columns, -1, len(wanted)).permute(3, 2, 0, 1)
    return tensor.T


def vgg16(state: State, net: nn.Module) -> State:
    """Keras' VGG16 -> timm's vgg16, whose dense layers are convolutions."""
    return mapped(state, _vgg16(net), net)


def _vgg16(net: nn.Module) -> Iterator[Layer]:
    block, number = 1, 0
    for place, module in net.get_submodule("features").named_children():
        if isinstance(module, nn.MaxPool2d):
            block, number = block + 1, 0
        if isinstance(module, nn.Conv2d):
            number += 1
            yield Layer(f"block{block}_conv{number}", "conv2d", f"features.{place}")
    yield Layer("fc1", "dense", "pre_logits.fc1")
    yield Layer("fc2", "dense", "pre_logits.fc2")
    yield Layer("predictions", "dense", "head.fc")


def resnet_v2(state: State, net: nn.Module) -> State:
    """Keras' ResNet50V2, 101V2 and 152V2 -> `zoo_eval.networks.resnet_v2`."""
    return mapped(state, _resnet_v2(net), net)


def _resnet_v2(net: nn.Module) -> Iterator[Layer]:
    yield Layer("conv1_conv", "conv2d", "stem")
    for stage, blocks in net.get_submodule("stages").named_children():
        for number, block in blocks.named_children():
            has = dict(block.named_children())
            for part, (kind, module) in RESIDUAL.items():
                if module in has:
                    name = f"conv{int(stage) + 2}_block{int(number) + 1}_{part}"
                    yield Layer(name, kind, f"stages.{stage}.{number}.{module}")
    yield Layer("post_bn", "batch_normalization", "norm")
    yield Layer("predictions", "dense", "classifier")


def efficientnet(state: State, net: nn.Module) -> State:
    """Keras' EfficientNetB0 to B7 -> timm's tf_efficientnet_b0 to b7."""
    return mapped(state, _efficientnet(net), net)


def _efficientnet(net: nn.Module) -> Iterator[Layer]:
    yield Layer("stem_conv", "conv2d", "conv_stem")
    yield Layer("stem_bn", "batch_normalization", "bn1")
    for stage, blocks in net.get_submodule("blocks").named_children():
        for number, block in blocks.named_children():
            name = f"block{int(stage) + 1}{ascii_lowercase[int(number)]}_"
            parts = INVERTED if hasattr(block, "conv_pwl") else SEPARABLE
            for part, (kind, module) in parts.items():
                yield Layer(name + part, kind, f"blocks.{stage}.{number}.{module}")
    yield Layer("top_conv", "conv2d", "conv_head")
    yield Layer("top_bn", "batch_normalization", "bn2")
    yield Layer("predictions", "dense", "classifier")
