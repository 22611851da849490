"""A batch of images under attack: one row for each, whatever becomes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_eval.evaluations.attack_protocols import Bounds
from zoo_eval.numerics.attacks import masking
from zoo_eval.numerics.attacks.decisions import Decision
from zoo_eval.numerics.attacks.logits import (
    Batch,
    Counted,
    Logits,
    at_rows,
    differentiable,
    undecided,
)
from zoo_eval.numerics.attacks.norms import COUNTS, length
from zoo_eval.numerics.attacks.procedures import Procedure

# The clean decision, the check for a gradient, the prediction and the stimulus in 8 bits.
CHECKS_PER_IMAGE = 4 + masking.PASSES_PER_IMAGE

# Of a perturbation, beside an attack's columns.
BYTES, SHAPE = "perturbation", "shape"

OUTSIDE = "the model's view of the image leaves [0, 1]; correct its transform"
NO_LOGITS = "the logits of the unperturbed image are not finite; check the weights"
NO_RANGE = "the image has one value only, and the protocol divides by its range"
NO_GRADIENT = (
    "the model's logits have no gradient to the pixels; use an attack without gradients, such as "
    "foolbox:HopSkipJumpAttack"
)
OWN_TARGET = "the image's label is the target; choose another target for it"
NOT_FINITE = "the attack gave values that are not finite: its gradient is zero or not finite"


@dataclass(frozen=True)
class Stimulus:
    """One image to attack by its number in the set, its class, and the values that a protocol rescales it by."""

    number: int
    label: int
    bounds: Bounds | None = None


@dataclass(frozen=True, eq=False)
class AttackOutcome:
    """The image's columns of the table `attacks`, its key aside, and the float16 perturbation.

    `perturbation` (channel, row, column) is None unless the status is `found`.
    """

    row: dict[str, Any]
    perturbation: Tensor | None = None

    def as_row(self, *, whole: bool) -> dict[str, Any]:
        """All of it as values that a table holds; the perturbation only where it is `whole`."""
        if self.perturbation is None or not whole:
            return dict(self.row)
        held = self.perturbation.numpy()
        return {**self.row, BYTES: held.tobytes(), SHAPE: list(held.shape)}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "AttackOutcome":
        """What `as_row` gave."""
        columns = {name: value for name, value in row.items() if name not in (BYTES, SHAPE)}
        if row.get(BYTES) is None:
            return cls(columns)
        held = np.frombuffer(row[BYTES], np.float16).reshape(row[SHAPE])
        return cls(columns, torch.from_numpy(held.copy()))


@dataclass(frozen=True, eq=False)
class Decided:
    """The decision to be changed, and the class that each image must reach, if any (image,)."""

    decision: Decision
    targets: Tensor | None = None


@dataclass(frozen=True, eq=False)
class AttackRun:
    """Everything about an attack but the images.

    `shown` gives what is attacked, (image, RGB, row, column) in [0, 1]; `logits` those of it;
    `decide` the decision for clean logits and labels. `defects` go with each attacked image's
    flags, and `left_out` is the reason beside an image on which the attack fails.
    """

    procedure: Procedure
    logits: Logits
    shown: Callable[[Sequence[Stimulus]], Tensor]
    decide: Callable[[Tensor, Tensor], Decided]
    needs_gradient: bool = True
    defects: tuple[str, ...] = ()
    left_out: str | None = None
    seed: int = 0

    def on(self, batch: Sequence[Stimulus]) -> list[AttackOutcome]:
        """One result for each image, in order."""
        stimuli = self.shown(batch)
        labels = torch.tensor([one.label for one in batch], device=stimuli.device)
        with torch.no_grad():
            seen = self.logits(stimuli)
        decided = self.decide(seen, labels)
        decision, options = decided.decision.applied(undecided(self.logits, labels), labels)
        faults = _faults(batch, stimuli, seen, labels, decided.targets)
        right = _right(seen, labels, decided)
        attacked = [
            AttackOutcome(
                {
                    "canvas_px": stimuli.shape[-1],
                    "norm": self.procedure.norm,
                    "status": "error" if fault else "already_wrong",
                    "reason": fault,
                    "label": one.label,
                    "target": None if decided.targets is None else int(decided.targets[place]),
                    "clean_prediction": int(seen[place].argmax()),
                    "n_forwards": 1,
                    "n_backwards": 0,
                }
            )
            for place, (one, fault) in enumerate(zip(batch, faults, strict=True))
        ]
        fit = [place for place, fault in enumerate(faults) if right[place] and fault is None]
        if fit and self.needs_gradient and not differentiable(self.logits, stimuli[fit[:1]]):
            for place in fit:
                attacked[place].row.update(status="error", reason=NO_GRADIENT)
            return attacked
        together = len(fit) if self.procedure.batched else 1
        for start in range(0, len(fit), max(1, together)):
            chunk = torch.tensor(fit[start : start + together], device=stimuli.device)
            found = self._searched(at_rows(decision, chunk), stimuli[chunk], options[chunk])
            for place, one in zip(chunk.tolist(), found, strict=True):
                row = attacked[place].row
                cost = {name: row[name] + one.row[name] for name in ("n_forwards", "n_backwards")}
                attacked[place] = AttackOutcome({**row, **one.row, **cost}, one.perturbation)
        return attacked

    def _searched(self, decision: Logits, stimuli: Tensor, options: Tensor) -> list[AttackOutcome]:
        """The columns that an attack adds, for images that it attacks together."""
        passes, norm = Counted.of(decision, len(stimuli)), self.procedure.norm
        began = perf_counter()
        searched = self.procedure.search(passes, stimuli, options)
        minimal = searched.minimal
        # Reading the answer waits for the GPU.
        finite = searched.finite.tolist()
        found = (minimal.found & searched.finite).tolist()
        seconds = (perf_counter() - began) / len(stimuli)
        perturbed = stimuli + minimal.perturbation.float()
        with torch.no_grad():
            predicted = self.logits(perturbed).argmax(1).tolist()
            in_8_bits = decision((perturbed * 255).round() / 255).argmax(1) != options
        survives, distances = in_8_bits.tolist(), searched.distance.tolist()
        size = length(minimal.perturbation.double(), norm).masked_fill(~minimal.found, torch.inf)
        batch = Batch(decision, stimuli, options)
        signs = masking.flags(batch, size, norm=norm, seed=self.seed)
        attacked = []
        for place, (one, stored) in enumerate(
            zip(stimuli.cpu(), minimal.perturbation.cpu(), strict=True)
        ):
            row: dict[str, Any] = {
                "status": "bound_hit",
                "reason": self.left_out,
                "flags": [*signs.names(place), *self.defects],
                "seconds": seconds,
                "n_forwards": int(passes.n_forwards[place]) + 1,
                "n_backwards": int(passes.n_backwards[place]),
            }
            if found[place]:
                row |= {
                    "status": "found",
                    "reason": None,
                    "winner": searched.winners[place],
                    "distance": distances[place],
                    **lengths(stored, one),
                    "adversarial_prediction": predicted[place],
                    "survives_8bit": survives[place],
                }
            elif not finite[place]:
                row |= {"status": "error", "reason": NOT_FINITE}
            attacked.append(AttackOutcome(row, stored if found[place] else None))
        return attacked


def lengths(perturbation: Tensor, stimulus: Tensor) -> dict[str, float | int | None]:
    """Lengths of what is stored (channel, row, column), in float64; a black image has none to relate to."""
    exact = perturbation.double()
    l2, of_stimulus = float(exact.norm()), float(stimulus.double().norm())
    return {
        "l2": l2,
        "linf": float(exact.abs().max()),
        "l1": float(length(exact[None], "l1")),
        **{unit: int(length(exact[None], unit)) for unit in COUNTS},
        "rms": l2 / exact.numel() ** 0.5,
        "relative_l2": l2 / of_stimulus if of_stimulus else None,
    }


def _right(seen: Tensor, labels: Tensor, decided: Decided) -> list[bool]:
    """Which images the model decides correctly: only those are attacked (image,)."""
    right = seen.argmax(1) == labels
    if decided.targets is None:
        answers, options = decided.decision.applied(lambda _images: seen, labels)
        right = answers(seen).argmax(1) == options
    return [bool(one) for one in right.tolist()]


def _faults(
    batch: Sequence[Stimulus],
    stimuli: Tensor,
    seen: Tensor,
    labels: Tensor,
    targets: Tensor | None,
) -> list[str | None]:
    """Why an image cannot be attacked, if so (image,)."""
    flat = stimuli.flatten(1)
    constant = [one.bounds is not None and one.bounds[0] == one.bounds[1] for one in batch]
    never = torch.zeros_like(labels, dtype=torch.bool)
    at_target = never if targets is None else (targets == labels) & (seen.argmax(1) == labels)
    checks: list[tuple[list[bool], str]] = [
        ((~((flat >= 0) & (flat <= 1)).all(1)).tolist(), OUTSIDE),
        (constant, NO_RANGE),
        ((~seen.isfinite().all(1)).tolist(), NO_LOGITS),
        (at_target.tolist(), OWN_TARGET),
    ]
    return [
        next((reason for failed, reason in checks if failed[place]), None)
        for place in range(len(batch))
    ]
