"""ResNet V2 as Keras has it: strides at the end of stages, zero padding; no library of PyTorch has that.

He, Zhang, Ren and Sun 2016 (arXiv 1603.05027) before activations, with the shortcuts of
keras.applications.ResNet50V2: where a stage ends with a stride, its last block's shortcut takes every
second pixel.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

N_CLASSES = 1000
WIDTHS = (64, 128, 256, 512)
# A stage's last block has it; the last stage has none.
STRIDE = 2
Norm = partial(nn.BatchNorm2d, eps=1.001e-5)


class Block(nn.Module):
    """A bottleneck, activated before it is convolved: (image, `inputs`, y, x) -> (image, 4 x `width`, ...)."""

    def __init__(self, inputs: int, width: int, stride: int, *, is_first: bool) -> None:
        super().__init__()
        self.preact = Norm(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = Norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = Norm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1)
        if is_first:
            self.shortcut = nn.Conv2d(inputs, 4 * width, 1)
        self.is_first, self.stride = is_first, stride

    def forward(self, features: Tensor) -> Tensor:
        activated = torch.relu(self.preact(features))
        past = (
            self.shortcut(activated)
            if self.is_first
            else features[:, :, :: self.stride, :: self.stride]
        )
        inner = torch.relu(self.bn1(self.conv1(activated)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        out: Tensor = past + self.conv3(inner)
        return out


class ResNetV2(nn.Module):
    """Normalised pixels (image, RGB, row, column) in, logits (image, class) out; no softmax."""

    def __init__(self, n_blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 7, 2, 3)
        self.stages = nn.Sequential()
        inputs = WIDTHS[0]
        for number, (width, n) in enumerate(zip(WIDTHS, n_blocks, strict=True)):
            stage = nn.Sequential()
            for block in range(n):
                ends = block == n - 1 and number < len(WIDTHS) - 1
                stage.append(Block(inputs, width, STRIDE if ends else 1, is_first=not block))
                inputs = 4 * width
            self.stages.append(stage)
        self.norm = Norm(inputs)
        self.classifier = nn.Linear(inputs, N_CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        # The border is zeros, as Keras has it; PyTorch's pooling would leave it out.
        features = functional.max_pool2d(functional.pad(self.stem(pixels), (1, 1, 1, 1)), 3, 2)
        features = torch.relu(self.norm(self.stages(features)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


def resnet50v2() -> ResNetV2:
    """ResNet50V2, untrained."""
    return ResNetV2((3, 4, 6, 3))


def resnet101v2() -> ResNetV2:
    """ResNet101V2, untrained."""
    return ResNetV2((3, 4, 23, 3))


def resnet152v2() -> ResNetV2:
    """ResNet152V2, untrained."""
    return ResNetV2((3, 8, 36, 3))
