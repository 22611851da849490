"""Objective: what a network is trained to make small, of one part of a step."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_eval.harmonizer.double_backward import AS_IT_IS, DoubleBackward
from zoo_eval.harmonizer.samples import Batch
from zoo_eval.numerics.harmonization import PUBLISHED, Mismatch, mismatch, true_logit_gradient
from zoo_eval.numerics.precision import FLOAT32, Numerics
from zoo_eval.transforms import Transform

LOSSES = ("loss", "cross_entropy", "harmonization")


@dataclass(frozen=True)
class Objective:
    """Cross-entropy, and `weight` (lambda) times the mismatch of saliency and human maps.

    With a weight of 0 no gradient to the pixels is taken at all.
    """

    transform: Transform
    weight: float
    mismatch: Mismatch = PUBLISHED
    label_smoothing: float = 0.1
    numerics: Numerics = FLOAT32
    how: DoubleBackward = AS_IT_IS

    def of(self, net: nn.Module, batch: Batch, device: torch.device, scale: float = 1.0) -> Tensor:
        """The losses named in `LOSSES` (3,), float32, differentiable.

        Args:
            net: in training mode, normalised pixels in and logits out.
            batch: on any device.
            device: that of the network.
            scale: what true logits are multiplied by while their gradient is taken, for what float16
                would round to 0; the gradient is divided by it again.
        """
        labels = batch.labels.to(device)
        pixels = batch.pixels.to(device).requires_grad_(self.weight > 0)
        with self.numerics.cast(device), self.how.running():
            logits = net(self.transform.normalise(pixels))
        logits = logits.float()
        smoothing = self.label_smoothing
        cross_entropy = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        apart = torch.zeros_like(cross_entropy)
        if self.weight:
            with self.how.running():
                gradient = true_logit_gradient(logits * scale, pixels, labels) / scale
            human, has_map = batch.human.to(device), batch.has_map.to(device)
            apart = mismatch(gradient.float(), human, has_map, self.mismatch)
        return torch.stack([cross_entropy + self.weight * apart, cross_entropy, apart])
