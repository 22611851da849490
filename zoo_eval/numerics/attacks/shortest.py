"""The shortest successes of an attack so far."""

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.norms import per_image


def shorter(
    best: Tensor, shortest: Tensor, points: Tensor, lengths: Tensor, adversarial: Tensor
) -> tuple[Tensor, Tensor]:
    """The best points so far (image, ...) and their lengths (image,); while none succeeded, the latest.

    Args:
        best: points before; images where there was none.
        shortest: their lengths, infinite where none succeeded.
        points: those to be looked at.
        lengths: of their perturbations.
        adversarial: which of them succeeded (image,).
    """
    nearer = adversarial & (lengths < shortest)
    shown = nearer | shortest.isinf()
    return torch.where(per_image(shown), points, best), torch.where(nearer, lengths, shortest)
