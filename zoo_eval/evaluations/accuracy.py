"""Top-1 and top-5 accuracy on labelled stimuli, with Wilson intervals."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import torch

from zoo_eval.evaluations.evaluation import (
    Candidate,
    EvaluationSection,
    Passed,
    Result,
    Workbench,
    imagenet_labelled,
)
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.intervals import wilson
from zoo_eval.trial import Trial


class Accuracy(EvaluationSection):
    """The share of images whose label is the model's first choice, and among its first five."""

    kind: Literal["accuracy"] = "accuracy"
    stimuli: str

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = imagenet_labelled(candidate, inputs, self.stimuli)
        return [
            Trial(
                self.kind,
                self.version,
                "standard",
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                seed=seed,
                **candidate.identity,
            )
        ]

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        return len(inputs.stimulus_set(self.stimuli))

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        model, _ = bench.opened()
        stimuli, labels = bench.inputs.labelled(self.stimuli)
        yield from bench.told(model.predicting(stimuli))
        logits = model.predictions(stimuli)
        if not logits.isfinite().all():
            raise ArithmeticError(f"{model.card.name} gives non-finite logits")
        first_five = logits.topk(5, dim=1).indices
        hits = first_five == torch.tensor(labels)[:, None]
        n_images, n_top1, n_top5 = len(stimuli), int(hits[:, 0].sum()), int(hits.sum())
        top1_low, top1_high = wilson(n_top1, n_images)
        top5_low, top5_high = wilson(n_top5, n_images)
        row = {
            "top1": n_top1 / n_images,
            "top1_low": top1_low,
            "top1_high": top1_high,
            "top5": n_top5 / n_images,
            "top5_low": top5_low,
            "top5_high": top5_high,
            "n_images": n_images,
        }
        yield Result(trials[0], {"accuracy": [row]})
