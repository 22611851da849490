"""The smallest perturbation that changes each image's decision, in [0, 1] pixels."""

from collections.abc import Iterator, Sequence
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
from zoo_eval.numerics.attacks.decisions import Argmax, Decision, TopK, animate
from zoo_eval.numerics.attacks.ensemble import Ensemble
from zoo_eval.numerics.attacks.foolbox_adapter import PREFIX
from zoo_eval.numerics.attacks.logits import Counted, Logits, at_rows
from zoo_eval.numerics.attacks.norms import Norm
from zoo_eval.numerics.attacks.registry import Attack
from zoo_eval.numerics.attacks.tighten import PASSES_PER_IMAGE, Minimal, tighten
from zoo_eval.stimuli import Pixels
from zoo_eval.trial import Trial


class MinimalAttack(Choices):
    """Minimal attacks on the images that the model classifies correctly.

    `attacks` are names of the registry, or `foolbox:NAME` for any of Foolbox's. `canvas` is "own"
    (what the model sees: its own resize and crop come first) or the side in pixels of a common
    square canvas, with the model's resize inside the attack. `decision` is what must change: the
    class, whether it is animate, or whether the label is among the first `top_k`.
    """

    kind: Literal["minimal_attack"] = "minimal_attack"
    stimuli: str
    attacks: Annotated[tuple[str, ...], Field(min_length=1)] = ("ddn", "deepfool")
    norm: Norm = "l2"
    decision: Literal["argmax", "animate", "top_k"] = "argmax"
    top_k: Annotated[int, Field(ge=1)] = 5
    canvas: Literal["own"] | Annotated[int, Field(ge=32)] = "own"
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    save_perturbations: bool = False

    version: ClassVar[int] = 2
    needs_model: ClassVar[bool] = True
    shares_work: ClassVar[bool] = False

    @model_validator(mode="after")
    def _known(self) -> "MinimalAttack":
        for name in (*self.attacks, *self.options):
            if name not in registry.ATTACKS and not name.startswith(PREFIX):
                raise ValueError(f"unknown attack {name!r}; {nearest(name, registry.ATTACKS)}")
        # Options stay where they are while `attacks` is narrowed for a while.
        for name in (*self.attacks, *self.options):
            try:
                self._attack(name)
            except (TypeError, ValueError) as error:
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
                    "decision": self._decided,
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
        return registry.build(name, self.options.get(name, {}), self.norm)

    @property
    def _decided(self) -> str:
        return f"top_{self.top_k}" if self.decision == "top_k" else self.decision

    def _decision(self) -> Decision:
        if self.decision == "animate":
            return animate()
        return TopK(self.top_k) if self.decision == "top_k" else Argmax()

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        per_image = sum(
            self._attack(str(trial.attack)).passes_per_image() + PASSES_PER_IMAGE + 2
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
        decided, options = self._decision().applied(logits, labels)
        with torch.no_grad():
            seen = logits(view)
            answers, _ = self._decision().applied(lambda _images: seen, labels)
            clean, correct = seen.argmax(1), (answers(view).argmax(1) == options).nonzero()[:, 0]
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
            passes = Counted.of(at_rows(decided, chunk), len(chunk))
            chosen, own = view[chunk], options[chunk]
            candidates, winners = _perturbed(attack, passes, chosen, own)
            minimal = tighten(passes, chosen, candidates, own, self.norm)
            with torch.no_grad():
                predicted = logits(chosen + minimal.perturbation.float()).argmax(1)
            for place, index in enumerate(chunk.tolist()):
                found = _outcome(minimal, chosen, place, self.norm)
                if found["status"] == "found":
                    found["adversarial_prediction"] = int(predicted[place])
                    found["winner"] = winners[place]
                rows[index] |= found
                rows[index]["n_forwards"] += int(passes.n_forwards[place]) + 1
                rows[index]["n_backwards"] += int(passes.n_backwards[place])
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


def _perturbed(
    attack: Attack, logits: Logits, images: Tensor, labels: Tensor
) -> tuple[Tensor, list[str | None]]:
    """Candidates, and for an ensemble the attack that found each."""
    if not isinstance(attack, Ensemble):
        return attack.perturb(logits, images, labels), [None] * len(images)
    best = attack.best(logits, images, labels)
    return best.candidates, [best.names[i] if i >= 0 else None for i in best.winner.tolist()]


def _outcome(minimal: Minimal, images: Tensor, place: int, norm: Norm) -> dict[str, Any]:
    if not minimal.found[place]:
        return {"status": "bound_hit"}
    stored = minimal.perturbation[place].cpu()
    exact = stored.double()
    l2, linf = float(exact.norm()), float(exact.abs().max())
    return {
        "status": "found",
        "distance": l2 if norm == "l2" else linf,
        "l2": l2,
        "linf": linf,
        "rms": l2 / exact.numel() ** 0.5,
        "relative_l2": l2 / float(images[place].double().norm()),
        "perturbation": stored,
    }
