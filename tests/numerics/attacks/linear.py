"""Linear classifiers, whose smallest perturbations are known exactly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.tighten import Minimal, tighten

# float32 logits place the boundary no better than this, in [0, 1] pixels.
ROUNDING = 2e-6


@dataclass(frozen=True)
class Linear:
    """logits = scale * (W x + b), W (class, value), b (class,)."""

    weights: Tensor
    bias: Tensor
    scale: float = 1.0

    def __call__(self, images: Tensor) -> Tensor:
        return self.scale * (images.flatten(1) @ self.weights.T + self.bias)

    def labels(self, images: Tensor) -> Tensor:
        return self(images).argmax(1)

    def minimum(self, images: Tensor) -> Tensor:
        """The exact smallest l2 perturbation without a box, float64 (image,).

        The nearest of the other classes' boundaries: (z_l - z_k) / ||w_l - w_k||.
        """
        logits = images.flatten(1).double() @ self.weights.double().T + self.bias.double()
        labels = self.labels(images)
        margin = logits.gather(1, labels[:, None]) - logits
        weights = self.weights.double()
        distance = margin / (weights[labels][:, None] - weights).norm(dim=2)
        own = torch.arange(len(self.bias)) == labels[:, None]
        return distance.masked_fill(own, torch.inf).amin(1)

    def minimum_in_box(self, images: Tensor) -> Tensor:
        """The exact smallest l2 perturbation of two classes inside [0, 1], by its dual.

        The minimiser is clip(x - l w, 0, 1) - x; l is found by bisection, float64 (image,).
        """
        labels = self.labels(images)
        normal = (self.weights[labels] - self.weights[1 - labels]).double()
        offset = (self.bias[labels] - self.bias[1 - labels]).double()
        x = images.flatten(1).double()

        def moved(multiplier: Tensor) -> Tensor:
            return (x - multiplier[:, None] * normal).clamp(0, 1)

        low = torch.zeros(len(x), dtype=torch.float64)
        high = torch.full_like(low, 1e3)
        for _ in range(80):
            middle = (low + high) / 2
            correct = (moved(middle) * normal).sum(1) + offset > 0
            low, high = torch.where(correct, middle, low), torch.where(correct, high, middle)
        return (moved(high) - x).norm(dim=1)


def classifier(n_classes: int, images: Tensor, *, scale: float = 1.0, seed: int = 0) -> Linear:
    """A random linear classifier whose classes are balanced over the images.

    Two classes are w.x + b and its negative, halved: logits scale * (w.x + b) apart.
    """
    generator = torch.Generator().manual_seed(seed)
    n_values = images[0].numel()
    if n_classes == 2:
        half = torch.randn(n_values, generator=generator) / 2
        weights = torch.stack([half, -half])
    else:
        weights = torch.randn(n_classes, n_values, generator=generator)
    return Linear(weights, -(weights @ images.flatten(1).mean(0)), scale)


def interior(n_images: int, *, seed: int = 0) -> Tensor:
    """Images (image, 3, 8, 8) so far inside [0, 1] that the box does not matter."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return 0.35 + 0.3 * torch.rand(n_images, 3, 8, 8, generator=generator)


def saturated(n_images: int, *, seed: int = 0) -> Tensor:
    """Images (image, 3, 8, 8) with about 40 % of their values at 0 or 1."""
    generator = torch.Generator().manual_seed(2000 + seed)
    return (torch.rand(n_images, 3, 8, 8, generator=generator) * 1.6 - 0.3).clamp(0, 1)


def attacked(attack, model: Linear, images: Tensor) -> Minimal:
    """What a trial stores of the attack: run, then tightened, one by one where it says so."""
    labels = model.labels(images)
    size = len(images) if attack.batched else 1
    parts = [
        tighten(model, some, attack.perturb(model, some, classes), classes)
        for some, classes in zip(images.split(size), labels.split(size), strict=True)
    ]
    return Minimal(
        *(torch.cat([getattr(p, name) for p in parts])
          for name in ("perturbation", "found", "prediction"))
    )  # fmt: skip


def distances(minimal: Minimal) -> Tensor:
    """l2 of the stored perturbations, float64 (image,)."""
    return minimal.perturbation.double().flatten(1).norm(dim=1)
