"""The sanity gate: does the opened model behave as its card says? Planned for every model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.special import bdtr
from torch import Tensor

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import canonical_json, file_digest
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.evaluations.evaluation import Candidate, EvaluationSection, Result, Workbench
from zoo_eval.files import arrays
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import revision
from zoo_eval.models.open_model import OpenModel
from zoo_eval.numerics.intervals import clopper_pearson
from zoo_eval.trial import Trial

FACTS = (
    "family", "pretraining", "objective", "year", "harmonized_from", "licence", "published_top1",
    "published_view",
)  # fmt: skip
# A share this close to the published one is the same model; further away it is not.
TOLERANCE = 0.02
SIGNIFICANCE = 0.01
# Published logits are compared after one resize implementation against itself: rounding only.
LOGIT_TOLERANCE = 1e-3
NO_LOGITS = "the model gives non-finite logits; check the weights"


@dataclass(frozen=True)
class Verdict:
    """pass, fail, undecided or exempt, and what it rests on."""

    gate: Literal["pass", "fail", "undecided", "exempt"]
    reason: str
    max_abs_logit_diff: float | None = None


def read_reference(path: Path) -> tuple[Tensor, Tensor]:
    """Reference inputs (image, RGB, row, column) in [0, 1] and their logits (image, class).

    Raises:
        Refusal: the file is absent or lacks the arrays `pixels` (uint8) and `logits`.
    """
    try:
        found = arrays.npz(path)
    except BadInput as error:
        raise Refusal(f"reference logits {error}") from error
    pixels, logits = (found.get(name, np.zeros(0)) for name in ("pixels", "logits"))
    fits = pixels.ndim == 4 and pixels.shape[3] == 3 and pixels.dtype == np.uint8
    if not fits or logits.ndim != 2 or len(logits) != len(pixels) or logits.dtype.kind != "f":
        held = ", ".join(f"{name} {one.dtype} {list(one.shape)}" for name, one in found.items())
        raise Refusal(
            f"reference logits {path}: expected `pixels`, uint8 (image, row, column, RGB), and `logits` "
            f"(image, class), got {held or 'nothing'}; write them so"
        )
    if not np.isfinite(logits).all():
        raise Refusal(f"reference logits {path}: NaN or infinite logits; write them again")
    shown = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return shown, torch.from_numpy(logits).float()


class Gate(EvaluationSection):
    """Reference logits where a card carries them, else top-1 against the published value."""

    kind: Literal["gate"] = "gate"
    stimuli: str | None = None

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True
    in_sweep_files: ClassVar[bool] = False

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        card, blueprint = candidate.known()
        # A fact that changes makes a new row.
        parameters: dict[str, Any] = {"facts": {k: v for k in FACTS if (v := getattr(card, k))}}
        if card.reference_logits is not None:
            read_reference(card.reference_logits)
            parameters["reference_logits"] = file_digest(card.reference_logits)
        compared = self._compares_top1(card) and blueprint.anatomy.n_classes == 1000
        stimuli = inputs.labelled(self.stimuli)[0] if compared and self.stimuli else None
        return [
            Trial(
                self.kind,
                self.version,
                "exact",
                parameters=parameters,
                stimuli=stimuli.name if stimuli else None,
                stimuli_digest=stimuli.digest if stimuli else None,
                seed=seed,
                **candidate.identity,
            )
        ]

    def _compares_top1(self, card: ModelCard) -> bool:
        return (
            card.reference_logits is None
            and card.published_top1 is not None
            and card.published_view is None
        )

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return sum(
            len(inputs.stimulus_set(trial.stimuli)) if trial.stimuli else 1 for trial in trials
        )

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        model, _ = bench.opened()
        card, blueprint = model.card, model.blueprint
        trial = trials[0]
        verdict = self._verdict(model, bench.inputs, compare_top1=trial.stimuli is not None)
        row = {
            "weights_digest": blueprint.weights_digest,
            "weights_key": blueprint.weights_key,
            "revision": revision(card),
            "source": card.source,
            "architecture": card.architecture,
            **{fact: getattr(card, fact) for fact in FACTS},
            "graded_from": canonical_json(card.edits.changed) if card.edits.changed else None,
            "n_params": blueprint.anatomy.n_params,
            "flops": blueprint.anatomy.flops,
            "head": blueprint.anatomy.head,
            "input_px": blueprint.transform.input_px,
            "input_width_px": blueprint.transform.input_width_px,
            "gate": verdict.gate,
            "gate_reason": verdict.reason,
            "gate_max_abs_logit_diff": verdict.max_abs_logit_diff,
        }
        yield Result(trial, {"models": [row]})

    def _verdict(self, model: OpenModel, inputs: Inputs, *, compare_top1: bool) -> Verdict:
        card = model.card
        if card.edits.changed:
            return Verdict("exempt", "graded on purpose")
        if card.weights == "untrained":
            return Verdict("exempt", "untrained on purpose")
        if card.reference_logits is not None:
            return compare_logits(model, *read_reference(card.reference_logits))
        if card.published_view is not None:
            return Verdict("undecided", f"top-1 was published at {card.published_view}")
        if not compare_top1 or self.stimuli is None or card.published_top1 is None:
            return Verdict(
                "undecided", "no reference logits and no published top-1 to compare with"
            )
        stimuli, labels = inputs.labelled(self.stimuli)
        logits = model.predictions(stimuli)
        if not logits.isfinite().all():
            return Verdict("fail", NO_LOGITS)
        n_correct = int((logits.argmax(1) == torch.tensor(labels)).sum())
        return compare_top1_with(card.published_top1, n_correct, len(stimuli))


def compare_logits(model: OpenModel, pixels: Tensor, reference: Tensor) -> Verdict:
    """Pass if every logit is within `LOGIT_TOLERANCE` of the reference, on the same pixels."""
    with torch.no_grad():
        logits = model.logits(pixels.to(model.device)).cpu()
    if logits.shape != reference.shape:
        return Verdict("fail", f"logits {tuple(logits.shape)}, reference {tuple(reference.shape)}")
    if not logits.isfinite().all():
        return Verdict("fail", NO_LOGITS)
    difference = float((logits - reference).abs().max())
    if difference <= LOGIT_TOLERANCE:
        return Verdict("pass", "logits equal the reference logits", difference)
    return Verdict("fail", f"a logit differs from its reference by {difference:.3g}", difference)


def compare_top1_with(published: float, n_correct: int, n_images: int) -> Verdict:
    """An exact binomial test of top-1 against a published share.

    Fail: so few correct images are improbable (p < 0.01, one-sided: easy photos are no fault).
    Pass: the exact 95 % interval lies within 2 points of the published share. Else undecided.
    """
    p_value = float(bdtr(n_correct, n_images, published))
    low, high = clopper_pearson(n_correct, n_images, confidence=0.95)
    said = f"top-1 {n_correct}/{n_images} against the published {published:.3f}"
    if p_value < SIGNIFICANCE:
        return Verdict("fail", f"{said}: p = {p_value:.2g}")
    if published - TOLERANCE <= low and high <= published + TOLERANCE:
        return Verdict("pass", f"{said}: within {TOLERANCE:g}")
    return Verdict("undecided", f"{said}: too few images to tell")
