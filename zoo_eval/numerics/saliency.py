"""Saliency: which pixels move the true class's logit, by gradients (through captum), image by image.

A method is a frozen value; what it returns for an image does not depend on the rest of the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import torch
from captum import attr
from torch import Tensor

from zoo_eval.errors import BadInput, Refusal

Logits = Callable[[Tensor], Tensor]


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
            Refusal: the logits have no gradient with respect to the images, or no such class.
        """

    @property
    def n_passes(self) -> int:
        """Forward passes per image, each with a backward pass."""


@dataclass(frozen=True)
class InputGradient:
    """The gradient of the true class's logit (Simonyan et al. 2014; Fel et al. 2022)."""

    @property
    def n_passes(self) -> int:
        return 1

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        return _gradient(_checked(logits, labels), images, labels)


@dataclass(frozen=True)
class SmoothGrad:
    """The mean gradient at `n_samples` noisy copies of the image (Smilkov et al. 2017).

    `noise` is the standard deviation in [0, 1] pixels; noisy pixels may leave [0, 1].

    Raises:
        BadInput: no sample, or noise below 0.
    """

    n_samples: int = 50
    noise: float = 0.15

    def __post_init__(self) -> None:
        if self.n_samples < 1 or not self.noise >= 0:
            raise BadInput(f"{self}: needs n_samples of 1 or more and noise of 0 or more")

    @property
    def n_passes(self) -> int:
        return self.n_samples

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        # captum's NoiseTunnel draws for the batch as a whole, so that an image's noise would depend
        # on what else is in it; here every image has a generator of its own, on the CPU.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        checked = _checked(logits, labels)
        total = torch.zeros_like(images)
        for _ in range(self.n_samples):
            drawn = [
                torch.randn(image.shape, generator=generator)
                for image, generator in zip(images, generators, strict=True)
            ]
            noisy = images + self.noise * torch.stack(drawn).to(images)
            total += _gradient(checked, noisy, labels)
        return total / self.n_samples


@dataclass(frozen=True)
class IntegratedGradients:
    """The gradient integrated from a uniform `baseline` to the image, times their difference.

    Sundararajan et al. 2017, by Gauss-Legendre quadrature with `n_steps` points. The attributions
    of an image sum to the logit minus the baseline's logit, as far as the quadrature is exact.
    Pixels equal to the baseline get none.

    Raises:
        BadInput: no step, or a baseline outside [0, 1].
    """

    n_steps: int = 50
    baseline: float = 0.0

    def __post_init__(self) -> None:
        if self.n_steps < 1 or not 0 <= self.baseline <= 1:
            raise BadInput(f"{self}: needs n_steps of 1 or more and a baseline from 0 to 1")

    @property
    def n_passes(self) -> int:
        return self.n_steps

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        # One step of every image at a time: no larger batch than that of the images.
        found = attr.IntegratedGradients(_checked(logits, labels)).attribute(
            images.detach().clone(),
            baselines=torch.full_like(images, self.baseline),
            target=labels,
            n_steps=self.n_steps,
            internal_batch_size=len(images),
        )
        return _float32(found)


METHODS: Mapping[str, type[Method]] = MappingProxyType(
    {
        "input_gradient": InputGradient,
        "smooth_grad": SmoothGrad,
        "integrated_gradients": IntegratedGradients,
    }
)


def _gradient(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
    pixels = images.detach().clone().requires_grad_()
    return _float32(attr.Saliency(logits).attribute(pixels, target=labels, abs=False))


def _float32(attributions: Tensor) -> Tensor:
    return attributions.detach().float()


def _checked(logits: Logits, labels: Tensor) -> Logits:
    """The logits, refused where captum would fail without saying why."""

    def checked(images: Tensor) -> Tensor:
        found = logits(images)
        n_classes = found.shape[1]
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
            raise Refusal(
                f"labels from {int(labels.min())} to {int(labels.max())}, but the model has "
                f"{n_classes} classes; give labels of its head"
            )
        if torch.is_grad_enabled() and not found.requires_grad:
            raise Refusal(
                "the logits have no gradient with respect to the image; use a model that is "
                "differentiable from pixels to logits"
            )
        return found

    return checked
