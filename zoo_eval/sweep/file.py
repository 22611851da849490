"""Sweep: the validated sweep file; an unknown key is an error with its line and the nearest key."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zoo_eval.errors import BadInput, nearest
from zoo_eval.evaluations.registry import AnyEvaluation
from zoo_eval.importance.sections import AnyImportance, PlantedImportance
from zoo_eval.units import size_in_bytes


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSection(_Section):
    """Where the tables go."""

    uri: str


class EditsSection(_Section):
    """How a graded model differs from its checkpoint."""

    prune: float = 0.0
    noise: float = 0.0
    bits: int | None = None
    input_px: int | None = None


Three = tuple[float, float, float]


class TransformSection(_Section):
    """An own model's preprocessing: resize, centre crop, then (x - mean) / std."""

    input_px: Annotated[int, Field(ge=1)]
    resize_px: Annotated[int, Field(ge=1)]
    mean: Three
    std: Three
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    squash: bool = False

    @model_validator(mode="after")
    def _crop_fits(self) -> "TransformSection":
        if self.resize_px < self.input_px:
            raise ValueError("resize_px is smaller than input_px: there is nothing to crop")
        return self


def is_url(text: str | None) -> bool:
    """Whether a checkpoint is an address, not a path."""
    return text is not None and text.startswith(("https://", "http://"))


class LocalModel(_Section):
    """An own model: an architecture with a checkpoint, or untrained; or a function that builds it."""

    name: Annotated[str, Field(min_length=1)]
    architecture: str | None = None
    factory: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    transform: TransformSection | None = None
    weights: Literal["pretrained", "untrained"] = "pretrained"
    checkpoint: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    keys: str | dict[str, str] | None = None
    edits: EditsSection = EditsSection()
    reference_logits: str | None = None
    published_top1: Annotated[float, Field(gt=0, lt=1)] | None = None
    pretraining: str | None = None
    objective: str | None = None
    harmonized_from: str | None = None
    year: int | None = None
    licence: str | None = None

    @model_validator(mode="after")
    def _weights_are_one(self) -> "LocalModel":
        if self.weights == "untrained" and self.checkpoint is not None:
            raise ValueError("an untrained model has no checkpoint; remove one of the two")
        if (self.architecture is None) == (self.factory is None):
            raise ValueError("give `architecture` or `factory`, one of the two")
        if (self.sha256 is not None) != is_url(self.checkpoint):
            raise ValueError("`sha256` goes with a `checkpoint` that is an address, and only there")
        if self.transform is not None and self.edits.input_px is not None:
            raise ValueError("`transform` says the input size; remove `input_px`")
        return self


class ModelsSection(_Section):
    """Which models of the catalogue, and own ones."""

    include: Annotated[tuple[str, ...], Field(min_length=1)]
    exclude: tuple[str, ...] = ()
    weights: Literal["pretrained", "untrained"] = "pretrained"
    local: tuple[LocalModel, ...] = ()
    cards: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


class CardFile(_Section):
    """Own models in a file of their own, which several sweeps may name."""

    models: Annotated[tuple[LocalModel, ...], Field(min_length=1)]


class FolderStimuli(_Section):
    """Images of a folder, labelled by a CSV (columns image, label) or by their names."""

    kind: Literal["folder"]
    path: str
    include: tuple[str, ...] = ("*",)
    labels: str | None = None
    label_pattern: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


class CropStimuli(_Section):
    """Seeded random crops of other stimulus sets; crops of one photo stay in one fold."""

    kind: Literal["crops"]
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    n: Annotated[int, Field(ge=1)]
    size_px: Annotated[int, Field(ge=32)] = 224
    seed: int = 0


class ImportanceStimuli(_Section):
    """The images and labels that came with human maps."""

    kind: Literal["importance"]
    importance: str


class PlantedRecording(_Section):
    """Responses planted in a layer of one of the sweep's models."""

    kind: Literal["planted"]
    stimuli: str
    model: str
    layer: str
    n_components: Annotated[int, Field(ge=1)] = 20
    n_targets: Annotated[int, Field(ge=1)] = 64
    n_repetitions: Annotated[int, Field(ge=1)] = 8
    noise: Annotated[float, Field(ge=0)] = 1.0
    seed: int = 0


class ParquetRecording(_Section):
    """Responses in one Parquet file: stimulus_id, repetition, target_id, response.

    `ceilings` is a CSV (target, ceiling) of what was published with them, on the stated scale.
    """

    kind: Literal["parquet"]
    stimuli: str
    path: str
    ceilings: str | None = None
    ceiling_scale: Literal["reliability", "correlation", "variance"] = "reliability"


class RdmRecording(_Section):
    """Dissimilarities alone: one matrix, or one per subject, in the order of the stimuli.

    `dissimilarity` says what they are, where that is known: CKA and Procrustes need squared
    Euclidean distances, from which inner products follow.
    """

    kind: Literal["rdm"]
    stimuli: str
    path: str
    variable: str | None = None
    dissimilarity: Literal["unknown", "squared_euclidean"] = "unknown"


