"""The smallest l2 perturbation that changes each image's prediction, in [0, 1] pixels."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from zoo_eval.errors import nearest
from zoo_eval.evaluations import Choices, Result, Subject, Workbench, imagenet_labelled
from zoo_eval.inputs import Inputs
from zoo_eval.models import OpenModel
from zoo_eval.numerics.attacks import registry
from zoo_eval.numerics.attacks.registry import Attack
from zoo_eval.numerics.attacks.tighten import PASSES_PER_IMAGE, Minimal, tighten
from zoo_eval.stimuli import Pixels
from zoo_eval.trial import Trial

Logits = Callable[[Tensor], Tensor]


class MinimalAttack(Choices):
    """Minimal attacks on the images that the model classifies correctly.

    `canvas` is "own" (what the model sees: its own resize and crop come first) or the side in
    pixels of a common square canvas, with the model's resize inside the attack.
    """

    kind: Literal["minimal_attack"] = "minimal_attack"
    stimuli: str
    attacks: Annotated[tuple[str, ...], Field(min_length=1)] = ("ddn", "deepfool")
    norm: Literal["l2"] = "l2"
    canvas: Literal["own"] | Annotated[int, Field(ge=32)] = "own"
    options: dict[str, dict[str, int | float]] = Field(default_factory=dict)
    save_perturbations: bool = False

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True
    shares_work: ClassVar[bool] = False

    @model_validator(mode="after")
    def _known(self) -> "MinimalAttack":
        for name in (*self.attacks, *self.options):
            if name not in registry.ATTACKS:
                raise ValueError(f"unknown attack {name!r}; {nearest(name, registry.ATTACKS)}")
        for name, options in self.options.items():
            try:
                registry.build(name, options)
            except TypeError as error:
                raise ValueError(f"options of {name}: {error}") from error
        return self

    def trials(self, subject: Subject, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = imagenet_labelled(subject, inputs, self.stimuli)
        return [
            Trial(
                self.kind,
                self.version,
                "corrected",
                attack=name,
                parameters={
                    "norm": self.norm,
                    "canvas": self.canvas,
                    "decision": "argmax",
                    "options": dict(vars(self._attack(name))),
                    "save_perturbations": self.save_perturbations,
                },
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                seed=seed,
                **subject.identity,
            )
            for name in self.attacks
        ]

    def _attack(self, name: str) -> Attack:
        return registry.build(name, self.options.get(name, {}))

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        per_image = sum(
            self._attack(str(trial.attack)).passes_per_image() + PASSES_PER_IMAGE
            for trial in trials
        )
        return len(inputs.stimulus_set(self.stimuli)) * per_image

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result]:
        model, _ = bench.opened()
        stimuli, labels = bench.inputs.labelled(self.stimuli)
        for trial in trials:
            attack = self._attack(str(trial.attack))
            torch.manual_seed(trial.random_seed)
            attacked: list[dict[str, Any]] = []
            # A batch too large for the GPU is attacked again from its start, in halves.
            for rows in model.in_batches(
                list(zip(stimuli.images, labels, strict=True)),
                partial(self._attack_batch, model, attack),
            ):
                attacked.extend(rows)
            yield Result(trial, self._tables(trial, stimuli.ids, attacked))

    def _attack_batch(
        self, model: OpenModel, attack: Attack, batch: Sequence[tuple[Pixels, int]]
    ) -> list[dict[str, Any]]:
        view, logits = self._canvas(model, [image for image, _ in batch])
        labels = torch.tensor([label for _, label in batch], device=model.device)
        with torch.no_grad():
            clean = logits(view).argmax(1)
        correct = (clean == labels).nonzero()[:, 0]
        rows = [
            {
                "canvas_px": view.shape[-1],
                "norm": self.norm,
                "status": "already_wrong",
                "label": int(label),
                "clean_prediction": int(prediction),
                "n_forwards": 1,
                "n_backwards": 0,
            }
            for label, prediction in zip(labels, clean, strict=True)
        ]
        together = len(correct) if attack.batched else 1
        for start in range(0, len(correct), max(1, together)):
            chunk = correct[start : start + together]
            passes = _Passes(logits)
            chosen, classes = view[chunk], labels[chunk]
            minimal = tighten(passes, chosen, attack.perturb(passes, chosen, classes), classes)
            for place, index in enumerate(chunk.tolist()):
                rows[index] |= _outcome(minimal, chosen, place)
                rows[index]["n_forwards"] += passes.n_forwards
                rows[index]["n_backwards"] += passes.n_backwards
        return rows

    def _canvas(self, model: OpenModel, images: Sequence[Pixels]) -> tuple[Tensor, Logits]:
        if self.canvas == "own":
            return model.view(images), model.logits
        return model.transform.at(self.canvas).view_images(images, model.device), model

    def _tables(
        self, trial: Trial, stimulus_ids: Sequence[str], attacked: Sequence[dict[str, Any]]
    ) -> dict[str, list[dict[str, Any]]]:
        attacks: list[dict[str, Any]] = []
        perturbations: list[dict[str, Any]] = []
        for stimulus_id, row in zip(stimulus_ids, attacked, strict=True):
            key = {
                "trial_id": trial.id,
                "model": trial.model,
                "stimulus_id": stimulus_id,
                "attack": trial.attack,
            }
            perturbation = row.pop("perturbation", None)
            attacks.append({**key, **row})
            if self.save_perturbations and perturbation is not None:
                perturbations.append(
                    {
                        **key,
                        "shape": list(perturbation.shape),
                        "perturbation": perturbation.flatten().numpy(),
                    }
                )
        tables = {"attacks": attacks}
        return {**tables, "perturbations": perturbations} if perturbations else tables


class _Passes:
    """Logits that count the passes of a chunk of images, each as many as the whole chunk."""

    def __init__(self, logits: Logits) -> None:
        self.logits = logits
        self.n_forwards = 0
        self.n_backwards = 0

    def __call__(self, images: Tensor) -> Tensor:
        self.n_forwards += 1
        logits = self.logits(images)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]  # torch
        return logits

    def _count_backward(self, _gradient: Tensor) -> None:
        self.n_backwards += 1


def _outcome(minimal: Minimal, images: Tensor, place: int) -> dict[str, Any]:
    if not minimal.found[place]:
        return {"status": "bound_hit"}
    stored = minimal.perturbation[place].cpu()
    exact = stored.double()
    l2 = float(exact.norm())
    return {
        "status": "found",
        "distance": l2,
        "l2": l2,
        "linf": float(exact.abs().max()),
        "rms": l2 / exact.numel() ** 0.5,
        "relative_l2": l2 / float(images[place].double().norm()),
        "adversarial_prediction": int(minimal.prediction[place]),
        "perturbation": stored,
    }
