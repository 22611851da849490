"""Attacks as they were published or released, defects included: to reproduce numbers, not to make them.

None is in the registry, because none passes the conformance suite; a protocol names them. Facts are
those of serre-lab/Adversarial-Alignment (2023) and TonyFPY/Adversarial_Alignment (2025).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from foolbox.attacks.fast_minimum_norm import L2FMNAttack
from torch import Tensor
from torch.nn import functional

from zoo_eval.numerics.attacks.fmn import FMN
from zoo_eval.numerics.attacks.foolbox_adapter import run
from zoo_eval.numerics.attacks.logits import Batch, Logits
from zoo_eval.numerics.attacks.norms import Norm, length, per_image

COMPARED_PX = 224


class ReleasedAttack(Protocol):
    """An attack in l2 with a distance of its own; the other members are those of `Attack`."""

    @property
    def batched(self) -> bool: ...

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        """Images (image, channel, row, column) in [0, 1] -> candidates, the image where none is."""
        ...

    def measured(self, perturbations: Tensor) -> Tensor:
        """The distance that is reported of each perturbation, float64 (image,)."""
        ...

    def passes_per_image(self) -> int: ...


@dataclass(frozen=True)
class SpherePGD:
    """PGD on spheres (Linsley et al. 2023, arXiv 2306.03229): the radius bisected, or always 1.

    Cross-entropy's gradient, `steps` steps of `stride` along g / ||g||, each put on the sphere of
    the radius around the image and clipped to [0, 1]. The radius is bisected in [0.001, 1] to less
    than 0.01 where radius 1 succeeds, else in [1, 10] to less than 0.1; failing at 10 ends it.

    `constant_radius`: the released loop bisects a number that no attack sees, at radius 1 each
    time: what fails there is left out. `drifting` (until 28 June 2023): the projection starts from
    the iterate instead of the image, so that the perturbation is far longer than the radius.
    """

    batched: ClassVar[bool] = True
    norm: ClassVar[Norm] = "l2"
    LARGEST: ClassVar[float] = 10.0
    MIDDLE: ClassVar[float] = 1.0
    SMALLEST: ClassVar[float] = 0.001
    # Widths below which a bracket is narrow: below radius 1, and above.
    NARROW: ClassVar[tuple[float, float]] = (0.01, 0.1)
    ROUNDS: ClassVar[int] = 7

    steps: int = 3
    stride: float = 0.5
    drifting: bool = False
    constant_radius: bool = False

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        batch = Batch(logits, images, labels)
        far, within_largest = self._at(batch, self.LARGEST)
        near, within_one = self._at(batch, self.MIDDLE)
        found = torch.where(per_image(within_one), near, far)
        success = within_largest & within_one if self.constant_radius else within_largest
        if not self.constant_radius:
            found = self._bisected(batch, within_one, success, found)
        # A gradient of zero has no direction, and the published step no value.
        undefined = ~far.flatten(1).isfinite().all(1)
        return torch.where(per_image(success | undefined), found, images)

    def _bisected(self, batch: Batch, within_one: Tensor, success: Tensor, found: Tensor) -> Tensor:
        # As in the release, in double precision: the radii reach the attack as float32.
        one = within_one.double()
        low = one * self.SMALLEST + (1 - one) * self.MIDDLE
        high = one * self.MIDDLE + (1 - one) * self.LARGEST
        narrow = one * self.NARROW[0] + (1 - one) * self.NARROW[1]
        while len(rows := (success & (high - low >= narrow)).nonzero()[:, 0]):
            radii = (low + (high - low) / 2)[rows]
            points, beats = self._at(batch.at(rows), radii.float())
            high[rows] = torch.where(beats, radii, high[rows])
            low[rows] = torch.where(beats, low[rows], radii)
            found[rows] = torch.where(per_image(beats), points, found[rows])
        return found

    def _at(self, batch: Batch, radii: Tensor | float) -> tuple[Tensor, Tensor]:
        """The last points at radii (image,), and which of them are misclassified (image,)."""
        images = batch.images
        radius = per_image(torch.as_tensor(radii, device=images.device).expand(len(images)))
        points = images.clone()
        for _ in range(self.steps):
            stepped = points + self.stride * _direction(_loss_gradient(batch, points))
            start = stepped if self.drifting else images
            points = (start + radius * _direction(stepped - images)).clamp(0, 1)
        finite = points.flatten(1).isfinite().all(1)
        return points, finite & batch.beaten(points)

    def measured(self, perturbations: Tensor) -> Tensor:
        return length(perturbations.double(), "l2")

    def passes_per_image(self) -> int:
        rounds = 2 if self.constant_radius else 2 + self.ROUNDS
        return rounds * (2 * self.steps + 1)


@dataclass(frozen=True)
class FoolboxFMNRelease:
    """Foolbox 3.3.4's L2FMNAttack, whose projection ignores the radius, as the 2025 code calls it.

    The distance is that of the perturbation resized to 224 x 224 (bicubic), for models that see
    another size.
    """

    batched: ClassVar[bool] = True
    norm: ClassVar[Norm] = "l2"

    steps: int = 1000
    max_stepsize: float = 1.0
    min_stepsize: float = 1e-5
    gamma: float = 10.0

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        options: dict[str, Any] = dict(vars(self))
        return run(L2FMNAttack(**options), logits, images, labels)

    def measured(self, perturbations: Tensor) -> Tensor:
        if perturbations.shape[-2:] != (COMPARED_PX, COMPARED_PX):
            perturbations = functional.interpolate(
                perturbations, size=(COMPARED_PX, COMPARED_PX), mode="bicubic", align_corners=False
            )
        return length(perturbations.double(), "l2")

    def passes_per_image(self) -> int:
        return 2 * self.steps


@dataclass(frozen=True)
class ReleasedFMN(FMN):
    """FMN with the correct projection, its last point stored as it is: what Foolbox's should be."""

    def measured(self, perturbations: Tensor) -> Tensor:
        return length(perturbations.double(), "l2")


def _direction(vectors: Tensor) -> Tensor:
    """The vectors (image, channel, row, column) of length 1; of a zero vector, NaN."""
    return vectors / per_image(length(vectors, "l2"))


def _loss_gradient(batch: Batch, points: Tensor) -> Tensor:
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(batch.logits(points), batch.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, points)
    return gradient
