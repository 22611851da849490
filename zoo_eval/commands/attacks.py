"""Attacks as a table, and what the conformance suite finds of one of them."""

import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from zoo_eval.errors import BadInput, one_line
from zoo_eval.numerics.attacks import conformance, registry
from zoo_eval.numerics.attacks.attack import Checkable
from zoo_eval.numerics.attacks.foolbox_adapter import PREFIX
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import NORMS, Norm

LISTED = pa.schema(
    [
        ("attack", pa.string()),
        ("norms", pa.string()),
        ("bound", pa.float64()),
        ("bound_without_gradient", pa.float64()),
        ("passes_per_image", pa.int64()),
        ("meaning", pa.string()),
    ]
)
CHECKED = pa.schema(
    [
        ("attack", pa.string()),
        ("norm", pa.string()),
        ("problem", pa.string()),
        ("logit_scale", pa.float64()),
        ("n_images", pa.int64()),
        ("solved_share", pa.float64()),
        ("worst_ratio", pa.float64()),
        ("passed", pa.bool_()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class OwnAttack:
    """A function of (logits, images, labels) that returns candidates, as an attack.

    Logits are a function of images; images (image, channel, row, column) are in [0, 1], and so are
    the candidates.
    """

    perturb: Callable[[Logits, Tensor, Tensor], Tensor]
    norm: Norm = "l2"
    batched: bool = True
    bound: float = float("inf")
    blind_bound: float = float("inf")


@dataclass(frozen=True)
class Suite:
    """How much the conformance suite asks of an attack.

    `scales` are factors of the logits; `bound` is the largest ratio allowed, instead of what the
    attack states; `n_images` are in each problem.

    Raises:
        BadInput: a scale that is not above 0, or no image.
    """

    scales: Sequence[float] = conformance.SCALES
    bound: float | None = None
    n_images: int = 8

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) <= 0:
            raise BadInput("logit scales must be above 0, such as 0.1,1,10,100; correct --scales")
        if self.n_images < 1:
            raise BadInput(
                f"{self.n_images} images; the suite needs at least one image in each problem"
            )

    def rows(self, attack: Checkable) -> list[conformance.Row]:
        """What it finds of an attack, one row for each problem and scale."""
        return conformance.check(
            attack, scales=self.scales, bound=self.bound, n_images=self.n_images
        )


def attacks() -> pa.Table:
    """One row per registered attack, with the largest ratio to an exact minimum that it may show."""
    rows = []
    for name, kind in registry.ATTACKS.things().items():
        attack = registry.build(name, {}, kind.norms[0])
        rows.append(
            {
                "attack": name,
                "norms": ", ".join(registry.norms_of(name)),
                "bound": attack.bound,
                "bound_without_gradient": attack.blind_bound,
                "passes_per_image": attack.passes_per_image(),
                "meaning": (inspect.getdoc(kind) or "").partition("\n")[0],
            }
        )
    return pa.Table.from_pylist(rows, schema=LISTED)


def checks(
    name: str,
    suite: Suite | None = None,
    *,
    norms: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> pa.Table:
    """The conformance suite's rows of one attack, in each norm.

    Args:
        name: of the registry, `foolbox:NAME`, or `module:name` of an own attack: a function (see
            `OwnAttack`), or a value or class with the members of `Checkable`.
        suite: how much is asked; None for the usual.
        norms: none for all those of a registered or Foolbox attack, or l2.
        options: of the attack.

    Raises:
        BadInput: no such attack, no such norm, an option that is wrong.
    """
    for norm in norms:
        if norm not in NORMS:
            raise BadInput(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
    suite = suite or Suite()
    rows = [
        {
            "attack": name,
            "norm": attack.norm,
            "problem": row.problem,
            "logit_scale": row.scale,
            "n_images": row.n_images,
            "solved_share": row.solved_share,
            "worst_ratio": row.worst_ratio,
            "passed": row.passed,
            "reason": row.reason,
        }
        for attack in _built_in_each(name, norms, options or {})
        for row in suite.rows(attack)
    ]
    return pa.Table.from_pylist(rows, schema=CHECKED)


def _built_in_each(
    name: str, norms: Sequence[str], options: Mapping[str, Any]
) -> Sequence[Checkable]:
    """The attack in each of these norms; without any named, in all that it has."""
    found: list[Checkable] = []
    refused: list[str] = []
    for norm in NORMS:
        if not norms or norm in norms:
            try:
                found.append(_built(name, norm, options))
            except (TypeError, ValueError) as error:
                refused.append(str(error))
    if not found or (norms and refused):
        raise BadInput(f"{name}: {refused[0]}; correct the name, --norm or --options")
    its_own = ":" in name and not name.startswith(PREFIX)
    return found[:1] if its_own and not norms else found


def numbers(text: str) -> list[float]:
    """Numbers from a list with commas.

    Raises:
        BadInput: one of them is none.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(f"{text!r} are not numbers with commas between; write 0.1,1,10") from error


def parsed(options: str) -> dict[str, Any]:
    """Options of an attack, from JSON.

    Raises:
        BadInput: not a JSON object.
    """
    try:
        found = json.loads(options)
    except json.JSONDecodeError as error:
        raise BadInput(
            f"--options is not JSON ({error}); write e.g. '{{\"steps\": 20}}'"
        ) from error
    if not isinstance(found, dict):
        raise BadInput("--options is not a JSON object; write e.g. '{\"steps\": 20}'")
    return found


def _built(name: str, norm: Norm, options: Mapping[str, Any]) -> Checkable:
    if ":" in name and not name.startswith(PREFIX):
        return _own(name, norm, options)
    try:
        return registry.build(name, options, norm)
    except BadInput as error:
        raise BadInput(f"{error}, or {PREFIX}NAME, or module:name of your own") from error


def _own(name: str, norm: Norm, options: Mapping[str, Any]) -> Checkable:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        made: Any = getattr(import_module(module), attribute)
    except Exception as error:
        raise BadInput(
            f"{name} cannot be imported ({one_line(error)}); write `module:name`, and run from its "
            "folder or put that on PYTHONPATH"
        ) from error
    finally:
        sys.path.remove(here)
    if inspect.isclass(made):
        takes_norm = "norm" in inspect.signature(made).parameters
        made = made(**options, **({"norm": norm} if takes_norm else {}))
    elif options:
        raise BadInput(f"{name} takes no options: it is no class; leave --options out")
    elif not hasattr(made, "perturb") and callable(made):
        return OwnAttack(made, norm)
    if lacking := [m for m in conformance.MEMBERS if not hasattr(made, m)]:
        raise BadInput(
            f"{name} is a {type(made).__name__} without {', '.join(lacking)}; give a function of "
            "(logits, images, labels), or see docs/attacks.md"
        )
    if made.norm != norm:
        raise ValueError(f"{name} searches in {made.norm}, not {norm}")
    attack: Checkable = made
    return attack
