"""Integrated gradients: the gradient along the way from a uniform image to the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.saliency.method import Logits, as_float32, checked


@dataclass(frozen=True)
class IntegratedGradients:
    """The gradient integrated from a uniform `baseline` to the image, times their difference.

    Sundararajan et al. 2017, by Gauss-Legendre quadrature with `n_steps` points. The attributions
    of an image sum to the logit minus the baseline's logit, as far as the quadrature is exact.
    Pixels equal to the baseline get none.

    Raises:
        ValueError: no step, or a baseline outside [0, 1].
    """

    name: ClassVar[str] = "integrated_gradients"
    published_reduction: ClassVar[str] = "abs_max"

    n_steps: int = 50
    baseline: float = 0.0

    def __post_init__(self) -> None:
        if self.n_steps < 1 or not 0 <= self.baseline <= 1:
            raise ValueError(f"{self}: needs n_steps of 1 or more and a baseline from 0 to 1")

    @property
    def n_passes(self) -> int:
        return self.n_steps

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        # Only here, as in method.py.
        from captum import attr

        # One step of every image at a time: no larger batch than that of the images.
        found = attr.IntegratedGradients(checked(logits, labels)).attribute(
            images.detach().clone(),
            baselines=torch.full_like(images, self.baseline),
            target=labels,
            n_steps=self.n_steps,
            internal_batch_size=len(images),
        )
        return as_float32(found)
