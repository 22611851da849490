"""What every minimal attack is: a frozen value that turns images into nearby misclassified ones."""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import Norm


class Checkable(Protocol):
    """What the conformance suite needs of an attack; see `Attack` for what each means."""

    @property
    def batched(self) -> bool: ...

    @property
    def norm(self) -> Norm: ...

    @property
    def bound(self) -> float: ...

    @property
    def blind_bound(self) -> float: ...

    @property
    def perturb(self) -> Callable[[Logits, Tensor, Tensor], Tensor]: ...


class Attack(Checkable, Protocol):
    """Searches the smallest perturbation, in its norm, that changes the prediction.

    `batched` says whether an image in a larger batch costs no more passes than alone; `bound` is
    the largest ratio to an exact minimum that the attack may show in the conformance suite, stated
    from measurement (infinite: not stated); `blind_bound` that where the image has no gradient.
    """

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        """Images (image, channel, row, column) in [0, 1] -> candidates of the same shape."""
        ...

    def passes_per_image(self) -> int:
        """Forward and backward passes per image that the attack may make at most."""
        ...


class AttackClass(Protocol):
    """A class of attacks that has a name: its fields, all with defaults, are the attack's options.

    `norms` are those in which it searches; where there are several, `norm` is one of its options.
    """

    @property
    def name(self) -> str: ...

    @property
    def norms(self) -> tuple[Norm, ...]: ...

    def __call__(self, **options: Any) -> Attack: ...