class RunSection(_Section):
    """How it is run; nothing here changes a number, except the seed."""

    memory_budget: str = "2GiB"
    gpus_per_model: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    seed: int = 0

    @property
    def memory_budget_bytes(self) -> int:
        return size_in_bytes(self.memory_budget)

    @field_validator("memory_budget")
    @classmethod
    def _is_a_size(cls, text: str) -> str:
        size_in_bytes(text)
        return text


AnyStimuli = Annotated[FolderStimuli | CropStimuli | ImportanceStimuli, Field(discriminator="kind")]
AnyRecording = Annotated[
    PlantedRecording | ParquetRecording | RdmRecording, Field(discriminator="kind")
]


class Sweep(_Section):
    """Models x evaluations, and what they need."""

    store: StoreSection
    models: ModelsSection
    stimuli: dict[str, AnyStimuli] = Field(default_factory=dict)
    recordings: dict[str, AnyRecording] = Field(default_factory=dict)
    importance: dict[str, AnyImportance] = Field(default_factory=dict)
    evaluations: Annotated[tuple[AnyEvaluation, ...], Field(min_length=1)]
    run: RunSection = RunSection()


def read(path: Path) -> Sweep:
    """The sweep in a TOML file.

    Raises:
        BadInput: the file is absent, is not TOML, or has a wrong key or value (with its line).
    """
    return _read(path, Sweep)


def read_cards(path: Path) -> tuple[LocalModel, ...]:
    """The models in a card file.

    Raises:
        BadInput: the file is absent, is not TOML, or has a wrong key or value (with its line).
    """
    return _read(path, CardFile).models


F = TypeVar("F", Sweep, CardFile)


def _read(path: Path, kind: type[F]) -> F:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"file {path} cannot be read ({error}); correct the path") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path}: not valid TOML: {error}") from error
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise BadInput(_explain(path, text, error, kind.model_json_schema())) from error


def relative_paths(sweep: Sweep) -> list[str]:
    """The sweep file's paths that mean nothing without the submitter's folder."""
    texts = [sweep.store.uri]
    texts += [
        path for m in sweep.models.local for path in (m.checkpoint, m.reference_logits) if path
    ]
    texts += [*sweep.models.cards, *sweep.models.facts]
    for stimuli in sweep.stimuli.values():
        if isinstance(stimuli, FolderStimuli):
            texts += [path for path in (stimuli.path, stimuli.labels) if path]
    for recording in sweep.recordings.values():
        if isinstance(recording, ParquetRecording):
            texts += [path for path in (recording.path, recording.ceilings) if path]
        elif isinstance(recording, RdmRecording):
            texts.append(recording.path)
    for maps in sweep.importance.values():
        if not isinstance(maps, PlantedImportance):
            texts.append(maps.path)
    return [
        text
        for text in texts
        if "://" not in text
        and not text.startswith("package:")
        and not Path(text).expanduser().is_absolute()
    ]


def _explain(path: Path, text: str, error: ValidationError, schema: dict[str, Any]) -> str:
    # A misspelt key is both unknown and missing: the first names it.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    place, known = _walk(first["loc"], schema)
    key = ".".join(str(part) for part in place)
    where = f"{path}, line {line_of(text, place)}: {key or 'the file'}"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key; {nearest(str(place[-1]), known)}"
    if first["type"] == "missing":
        return f"{where}: this key is required; add it"
    if first["type"] == "union_tag_not_found":
        return f"{where}: `kind` is required; add it"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}; correct the value"


def _walk(
    location: Sequence[int | str], schema: dict[str, Any]
) -> tuple[list[int | str], list[str]]:
    """An error's place as it stands in the file, and the keys known beside it.

    Where a section has several kinds, the location also holds the kind, which is no key.
    """
    node = schema
    place: list[int | str] = []
    known: list[str] = []
    for part in location:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        if "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"].get(part, "/")}
            continue
        known = sorted(node.get("properties", {}))
        place.append(part)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        if not isinstance(node, dict):
            node = {}
    return place, known


def line_of(text: str, place: Sequence[int | str]) -> int:
    """The line (from 1) where a key stands, or else its section's header; 1 if neither is found."""
    lines = text.splitlines()
    for length in range(len(place), -1, -1):
        header = ".".join(str(part) for part in place[:length] if isinstance(part, str))
        number = next((part for part in place[:length] if isinstance(part, int)), 0)
        pattern = rf"\s*\[\[?\s*{re.escape(header)}\s*\]"
        hits = [i for i, line in enumerate(lines) if header and re.match(pattern, line)]
        if header and number >= len(hits):
            continue
        start = hits[number] if header else -1
        for i in range(start + 1, len(lines)):
            if re.match(r"\s*\[", lines[i]):
                break
            if any(
                re.match(rf"\s*[\"']?{re.escape(str(p))}[\"']?\s*=", lines[i])
                for p in place[length:]
            ):
                return i + 1
        return max(1, start + 1)
    return 1
