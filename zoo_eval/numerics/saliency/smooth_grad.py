"""SmoothGrad: the gradient, averaged over noisy copies of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.saliency.method import Logits, checked, gradient


@dataclass(frozen=True)
class SmoothGrad:
    """The mean gradient at `n_samples` noisy copies of the image (Smilkov et al. 2017).

    `noise` is the standard deviation in [0, 1] pixels; noisy pixels may leave [0, 1].

    Raises:
        ValueError: no sample, or noise below 0.
    """

    name: ClassVar[str] = "smooth_grad"
    published_reduction: ClassVar[str] = "abs_max"

    n_samples: int = 50
    noise: float = 0.15

    def __post_init__(self) -> None:
        if self.n_samples < 1 or not self.noise >= 0:
            raise ValueError(f"{self}: needs n_samples of 1 or more and noise of 0 or more")

    @property
    def n_passes(self) -> int:
        return self.n_samples

    def attribute(
        self, logits: Logits, images: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Tensor:
        # captum's NoiseTunnel draws for the batch as a whole, so that an image's noise would depend
        # on what else is in it; here every image has a generator of its own, on the CPU.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        safe = checked(logits, labels)
        total = torch.zeros_like(images)
        for _ in range(self.n_samples):
            drawn = [
                torch.randn(image.shape, generator=generator)
                for image, generator in zip(images, generators, strict=True)
            ]
            noisy = images + self.noise * torch.stack(drawn).to(images)
            total += gradient(safe, noisy, labels)
        return total / self.n_samples
