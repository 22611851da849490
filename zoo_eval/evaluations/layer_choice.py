"""Layer choice: which layers of which models an evaluation is about."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator

from zoo_eval.catalog import fits
from zoo_eval.errors import Refusal
from zoo_eval.evaluations.evaluation import Candidate, EvaluationSection
from zoo_eval.models.blueprint import THINNED
from zoo_eval.networks import tokens
from zoo_eval.trial import Trial

Patterns = str | tuple[str, ...]
EVERY_MODEL = "*"


def _checked(
    choice: Patterns | dict[str, Patterns],
) -> Patterns | dict[str, Patterns]:
    if not choice:
        raise ValueError('it names no layers; write "blocks"')
    for patterns in choice.values() if isinstance(choice, dict) else [choice]:
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            named, _ = tokens.split(pattern)
            if "/" in named and not re.fullmatch(THINNED, named):
                raise ValueError(
                    f'{pattern!r}: only blocks are thinned; write "blocks/2" for every second one'
                )
    return choice


# `"blocks"`, `["blocks.*", "norm"]`, or either by pattern of model names.
LayerChoice = Annotated[Patterns | dict[str, Patterns], AfterValidator(_checked)]


class LayeredSection(EvaluationSection):
    """Base of the evaluations whose trials are of a layer each."""

    layers: LayerChoice = "blocks"

    @property
    def model_patterns(self) -> tuple[str, ...]:
        """Patterns of model names, in the order in which they are tried."""
        return tuple(self.layers) if isinstance(self.layers, dict) else (EVERY_MODEL,)

    def model_pattern(self, model: str) -> str | None:
        """The pattern that decides for a model: the first that fits; None if none does."""
        return next((key for key in self.model_patterns if fits(model, key)), None)

    def patterns_of(self, model_pattern: str) -> tuple[str, ...]:
        """The layers wanted of the models that a pattern decides for, as they are written."""
        found = self.layers[model_pattern] if isinstance(self.layers, dict) else self.layers
        return (found,) if isinstance(found, str) else found

    def patterns(self, model: str) -> tuple[str, ...]:
        """The layers wanted of a model, as they are written.

        Raises:
            Refusal: they are given by model, and nobody says which for this one.
        """
        if (key := self.model_pattern(model)) is None:
            raise Refusal(
                f'`layers` has no pattern that fits {model}; add "*" = "blocks" to it, or leave the '
                "model out"
            )
        return self.patterns_of(key)

    def chosen(self, candidate: Candidate) -> Sequence[str]:
        """The candidate's layers, in network order.

        Raises:
            Refusal: it has none of those wanted.
        """
        card, blueprint = candidate.known()
        return blueprint.layers(self.patterns(card.name))

    def over_layers(self, trial: Trial, candidate: Candidate) -> list[Trial]:
        """The trial once for each of the candidate's layers.

        Raises:
            Refusal: it has none of those wanted.
        """
        return [replace(trial, layer=layer) for layer in self.chosen(candidate)]
