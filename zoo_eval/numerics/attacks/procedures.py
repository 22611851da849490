"""What is done with one attack on images: searched, shortened or not, stored and measured."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.attack import Attack
from zoo_eval.numerics.attacks.ensemble import Ensemble
from zoo_eval.numerics.attacks.logits import Logits, at_rows
from zoo_eval.numerics.attacks.norms import Norm, length, per_image
from zoo_eval.numerics.attacks.released import ReleasedAttack
from zoo_eval.numerics.attacks.tighten import PASSES_PER_IMAGE, Minimal, storable, tighten

# Of float16's own spacing, relative to a value.
HALF = 2.0**-10
NUDGES = 4
STORING_PASSES = NUDGES + 2


@dataclass(frozen=True, eq=False)
class Searched:
    """What may be stored, the distance that is reported of it float64 (image,), and whose it is.

    `finite` (image,) is False where the attack gave values that are not finite: nothing is stored.
    """

    minimal: Minimal
    distance: Tensor
    winners: tuple[str | None, ...]
    finite: Tensor


class Procedure(Protocol):
    """An attack together with the way its results are stored and measured."""

    @property
    def batched(self) -> bool: ...

    @property
    def norm(self) -> Norm: ...

    def search(self, logits: Logits, images: Tensor, labels: Tensor) -> Searched:
        """Of images (image, channel, row, column) in [0, 1] that the logits classify as labels."""
        ...

    def passes_per_image(self) -> int:
        """Forward and backward passes per image at most."""
        ...


@dataclass(frozen=True)
class Corrected:
    """A registered or Foolbox attack, each candidate shortened along its line before it is stored.

    The distance is that of what is stored.
    """

    attack: Attack

    @property
    def batched(self) -> bool:
        return self.attack.batched

    @property
    def norm(self) -> Norm:
        return self.attack.norm

    def search(self, logits: Logits, images: Tensor, labels: Tensor) -> Searched:
        winners: tuple[str | None, ...] = (None,) * len(images)
        if isinstance(self.attack, Ensemble):
            best = self.attack.best(logits, images, labels)
            candidates = best.candidates
            winners = tuple(best.names[i] if i >= 0 else None for i in best.winner.tolist())
        else:
            candidates = self.attack.perturb(logits, images, labels)
        candidates, finite = _finite(candidates, images)
        minimal = tighten(logits, images, candidates, labels, self.norm)
        return Searched(minimal, length(minimal.perturbation.double(), self.norm), winners, finite)

    def passes_per_image(self) -> int:
        return self.attack.passes_per_image() + PASSES_PER_IMAGE


@dataclass(frozen=True, eq=False)
class Units:
    """Values that an attack works with: pixels = value * scale + shift, each (channel,)."""

    scale: Tensor
    shift: Tensor

    def of_pixels(self, pixels: Tensor) -> Tensor:
        return (pixels - self.shift[:, None, None]) / self.scale[:, None, None]

    def to_pixels(self, values: Tensor) -> Tensor:
        return self.step_to_pixels(values) + self.shift[:, None, None]

    def step_to_pixels(self, perturbations: Tensor) -> Tensor:
        return perturbations * self.scale[:, None, None]


@dataclass(frozen=True, eq=False)
class AsReleased:
    """A released attack in its own units, stored as it is, with the distance that it reports.

    The stored perturbation is in pixels, and success is that of what is stored.
    """

    attack: ReleasedAttack
    units: Units

    norm: Norm = "l2"

    @property
    def batched(self) -> bool:
        return self.attack.batched

    def search(self, logits: Logits, images: Tensor, labels: Tensor) -> Searched:
        own = self.units.of_pixels(images)
        found = self.attack.perturb(_InUnits(logits, self.units), own, labels)
        found, finite = _finite(found, own)
        minimal = as_it_is(logits, images, images + self.units.step_to_pixels(found - own), labels)
        return Searched(minimal, self.attack.measured(found - own), (None,) * len(images), finite)

    def passes_per_image(self) -> int:
        return self.attack.passes_per_image() + STORING_PASSES


@dataclass(frozen=True, eq=False)
class _InUnits:
    logits: Logits
    units: Units

    def __call__(self, values: Tensor) -> Tensor:
        return self.logits(self.units.to_pixels(values))

    def rows(self, index: Tensor) -> "_InUnits":
        return _InUnits(at_rows(self.logits, index), self.units)


def _finite(candidates: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """The candidates, with the image where a value is not finite, and where all are (image,)."""
    finite = candidates.flatten(1).isfinite().all(1)
    return torch.where(per_image(finite), candidates, images), finite


@torch.no_grad()
def as_it_is(logits: Logits, images: Tensor, candidates: Tensor, labels: Tensor) -> Minimal:
    """Candidates as float16 perturbations, and which of those change the prediction.

    Where rounding undoes a success the perturbation is lengthened by up to 2^-7 of its length.
    """
    delta = candidates - images
    success = logits(candidates).argmax(1) != labels
    stored = storable(images, delta)
    predicted = logits(images + stored.float()).argmax(1)
    for nudge in range(NUDGES):
        undone = success & (predicted == labels)
        if not undone.any():
            break
        longer = storable(images, delta * (1 + HALF * 2**nudge))
        stored = torch.where(per_image(undone), longer, stored)
        predicted = torch.where(undone, logits(images + stored.float()).argmax(1), predicted)
    return Minimal(stored, predicted != labels, predicted)
