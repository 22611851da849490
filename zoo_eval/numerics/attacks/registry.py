"""Minimal attacks by name: each in a file of this room, or offered by another package.

An attack stands here only while it passes the conformance suite (conformance.py), which
tests/numerics/attacks runs on every one; `zoo-eval attacks check` runs it on anybody's.
`foolbox:NAME` is any attack of Foolbox, not vouched for.
"""

from collections.abc import Mapping
from typing import Any

from zoo_eval.numerics.attacks.attack import Attack, AttackClass
from zoo_eval.numerics.attacks.foolbox_adapter import PREFIX, FoolboxAttack
from zoo_eval.numerics.attacks.norms import Norm
from zoo_eval.registry import Registry


def _name(thing: Any) -> str | None:
    """The name that a class gives itself: one derived from it has another, or none."""
    named = isinstance(thing, type) and {"name", "norms", "perturb"} <= set(dir(thing))
    return vars(thing).get("name") if named else None


ATTACKS: Registry[AttackClass] = Registry(
    "attack", room="zoo_eval.numerics.attacks", group="zoo_eval.attacks", names=_name
)


def check(name: str) -> None:
    """Refuses a name that is neither of the registry nor of the form `foolbox:NAME`.

    Raises:
        BadInput: no such attack in the registry.
    """
    if not name.startswith(PREFIX):
        ATTACKS.get(name)


def norms_of(name: str) -> tuple[Norm, ...]:
    """The norms in which a registered attack searches.

    Raises:
        BadInput: no such attack in the registry.
    """
    return ATTACKS.get(name).norms


def named_in(norm: Norm) -> tuple[str, ...]:
    """The names of the registered attacks that search in the norm."""
    return tuple(name for name, kind in ATTACKS.things().items() if norm in kind.norms)


def build(name: str, options: Mapping[str, Any], norm: Norm = "l2") -> Attack:
    """The named attack with its options.

    Raises:
        BadInput: no such attack in the registry.
        TypeError: no such option.
        ValueError: an option out of range, no attack of that name in Foolbox, or another norm.
    """
    if name.startswith(PREFIX):
        return FoolboxAttack(name.removeprefix(PREFIX), dict(options), norm)
    found = ATTACKS.get(name)
    if norm not in found.norms:
        raise ValueError(
            f"{name} has no {norm} form; it searches in {', '.join(found.norms)}; "
            f"in {norm}: {', '.join(named_in(norm))}"
        )
    return found(**options, norm=norm) if len(found.norms) > 1 else found(**options)
