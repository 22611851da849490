"""Any Foolbox attack by its class name, on a plain logits function.

Attacks that search the smallest perturbation themselves run as they are. Those with a fixed budget
get the search that Foolbox lacks (foolbox issue 578): a bracket for each image (bisect.py).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import foolbox
import torch
from foolbox import criteria
from foolbox.attacks.base import FixedEpsilonAttack, MinimizationAttack
from foolbox.attacks.hop_skip_jump import HopSkipJumpAttack
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from zoo_eval.numerics.attacks.bisect import Brackets, FixedBudget, smallest_radius
from zoo_eval.numerics.attacks.logits import Batch, Logits, at_rows, beaten
from zoo_eval.numerics.attacks.norms import Norm

PREFIX = "foolbox:"
# Foolbox's modules whose attacks ask for decisions only.
GRADIENT_FREE = frozenset(
    {
        "additive_noise",
        "binarization",
        "blended_noise",
        "blur",
        "boundary_attack",
        "contrast",
        "contrast_min",
        "hop_skip_jump",
        "pointwise",
        "saltandpepper",
        "spatial_attack",
    }
)
# What these take cannot be given here.
UNUSABLE = {
    "BinarizationRefinementAttack": "starting points",
    "DatasetAttack": "other images",
    "GenAttack": "a target of its own kind",
}
# Foolbox's distances by our names for them; its l0 counts channel values.
MEASURED: Mapping[Norm, Any] = {
    "l2": foolbox.distances.l2,
    "linf": foolbox.distances.linf,
    "l1": foolbox.distances.l1,
    "l0_values": foolbox.distances.l0,
}
# Options that multiply the passes of an attack.
FACTORS = ("steps", "binary_search_steps", "candidates", "initial_steps", "repeats", "directions")


class _AsModule(nn.Module):
    def __init__(self, logits: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images)


def run(
    attack: Any,
    logits: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    **budget: float,
) -> Tensor:
    """The attack's best candidates (image, channel, row, column), inside [0, 1].

    Whether a candidate succeeded is for the caller to verify on what is stored. `budget` is
    `epsilon` for an attack that has a fixed one.
    """
    model = PyTorchModel(_AsModule(logits).eval(), bounds=(0, 1), device=images.device)
    candidates: Tensor = attack.run(model, images, criteria.Misclassification(labels), **budget)
    return candidates.detach()


@dataclass(frozen=True)
class FoolboxAttack:
    """The Foolbox attack of that class name with its own options.

    `rounds` are the radii tried for an attack with a fixed budget.
    """

    # Foolbox goes on with the whole batch until its last image is done.
    batched: ClassVar[bool] = False
    bound: ClassVar[float] = math.inf
    blind_bound: ClassVar[float] = math.inf

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    norm: Norm = "l2"
    rounds: int = 24

    def __post_init__(self) -> None:
        attack = self._attack()
        measures = _norm_of(attack)
        if measures is not None and measures != self.norm:
            raise ValueError(
                f"foolbox's {self.name} is an {measures} attack, not {self.norm}; "
                f'choose norm = "{measures}"'
            )

    def _attack(self) -> Any:
        kind = getattr(foolbox.attacks, self.name, None)
        if not (
            isinstance(kind, type) and issubclass(kind, FixedEpsilonAttack | MinimizationAttack)
        ):
            raise ValueError(f"foolbox {foolbox.__version__} has no attack {self.name}")
        if self.name in UNUSABLE:
            raise ValueError(
                f"foolbox's {self.name} needs {UNUSABLE[self.name]}, which it cannot be given here"
            )
        try:
            return kind(**self.options)
        except ImportError as error:
            raise ValueError(
                f"foolbox's {self.name} needs {error.name}, which is not installed; install it"
            ) from error

    @property
    def gradient_free(self) -> bool:
        """Whether the attack asks the model for decisions only."""
        return type(self._attack()).__module__.rpartition(".")[2] in GRADIENT_FREE

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        attack = self._attack()
        if isinstance(attack, FixedEpsilonAttack):
            batch, brackets = Batch(logits, images, labels), Brackets(rounds=self.rounds)
            return smallest_radius(_within(attack), batch, norm=self.norm, brackets=brackets)
        found = images.clone()
        rows = beaten(logits, images, labels).logical_not().nonzero()[:, 0]
        if len(rows):
            found[rows] = run(attack, at_rows(logits, rows), images[rows], labels[rows])
        return found

    def passes_per_image(self) -> int:
        """An estimate from the attack's own options: Foolbox does not say."""
        attack = self._attack()
        runs = self.rounds if isinstance(attack, FixedEpsilonAttack) else 1
        each = math.prod(max(1, int(getattr(attack, name, None) or 1)) for name in FACTORS)
        if isinstance(attack, HopSkipJumpAttack):
            # Each gradient is estimated from so many decisions.
            first, most = attack.initial_num_evals, attack.max_num_evals
            each = sum(min(int(first * (step + 1) ** 0.5), most) for step in range(attack.steps))
        return 1 + runs * (2 * each + 2)


def _norm_of(attack: Any) -> Norm | None:
    """The norm an attack measures, None where it leaves that open.

    Raises:
        ValueError: neither l2, linf, l1 nor the count of values.
    """
    try:
        distance = attack.distance
    except ValueError:
        return None
    except AttributeError as error:
        raise ValueError(f"{type(attack).__name__} measures no distance") from error
    for norm, known in MEASURED.items():
        if distance == known:
            return norm
    raise ValueError(f"{type(attack).__name__} measures {distance}, none of {', '.join(MEASURED)}")


def _within(attack: Any) -> FixedBudget:
    def points(
        logits: Logits, images: Tensor, labels: Tensor, radii: Tensor, _near: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The attack takes one radius for a batch: one run for each radius among the images."""
        found = images.clone()
        success = torch.zeros(len(images), dtype=torch.bool, device=images.device)
        for radius in sorted(set(radii.tolist())):
            rows = (radii == radius).nonzero()[:, 0]
            part = at_rows(logits, rows)
            found[rows] = run(attack, part, images[rows], labels[rows], epsilon=radius)
            success[rows] = beaten(part, found[rows], labels[rows])
        return found, success

    return points
