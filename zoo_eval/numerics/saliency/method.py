"""What every saliency method is: a frozen value that attributes each image's true logit to its pixels.

What it gives for an image does not depend on the rest of the batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Logits = Callable[[Tensor], Tensor]


class NotAttributable(ValueError):
    """Logits without a gradient to the images, or without the class that is asked for."""


class Method(Protocol):
    """A way to attribute a logit to pixels."""

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        """Signed attributions float32 (image, channel, row, column), on the images' device.

        Args:
            logits: images -> (image, class), differentiable.
            images: float32 (image, channel, row, column) in [0, 1].
            labels: correct classes (image,).
            seeds: one per image, for methods that draw; the same seed gives the same result in
                any batch, but for rounding.

        Raises:
            NotAttributable: the logits have no gradient to the images, or no such class.
        """

    @property
    def n_passes(self) -> int:
        """Forward passes per image, each with a backward pass."""


class MethodClass(Protocol):
    """A class of methods that has a name: its fields, all with defaults, are the method's options.

    `published_reduction` is the channel reduction (`numerics.alignment.REDUCTIONS`) by which its
    maps were published.
    """

    @property
    def name(self) -> str: ...

    @property
    def published_reduction(self) -> str: ...

    def __call__(self, **options: Any) -> Method: ...


def gradient(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of each label's logit, float32 (image, channel, row, column)."""
    # Only here: captum takes most of a second to import, in every process that knows its methods.
    from captum import attr

    pixels = images.detach().clone().requires_grad_()
    return as_float32(attr.Saliency(logits).attribute(pixels, target=labels, abs=False))


def as_float32(attributions: Tensor) -> Tensor:
    return attributions.detach().float()


def checked(logits: Logits, labels: Tensor) -> Logits:
    """The logits, refused where captum would fail without saying why.

    An image with one that is not finite has a gradient of NaN.
    """

    def found_of(images: Tensor) -> Tensor:
        found = logits(images)
        n_classes = found.shape[1]
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
            raise NotAttributable(
                f"labels from {int(labels.min())} to {int(labels.max())}, but the model has "
                f"{n_classes} classes; give labels of its head"
            )
        if torch.is_grad_enabled() and not found.requires_grad:
            raise NotAttributable(
                "the logits have no gradient with respect to the image; use a model that is "
                "differentiable from pixels to logits"
            )
        # What is constant beside a NaN has a gradient of zero, which would pass for one.
        broken = torch.where(found.isfinite().all(1), 0.0, torch.nan)
        marked: Tensor = found + (images.flatten(1).sum(1) * broken)[:, None]
        return marked

    return found_of
