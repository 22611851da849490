"""What counts as a decision: any of these as logits whose largest value decides, for any attack.

An attack changes the largest logit of each image away from its label. Every decision here is
written that way, so that attacks need not know of it.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Derived, Logits

# ImageNet-1k class ids, 0-based: animals come first.
N_ANIMATE = 398


class Decision(Protocol):
    """A rule that turns class logits and labels into decision logits and decision labels."""

    def applied(self, logits: Logits, labels: Tensor) -> tuple[Logits, Tensor]:
        """Logits of options (image, option), and the option of each label (image,).

        The decision is changed where another option has the largest value; an equal one that comes
        later does not change it.
        """
        ...


@dataclass(frozen=True)
class Argmax:
    """The class with the largest logit."""

    def applied(self, logits: Logits, labels: Tensor) -> tuple[Logits, Tensor]:
        return logits, labels


@dataclass(frozen=True)
class GroupMaximum:
    """The group of classes that holds the largest logit; `groups` has a group for each class.

    The options are the largest logit of the label's group and, one by one, the classes outside it,
    so that an attack sees each way out; classes inside are minus infinity.
    """

    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = set(self.groups)
        if len(numbers) < 2 or numbers != set(range(len(numbers))):
            raise ValueError("groups need two numbers or more: 0, 1, ... without a gap")

    def applied(self, logits: Logits, labels: Tensor) -> tuple[Logits, Tensor]:
        groups = torch.tensor(self.groups, device=labels.device)

        def against_others(values: Tensor, inside: Tensor) -> Tensor:
            if values.shape[1] != len(groups):
                raise ValueError(f"{len(groups)} classes are grouped, got {values.shape[1]} logits")
            own = values.masked_fill(~inside, -torch.inf).max(1, keepdim=True).values
            return torch.cat([own, values.masked_fill(inside, -torch.inf)], 1)

        inside = groups == groups[labels][:, None]
        return Derived(logits, against_others, inside), torch.zeros_like(labels)


def animate() -> GroupMaximum:
    """Animate (ImageNet ids 0-397) or inanimate (398-999), by the largest logit in each."""
    return GroupMaximum((0,) * N_ANIMATE + (1,) * (1000 - N_ANIMATE))


@dataclass(frozen=True)
class TopK:
    """Whether the label is among the `k` largest logits; k = 1 is `Argmax` in another form."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"top-k needs k of at least 1, got {self.k}")

    def applied(self, logits: Logits, labels: Tensor) -> tuple[Logits, Tensor]:
        def against_kth(values: Tensor, own: Tensor) -> Tensor:
            others = values.scatter(1, own[:, None], -torch.inf)
            kth = others.topk(self.k, dim=1).values[:, -1:]
            return torch.cat([values.gather(1, own[:, None]), kth], 1)

        return Derived(logits, against_kth, labels), torch.zeros_like(labels)


@dataclass(frozen=True, eq=False)
class Targeted:
    """Whether each image is still kept out of its target class (image,): an attack must reach it.

    An image whose target is its own label is for the caller to leave out.
    """

    targets: Tensor

    def applied(self, logits: Logits, labels: Tensor) -> tuple[Logits, Tensor]:
        def against_target(values: Tensor, target: Tensor) -> Tensor:
            others = values.scatter(1, target[:, None], -torch.inf)
            best = others.max(1, keepdim=True).values
            return torch.cat([best, values.gather(1, target[:, None])], 1)

        return Derived(logits, against_target, self.targets), torch.zeros_like(labels)
