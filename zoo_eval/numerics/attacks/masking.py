"""Signs that a distance says more about the gradients than about the network.

In the style of AutoAttack's checks (Croce & Hein 2020, arXiv 2003.01690) and of Carlini et al. 2019,
arXiv 1902.06705: an attack that follows gradients is no evidence where they are zero, not finite or
random, nor where plain noise finds something nearer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Batch, raw_gradients
from zoo_eval.numerics.attacks.norms import Norm, farthest, in_box, somewhere

N_DIRECTIONS = 8
# Of the longest perturbation in the box: the radii tried where the attack found nothing.
SHARES = (0.05, 0.2, 0.5)
# Two forward passes, a gradient and the noise.
PASSES_PER_IMAGE = 4 + N_DIRECTIONS * len(SHARES)


@dataclass(frozen=True, eq=False)
class Flags:
    """What speaks against each image's distance (image,), True where it does."""

    zero_gradient: Tensor
    non_finite_gradient: Tensor
    random_forward: Tensor
    beaten_by_noise: Tensor

    def names(self, place: int) -> tuple[str, ...]:
        """The flags of one image."""
        return tuple(name for name, flag in vars(self).items() if bool(flag[place]))


def flags(batch: Batch, distances: Tensor, *, norm: Norm = "l2", seed: int = 0) -> Flags:
    """Flags from two gradients at each image and, beside the attack, as many noisy images.

    Args:
        batch: images that are correctly classified.
        distances: what the attack found (image,), infinite where it found nothing.
        norm: of the distances.
        seed: of the noise.
    """
    margin, gradient = raw_gradients(batch.logits, batch.images, batch.labels)
    with torch.no_grad():
        first, second = batch.logits(batch.images), batch.logits(batch.images)
    flat = gradient.flatten(1)
    finite = flat.isfinite().all(1) & margin.isfinite()
    return Flags(
        zero_gradient=finite & (flat == 0).all(1),
        non_finite_gradient=~finite,
        random_forward=(first != second).any(1) & ~(first.isnan() & second.isnan()).any(1),
        beaten_by_noise=_beaten_by_noise(batch, distances, norm=norm, seed=seed),
    )


def _beaten_by_noise(batch: Batch, distances: Tensor, *, norm: Norm, seed: int) -> Tensor:
    """Where noise no longer than the attack's perturbation changes the prediction too (image,)."""
    images = batch.images
    found = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    missed = distances.isinf()
    for share in SHARES:
        length = torch.where(missed, share * farthest(images, norm).double(), distances.double())
        for draw in range(N_DIRECTIONS):
            rows = (~found & (missed | (share == SHARES[0]))).nonzero()[:, 0]
            if not len(rows):
                return found
            some = images[rows]
            step = somewhere(some, length[rows].float(), seed + draw, norm)
            points = some + in_box(some, step)
            found[rows] = batch.at(rows).beaten(points)
    return found
