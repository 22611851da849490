"""Minimal attacks by name.

An attack is offered here only while it passes the conformance suite (conformance.py), which
tests/numerics/attacks runs on every one. `foolbox:NAME` is any attack of Foolbox, not vouched for.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from zoo_eval.numerics.attacks.apgd_bisect import APGDBisect
from zoo_eval.numerics.attacks.attack import Attack
from zoo_eval.numerics.attacks.ddn import DDN
from zoo_eval.numerics.attacks.deepfool import DeepFool
from zoo_eval.numerics.attacks.ensemble import Ensemble
from zoo_eval.numerics.attacks.fmn import FMN
from zoo_eval.numerics.attacks.foolbox_adapter import PREFIX, FoolboxAttack
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import Norm
from zoo_eval.numerics.attacks.perpendicular import Perpendicular
from zoo_eval.numerics.attacks.pgd_bisect import PGDBisect

__all__ = ["ATTACKS", "Attack", "Logits", "build", "norms_of"]

ATTACKS: Mapping[str, Callable[..., Attack]] = {
    "ddn": DDN,
    "fmn": FMN,
    "deepfool": DeepFool,
    "pgd_bisect": PGDBisect,
    "apgd_bisect": APGDBisect,
    "perpendicular": Perpendicular,
    "ensemble": Ensemble,
}
L2_ONLY = frozenset({"ddn"})


def norms_of(name: str) -> tuple[Norm, ...]:
    """The norms in which a registered attack searches."""
    return ("l2",) if name in L2_ONLY else get_args(Norm)


def build(name: str, options: Mapping[str, Any], norm: Norm = "l2") -> Attack:
    """The named attack with its options.

    Raises:
        KeyError: no such attack in the registry.
        TypeError: no such option.
        ValueError: an option out of range, no attack of that name in Foolbox, or another norm.
    """
    if name.startswith(PREFIX):
        return FoolboxAttack(name.removeprefix(PREFIX), dict(options), norm)
    if norm not in norms_of(name):
        raise ValueError(f"{name} has no {norm} form; it searches in {', '.join(norms_of(name))}")
    return ATTACKS[name](**options) if norm == "l2" else ATTACKS[name](**options, norm=norm)
