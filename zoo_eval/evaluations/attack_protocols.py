"""Procedures of published attacks, by name: what is attacked, how, and what is wrong with it.

`corrected` is not among them: it is whatever the sweep file chooses. `defect_...` is none that was
published: a single defect of one, so that its share in the numbers is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo_eval.models.open_model import OpenModel
from zoo_eval.numerics.attacks.procedures import STORING_PASSES, AsReleased, Units
from zoo_eval.numerics.attacks.released import (
    FoolboxFMNRelease,
    ReleasedAttack,
    ReleasedFMN,
    SpherePGD,
)
from zoo_eval.views.views import Views

# The least and the largest value that an image is rescaled by.
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Rescaling:
    """Images brought to [0, 1] by the least and largest value of so many of them, one after another.

    `normalised` says whether values are those after the model's own normalisation; the network
    then gets the rescaled values as they are.
    """

    together: int
    normalised: bool

    def bounds(self, model: OpenModel, views: Views) -> Iterator[Bounds]:
        """For each image of the set, in its order."""
        for start in range(0, len(views), self.together):
            some = range(len(views))[start : start + self.together]
            group = [self._values(model, views[[number]]) for number in some]
            low = min(float(values.min()) for values in group)
            high = max(float(values.max()) for values in group)
            yield from [(low, high)] * len(group)

    def _values(self, model: OpenModel, view: Tensor) -> Tensor:
        return model.transform.normalise(view) if self.normalised else view

    def shown(self, model: OpenModel, view: Tensor, bounds: Sequence[Bounds]) -> Tensor:
        """Rescaled images (image, RGB, row, column), as the model sees them; 0 where there is no range."""
        low, high = torch.tensor(bounds, device=model.device).T[:, :, None, None, None]
        values = ((self._values(model, view) - low) / (high - low)).nan_to_num(0.0)
        return units(model, normalised=self.normalised).to_pixels(values)


def units(model: OpenModel, *, normalised: bool) -> Units:
    """Those of the network's input, or of pixels."""
    std, mean = (
        torch.tensor(values, device=model.device)
        for values in (model.transform.std, model.transform.mean)
    )
    return Units(std, mean) if normalised else Units(torch.ones_like(std), torch.zeros_like(mean))


@dataclass(frozen=True)
class AttackProtocol:
    """One published procedure. `defects` go with each attacked image's flags.

    `left_out` says which images the released code leaves out after they were attacked: they are
    rows like all others here. `channel_reduction` is how a perturbation becomes a map (`REDUCTIONS`
    of numerics/alignment.py).
    """

    attack_name: str
    attack: ReleasedAttack
    decision: Literal["argmax", "animate"]
    channel_reduction: str
    left_out: str
    rescaling: Rescaling | None = None
    defects: tuple[str, ...] = ()

    def procedure(self, model: OpenModel) -> AsReleased:
        normalised = self.rescaling is not None and self.rescaling.normalised
        return AsReleased(self.attack, units(model, normalised=normalised))

    def shown(self, model: OpenModel, view: Tensor, bounds: Sequence[Bounds | None]) -> Tensor:
        """What is attacked of the model's own view: (image, RGB, row, column) in [0, 1]."""
        if self.rescaling is None:
            return view
        known = [pair for pair in bounds if pair is not None]
        return self.rescaling.shown(model, view, known)

    def passes_per_image(self) -> int:
        """Forward and backward passes per image at most."""
        return self.attack.passes_per_image() + STORING_PASSES


def _single(
    defect: str, name: str, attack: ReleasedAttack, rescaling: Rescaling | None = None
) -> tuple[str, AttackProtocol]:
    """One of the defects alone, where the rest is as the papers say, by the protocol's name."""
    return f"defect_{defect}", AttackProtocol(
        attack_name=name,
        attack=attack,
        decision="argmax",
        channel_reduction="abs_of_mean",
        left_out="no success within the attack's reach: left out",
        rescaling=rescaling,
        defects=(defect,),
    )


PROTOCOLS: Mapping[str, AttackProtocol] = {
    "linsley2023_paper": AttackProtocol(
        attack_name="l2_pgd_sphere",
        attack=SpherePGD(),
        decision="argmax",
        channel_reduction="abs_of_mean",
        left_out="fails at radius 10: the published means leave it out",
    ),
    "linsley2023_release": AttackProtocol(
        attack_name="l2_pgd_release",
        attack=SpherePGD(drifting=True, constant_radius=True),
        decision="argmax",
        channel_reduction="abs_of_mean",
        left_out=(
            "fails at radius 10, or at radius 1 where the released bisection stays: left out there"
        ),
        rescaling=Rescaling(10, normalised=True),
        defects=("constant_radius", "drifting_projection", "rescaled_after_normalisation"),
    ),
    "feng2025_release": AttackProtocol(
        attack_name="foolbox_fmn_release",
        attack=FoolboxFMNRelease(),
        decision="animate",
        channel_reduction="abs_of_max",
        left_out="no success among the steps: the released code leaves it out",
        rescaling=Rescaling(1, normalised=False),
        defects=("radius_ignored", "rescaled_image"),
    ),
    **dict(
        [
            _single("drifting_projection", "l2_pgd_sphere", SpherePGD(drifting=True)),
            _single("constant_radius", "l2_pgd_sphere", SpherePGD(constant_radius=True)),
            _single(
                "rescaled_after_normalisation",
                "l2_pgd_sphere",
                SpherePGD(),
                Rescaling(10, normalised=True),
            ),
            _single("radius_ignored", "foolbox_fmn_release", FoolboxFMNRelease()),
            _single("rescaled_image", "fmn", ReleasedFMN(), Rescaling(1, normalised=False)),
        ]
    ),
}
