"""The evaluations a sweep file can name."""

from typing import Annotated

from pydantic import Field

from zoo_eval.evaluations.accuracy import Accuracy
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.features import Features
from zoo_eval.evaluations.human_alignment import HumanAlignment
from zoo_eval.evaluations.layers import Layers
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.evaluations.neural_fit import NeuralFit

AnyEvaluation = Annotated[
    Accuracy | Ceilings | Features | HumanAlignment | Layers | MinimalAttack | NeuralFit,
    Field(discriminator="kind"),
]
