"""Any Foolbox minimisation attack on a plain logits function."""

from collections.abc import Callable
from typing import Any

from foolbox import criteria
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn


class _AsModule(nn.Module):
    def __init__(self, logits: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images)


def run(attack: Any, logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    """The attack's best candidates (image, channel, row, column), inside [0, 1].

    Whether a candidate succeeded is for the caller to verify on what is stored.
    """
    model = PyTorchModel(_AsModule(logits).eval(), bounds=(0, 1), device=images.device)
    candidates: Tensor = attack.run(model, images, criteria.Misclassification(labels))
    return candidates.detach()
