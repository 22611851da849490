"""RunFile: the validated RUN.toml; an unknown key is an error with its line and the nearest key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from zoo_eval import section
from zoo_eval.evaluations.evaluation import EvaluationSection
from zoo_eval.importance.maps import ImportanceSection
from zoo_eval.numerics.harmonization import (
    LossName,
    Mismatch,
    PyramidName,
    SaliencyName,
    StandardName,
)
from zoo_eval.numerics.precision import FLOAT16, Numerics, NumericsName
from zoo_eval.recordings.recording import RecordingSection
from zoo_eval.section import Section, WrongSection
from zoo_eval.stimuli.stimulus_set import StimuliSection
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep import toml
from zoo_eval.sweep.cards import ModelsSection
from zoo_eval.sweep.file import ComputeSection, StoreSection

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
LAMBDA = "lambda"
NAME = r"^[A-Za-z0-9][\w.-]*$"


class HarmonizeSection(Section):
    """What is learned: the labels of `mapped` and `unmapped` images, and the maps of the mapped ones.

    `name` names the result, harmonized/NAME, and its control, harmonized/NAME_control, which is
    trained alike but for lambda = 0; `control` may instead be the name of one that is in the store
    already. Of each epoch's images, `share_mapped` are mapped; without `unmapped` ones all are. The
    rest says how saliency and maps are compared (Fel et al. 2022).
    """

    name: Annotated[str, Field(pattern=NAME, max_length=100)]
    mapped: str
    importance: str
    unmapped: str | None = None
    share_mapped: Annotated[float, Field(gt=0, lt=1)] = 0.2
    weight: Annotated[float, Field(ge=0, alias=LAMBDA)] = 1.0
    control: bool | Annotated[str, Field(pattern=NAME)] = True
    loss: LossName = "squared"
    saliency: SaliencyName = "signed_mean"
    standard: StandardName = "z_relu"
    pyramid: PyramidName = "binomial"
    levels: Annotated[int, Field(ge=1, le=8)] = 5
    temperature: Positive = 1.0

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        return tuple(sorted(field.alias or name for name, field in cls.model_fields.items()))

    @property
    def mismatch(self) -> Mismatch:
        return Mismatch(
            self.saliency, self.standard, self.levels, self.loss, self.pyramid, self.temperature
        )

    @property
    def chosen(self) -> dict[str, object]:
        """What determines the weights besides lambda: the younger keys only where they say something."""
        younger = {"loss", "pyramid", "temperature"}
        unsaid = {
            key for key in younger if getattr(self, key) == type(self).model_fields[key].default
        }
        return self.model_dump(exclude={"name", "control", "weight", *unsaid})

    @model_validator(mode="after")
    def _compares_pairs(self) -> Self:
        if self.temperature != 1 and self.loss != "contrastive":
            raise ValueError('`temperature` goes with loss = "contrastive"; remove it')
        return self


class TrainingSection(Section):
    """How it is learned: stochastic gradient descent as published, or AdamW.

    `batch_size` is that of a step, over all `workers` and `accumulate` parts of it. The learning rate
    rises over `warmup_epochs`, and is multiplied by `drop` at each of `drop_epochs`. `ema` is the
    decay of a moving average of the weights, which is then the result. `last_stages` trains only
    so many stages of the network, and its classifier. `batch_norm = "frozen"` keeps the running
    statistics as they are. Crops take `crop_area` of an image, of sides `crop_ratio`.
    """

    epochs: Count = 90
    batch_size: Count = 1024
    accumulate: Count = 1
    workers: Count = 1
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.1
    momentum: Share = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 5
    drop_epochs: tuple[Annotated[int, Field(ge=1)], ...] = (30, 60, 80)
    drop: Positive = 0.1
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    last_stages: Count | None = None
    batch_norm: Literal["per_worker", "frozen"] = "per_worker"
    crop_area: tuple[Positive, Positive] = (0.08, 1.0)
    crop_ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)
    flip: bool = True

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        parts = self.workers * self.accumulate
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared equally by {self.workers} workers x "
                f"{self.accumulate} parts; choose a multiple of {parts}"
            )
        if self.crop_area[0] > self.crop_area[1] or self.crop_area[1] > 1:
            raise ValueError("crop_area: give [least, most] of an image's area, up to 1")
        if self.crop_ratio[0] > self.crop_ratio[1]:
            raise ValueError("crop_ratio: give [least, most]")
        return self


class TrainingComputeSection(ComputeSection):
    """By what a network is trained: as in a sweep, or `fp16`, float16 factors with scaled gradients."""

    numerics: NumericsName | Literal["fp16"] = "float32"  # type: ignore[assignment]  # one more

    @property
    def numerically(self) -> Numerics:
        return FLOAT16 if self.numerics == FLOAT16.name else super().numerically


class ValidationSection(Section):
    """What each epoch is tested on: labelled images, and their human maps."""

    stimuli: str
    importance: str


class RunFile(Section):
    """A model, what it learns from and how, and what each epoch is tested on."""

    store: StoreSection
    models: ModelsSection
    stimuli: dict[str, SerializeAsAny[StimuliSection]]
    importance: dict[str, SerializeAsAny[ImportanceSection]]
    harmonize: HarmonizeSection
    training: TrainingSection = TrainingSection()
    validation: ValidationSection
    run: TrainingComputeSection = TrainingComputeSection()

    # No recording is named here, and nothing but the network's own validation is evaluated.
    @property
    def recordings(self) -> Mapping[str, RecordingSection]:
        return {}

    @property
    def evaluations(self) -> tuple[EvaluationSection, ...]:
        return ()


def read(path: Path, home: Path | None) -> RunFile:
    """The run in a TOML file; its paths start from the folder `home`, None where nobody knows.

    Raises:
        BadInput: the file is absent, is not TOML, or has a wrong key or value (with its line).
    """
    text, content = toml.opened(path)
    try:
        parts = sweep_file.with_kinds(content, ("stimuli", "importance"), home)
        return section.read(RunFile, parts, home)
    except WrongSection as error:
        raise toml.explained(path, text, error) from error
