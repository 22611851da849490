"""Whether the pixels that move the true class's logit are those that people look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from zoo_eval.digests import seed_from
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.evaluations.alignment_rows import (
    STANDARD,
    ChannelReductions,
    Reduction,
    SeenMaps,
)
from zoo_eval.evaluations.evaluation import (
    Candidate,
    Passed,
    Result,
    Workbench,
    imagenet_labelled,
)
from zoo_eval.evaluations.regions import Canvas, PlacedSection, canvas_px
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import OpenModel
from zoo_eval.numerics.alignment import former, renamed
from zoo_eval.numerics.saliency.method import Logits, Method, NotAttributable
from zoo_eval.numerics.saliency.registry import METHODS
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.trial import Trial
from zoo_eval.views.views import Views


@dataclass(frozen=True, eq=False)
class Attribution:
    """What gives attributions of each stimulus's true logit to its pixels, on a canvas.

    `draws` names what is drawn: an image's noise does not depend on how many fit a batch.
    """

    model: OpenModel
    method: Method
    stimuli: StimulusSet
    labels: Sequence[int]
    canvas: Canvas
    draws: str

    @cached_property
    def _views(self) -> Views:
        return self.model.views(self.stimuli, canvas_px(self.canvas))

    def of(self, numbers: Sequence[int]) -> tuple[Sequence[int], Tensor]:
        """The attributions (image, channel, row, column) of these stimuli, on the CPU.

        Raises:
            Refusal: the model has no gradient to the pixels, or no such class.
        """
        model, stimuli = self.model, self.stimuli
        pixels = self._views[numbers]
        logits: Logits = model.logits if self.canvas == "own" else model
        seeds = [seed_from(f"{self.draws}/{stimuli.ids[n]}") for n in numbers]
        true = torch.tensor([self.labels[n] for n in numbers], device=model.device)
        try:
            return numbers, self.method.attribute(logits, pixels, true, seeds).cpu()
        except NotAttributable as error:
            raise Refusal(str(error)) from error


class HumanAlignment(PlacedSection):
    """Spearman's rho, image by image, of a saliency map with the human map of that image.

    `input_gradient` with `abs_max` is the metric of Fel et al. 2022. `canvas` is "own" (what the
    model sees: its own resize and crop come first, for the maps too) or the side in pixels of a
    common square canvas, with the model's resize inside the gradient. `options` are by method.

    Of a canvas, `region` says which pixels count, in attributions, maps and null: those that reach
    the model ("seen"), those that reach every model of the sweep ("common"), or all of them
    ("defect_unseen_frame"), the zeros around the model's crop too.
    """

    kind: Literal["human_alignment"] = "human_alignment"
    stimuli: str
    importance: str
    methods: Annotated[tuple[str, ...], Field(min_length=1)] = ("input_gradient",)
    channel_reductions: Annotated[tuple[Reduction, ...], Field(min_length=1)] = STANDARD
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    version: ClassVar[int] = 1
    needs_model: ClassVar[bool] = True

    @model_validator(mode="after")
    def _known(self) -> "HumanAlignment":
        for name in (*self.methods, *self.options):
            try:
                METHODS.get(name)
            except BadInput as error:
                raise ValueError(str(error)) from error
            try:
                self._method(name)
            except (TypeError, ValueError) as error:
                raise ValueError(f"options of {name}: {error}") from error
        return self

    def _method(self, name: str) -> Method:
        return METHODS.get(name)(**self.options.get(name, {}))

    def trials(self, candidate: Candidate, inputs: Inputs, seed: int) -> Sequence[Trial]:
        stimuli = imagenet_labelled(candidate, inputs, self.stimuli)
        maps = inputs.maps(self.importance, stimuli)
        _, blueprint = candidate.known()
        place = self.place(blueprint.transform, inputs)
        maps.check_view(place.transform, stimuli)
        return [
            Trial(
                self.kind,
                self.version,
                "standard",
                parameters={
                    "method": name,
                    "options": dict(vars(self._method(name))),
                    "channel_reductions": [former(one) for one in self.channel_reductions],
                    "canvas": self.canvas,
                    **place.parameters,
                    "importance": maps.key,
                },
                stimuli=stimuli.name,
                stimuli_digest=stimuli.digest,
                importance=maps.name,
                importance_digest=maps.digest,
                seed=seed,
                **candidate.identity,
            )
            for name in self.methods
        ]

    def n_passes(self, trials: Sequence[Trial], inputs: Inputs) -> int:
        each = sum(2 * self._method(trial.parameters["method"]).n_passes for trial in trials)
        return len(inputs.stimulus_set(self.stimuli)) * each

    def run(self, trials: Sequence[Trial], bench: Workbench) -> Iterator[Result | Passed]:
        model, _ = bench.opened()
        stimuli, labels = bench.inputs.labelled(self.stimuli)
        maps = bench.inputs.maps(self.importance, stimuli)
        seen = SeenMaps.at(self.place(model.transform, bench.inputs), maps, stimuli)
        for trial in trials:
            name = trial.parameters["method"]
            work = Attribution(model, self._method(name), stimuli, labels, self.canvas, trial.id)
            reductions = ChannelReductions(
                self.channel_reductions, renamed(METHODS.get(name).published_reduction)
            )
            begun, n_each = bench.begun(trial), 2 * work.method.n_passes
            at_most = model.at_a_time(n_each)
            yield from bench.passed(n_each * at_most)
            numbers = range(begun.n_done, len(stimuli))
            for some, attributions in model.in_batches(numbers, work.of, at_most=at_most):
                found = seen.rows(attributions, some, reductions)
                begun.add([{"method": name, **row} for row in found], len(some))
                yield from bench.passed(n_each * at_most)
            yield Result(trial, {"alignment": begun.rows})
