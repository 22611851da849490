"""Everything that is measured: this project's attacks as a sweep runs them, and the rivals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from benchmarks.optimality.rivals import STEPS, rivals
from zoo_eval.errors import BadInput
from zoo_eval.numerics.attacks import registry
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.procedures import Corrected

OURS = "ours: "
# The strongest and the one that needs least; of l1 and l0 whatever there is.
ENSEMBLE, FAST = f"{OURS}ensemble", f"{OURS}perpendicular"


@dataclass(frozen=True)
class Contender:
    """An attack in one norm: its name, what its options are, and whether it is run first."""

    name: str
    norm: str
    run: Callable[[Logits, Tensor, Tensor], object]
    setting: str
    first: bool

    @property
    def is_ours(self) -> bool:
        return self.name.startswith(OURS)


def contenders(norm: str, steps: int = STEPS) -> list[Contender]:
    """Of this norm, those that the record is about first: ours and AttackBench's on ImageNet."""
    theirs = [
        Contender(one.name, norm, one.perturb, one.setting, one.on_imagenet)
        for one in rivals(norm, steps)
    ]
    return sorted([*_ours(norm), *theirs], key=lambda one: not one.first)


def _ours(norm: str) -> list[Contender]:
    """Each as a sweep runs it: the attack, and its candidate shortened, stored and verified."""
    found = []
    for name in registry.ATTACKS:
        if norm not in registry.norms_of(name):
            continue
        attack = registry.build(name, {}, norm)
        first = f"{OURS}{name}" in (ENSEMBLE, FAST) or norm not in ("l2", "linf")
        run = Corrected(attack).search
        found.append(Contender(f"{OURS}{name}", norm, run, repr(attack), first))
    return found


def chosen(norm: str, names: Sequence[str] | None, steps: int = STEPS) -> list[Contender]:
    """The contenders of these names, or all.

    Raises:
        BadInput: one has no such norm; those that have it are named.
    """
    found = contenders(norm, steps)
    there = [one.name for one in found]
    for name in names or ():
        if name not in there:
            raise BadInput(f"{name!r} does not search in {norm}; those that do: {', '.join(there)}")
    return [one for one in found if names is None or one.name in names]
