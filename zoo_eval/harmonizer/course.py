"""Course: one network to be trained, harmonized or its control, with all that it is trained on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import canonical_json
from zoo_eval.errors import BadInput, nearest
from zoo_eval.harmonizer.run_file import RunFile
from zoo_eval.harmonizer.samples import Samples
from zoo_eval.harmonizer.validation import Validation
from zoo_eval.inputs import Inputs
from zoo_eval.models.blueprint import Blueprint, blueprint
from zoo_eval.sources.registry import source_of
from zoo_eval.store import Store
from zoo_eval.sweep.cards import roster
from zoo_eval.sweep.harmonized import PREFIX
from zoo_eval.sweep.load import read_inputs
from zoo_eval.trial import Trial

EVALUATION = "harmonize"
# Moves when, and only when, the weights of the same run move.
VERSION = 1
CONTROL = "_control"


@dataclass(frozen=True, eq=False)
class Material:
    """What both networks of a run have in common: where they start, and what they are shown."""

    run: RunFile
    card: ModelCard
    plan: Blueprint
    inputs: Inputs

    @classmethod
    def of(cls, run: RunFile) -> "Material":
        """Everything that a run file names, read and checked.

        Raises:
            BadInput: something named is unknown, wrong, or does not fit the rest.
            Refusal: the model or its images cannot be used.
        """
        models = roster(run.models)
        if len(models.cards) != 1:
            names = ", ".join(card.name for card in models.cards[:3])
            raise BadInput(
                f"[models] means {len(models.cards)} models ({names}, ...); name the one to be trained"
            )
        (card,) = models.cards
        material = cls(run, card, blueprint(card), read_inputs(run, models, "streamed"))
        material.check()
        return material

    @cached_property
    def samples(self) -> Samples:
        run = self.run
        seen = (self.plan.transform, run.run.seed)
        return Samples.of(self.inputs, run.harmonize, run.training, seen)

    @cached_property
    def validation(self) -> Validation:
        asked = self.run.validation
        return Validation.of(self.inputs, asked.stimuli, asked.importance, self.plan.transform)

    def check(self) -> None:
        """Refuses what cannot be trained, before any work.

        Raises:
            BadInput: labels outside the head, too few images, or maps of other images.
            Refusal: a model whose weights are not those of its architecture alone.
        """
        n_classes = self.plan.anatomy.n_classes
        self.samples.check(n_classes)
        shown = self.validation.stimuli
        assert shown.labels is not None
        if outside := [one for one in shown.labels if not 0 <= one < n_classes]:
            raise BadInput(
                f"stimuli {shown.name!r} have label {outside[0]}, outside the network's {n_classes} "
                "classes (from 0); correct the labels"
            )
        skeleton = source_of(self.card.architecture).skeleton(self.card.architecture)
        if list(skeleton.state_dict()) != list(self.plan.outline.state_dict()):
            raise BadInput(
                f"{self.card.name} classifies by the names of classes, not by weights of its own, which "
                "could be trained; choose a model with a classifier"
            )
        if self.card.edits.of_weights:
            raise BadInput(
                f"{self.card.name} is graded; train the model without `edits`, and grade what comes of it"
            )

    def courses(self) -> list["Course"]:
        """The network to be harmonized and, unless there is none or it is trained, its control."""
        what = self.run.harmonize
        if isinstance(what.control, str):
            return [Course(self, what.name, what.weight, PREFIX + what.control)]
        control = Course(self, what.name + CONTROL, 0.0)
        if not what.control:
            return [Course(self, what.name, what.weight)]
        return [Course(self, what.name, what.weight, control.model), control]

    def check_control(self, store: Store) -> None:
        """Refuses a control by name that is not in the store, or was trained otherwise.

        Raises:
            BadInput: it is not what this run's own control would be.
        """
        name = self.run.harmonize.control
        if not isinstance(name, str):
            return
        rows = {row["model"]: row for row in store.read("training_runs").to_pylist()}
        row = rows.get(PREFIX + name)
        if row is None:
            known = [
                one.removeprefix(PREFIX)
                for one, of in rows.items()
                if not of["harmonization_lambda"]
            ]
            raise BadInput(
                f"control {name!r} is not in store {store.name}; {nearest(name, known)}; train it first, "
                "with lambda = 0"
            )
        wanted = canonical_json(Course(self, name, 0.0).configuration)
        if row["configuration"] != wanted:
            raise BadInput(
                f"control {name!r} differs from this run in more than lambda; train one with the same "
                "data, training and seed"
            )


@dataclass(frozen=True, eq=False)
class Course:
    """One of the networks of a run: its name, the weight of the harmonization loss, and its control."""

    material: Material
    name: str
    weight: float
    control: str | None = None

    @property
    def model(self) -> str:
        """The name of the result's card."""
        return PREFIX + self.name

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """Everything that determines the weights."""
        run, samples = self.material.run, self.material.samples
        validated = self.material.validation.stimuli
        return {
            "version": VERSION,
            "model": self.material.card.name,
            "weights_digest": self.material.plan.weights_digest,
            "architecture": self.material.card.architecture,
            "transform": self.material.plan.transform.key,
            "stimuli": [one.digest for one in samples.sets],
            "importance": samples.maps.digest,
            "validation": [
                validated.digest,
                self.material.inputs.maps(run.validation.importance, validated).digest,
            ],
            "harmonize": {**run.harmonize.chosen, "lambda": self.weight},
            "training": run.training.model_dump(),
            "numerics": run.run.numerically.key,
            "seed": run.run.seed,
        }

    @cached_property
    def trial(self) -> Trial:
        """The run as a trial: its id is that of the run."""
        return self._trial("run", self.configuration)

    def epoch_trial(self, epoch: int) -> Trial:
        """An epoch of it as a trial, so that its metrics are written once."""
        return self._trial("epoch", {"run": self.trial.id, "epoch": epoch})

    def _trial(self, protocol: str, parameters: dict[str, Any]) -> Trial:
        samples = self.material.samples
        return Trial(
            EVALUATION,
            VERSION,
            protocol,
            parameters=parameters,
            model=self.model,
            architecture=self.material.card.architecture,
            stimuli=samples.mapped.name,
            stimuli_digest=samples.mapped.digest,
            importance=samples.maps.name,
            importance_digest=samples.maps.digest,
            seed=self.material.run.run.seed,
            numerics=self.material.run.run.numerically.key,
        )

    def card_json(self) -> str:
        """What opens the result, whatever was trained, as JSON."""
        card = self.material.card
        return canonical_json(
            {
                "architecture": card.architecture,
                "transform": self.material.plan.transform.key,
                "harmonized_from": card.name if self.weight else None,
                "family": card.family,
                "pretraining": card.pretraining,
                "objective": "harmonization" if self.weight else card.objective,
                "year": card.year,
                "licence": card.licence,
            }
        )
