"""Sweep: the validated sweep file; an unknown key is an error with its line and the nearest key."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, field_validator

from zoo_eval import section
from zoo_eval.evaluations.evaluation import EVALUATIONS, EvaluationSection
from zoo_eval.importance.maps import IMPORTANCE, ImportanceSection
from zoo_eval.numerics.precision import NUMERICS, Numerics, NumericsName
from zoo_eval.paths import SweepPath
from zoo_eval.recordings.recording import RECORDINGS, RecordingSection
from zoo_eval.registry import Registry
from zoo_eval.section import KindSection, Place, Section, WrongSection
from zoo_eval.stimuli.stimulus_set import STIMULI, StimuliSection
from zoo_eval.sweep import toml
from zoo_eval.sweep.cards import ModelsSection
from zoo_eval.units import size_in_bytes
from zoo_eval.views.kept import DEFAULT_BUDGET, ViewFolder
from zoo_eval.views.views import NO_FOLDER


class StoreSection(Section):
    """Where the tables go: a folder, or s3://bucket/prefix."""

    uri: SweepPath


@dataclass(frozen=True)
class Budgets:
    """What a process may take: bytes of memory for its Gram matrices, and the folder of its views."""

    memory_bytes: int
    views: ViewFolder = NO_FOLDER


class ComputeSection(Section):
    """By what a run computes; nothing here changes a number, except the seed and the numerics.

    `numerics` are those of networks: `float32`, every product of float32 factors as they are;
    `tf32`, which lets a GPU round the factors to TensorFloat-32; `bf16`, which casts them to bfloat16.
    """

    memory_budget: str = "2GiB"
    seed: int = 0
    numerics: NumericsName = "float32"

    @property
    def numerically(self) -> Numerics:
        """How networks are run."""
        return NUMERICS[self.numerics]

    @property
    def memory_budget_bytes(self) -> int:
        return size_in_bytes(self.memory_budget)

    @field_validator("memory_budget", "view_budget", check_fields=False)
    @classmethod
    def _is_a_size(cls, text: str) -> str:
        size_in_bytes(text)
        return text


class RunSection(ComputeSection):
    """How a sweep is run.

    Fits and similarities are float64 whatever `numerics` says. `view_budget` is the disk that what
    models see of stimuli may take in each machine's cache folder; "0GiB" keeps none.
    """

    view_budget: str = DEFAULT_BUDGET
    gpus_per_model: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"

    @property
    def budgets(self) -> Budgets:
        """What a process may take."""
        views = ViewFolder(size_in_bytes(self.view_budget))
        return Budgets(self.memory_budget_bytes, views)


class Sweep(Section):
    """Models x evaluations, and what they need."""

    store: StoreSection
    models: ModelsSection
    stimuli: dict[str, SerializeAsAny[StimuliSection]] = Field(default_factory=dict)
    recordings: dict[str, SerializeAsAny[RecordingSection]] = Field(default_factory=dict)
    importance: dict[str, SerializeAsAny[ImportanceSection]] = Field(default_factory=dict)
    evaluations: Annotated[tuple[SerializeAsAny[EvaluationSection], ...], Field(min_length=1)]
    run: RunSection = RunSection()

    def at(self, store: SweepPath) -> "Sweep":
        """The same with another store."""
        return self.model_copy(update={"store": StoreSection(uri=store)})


# The tables whose entries say their kind.
KINDS: Mapping[str, Registry[Any]] = {
    "stimuli": STIMULI,
    "recordings": RECORDINGS,
    "importance": IMPORTANCE,
}


def read(path: Path, home: Path | None) -> Sweep:
    """The sweep in a TOML file; its paths start from the folder `home`, None where nobody knows.

    Raises:
        BadInput: the file is absent, is not TOML, or has a wrong key or value (with its line).
    """
    text, content = toml.opened(path)
    try:
        return parsed(content, home)
    except WrongSection as error:
        raise toml.explained(path, text, error) from error


def parsed(content: Mapping[str, Any], home: Path | None) -> Sweep:
    """The sweep that tables and keys describe; each section of a kind reads itself.

    Raises:
        WrongSection: a wrong key or value.
    """
    parts = with_kinds(content, KINDS, home)
    if isinstance(evaluations := parts.get("evaluations"), list | tuple):
        numbered = _entries("evaluations", enumerate(evaluations), EVALUATIONS, home)
        parts["evaluations"] = [one for _, one in numbered]
    return section.read(Sweep, parts, home)


def with_kinds(
    content: Mapping[str, Any], tables: Iterable[str], home: Path | None
) -> dict[str, Any]:
    """Tables and keys; the entries of some tables, which say their kind, as sections of it.

    Raises:
        WrongSection: a wrong key or value in one of them.
    """
    parts = dict(content)
    for table in tables:
        if isinstance(entries := parts.get(table), Mapping):
            parts[table] = dict(_entries(table, entries.items(), KINDS[table], home))
    return parts


def _entries(
    table: str, entries: Any, registry: Registry[Any], home: Path | None
) -> Iterator[tuple[int | str, KindSection]]:
    for key, content in entries:
        place: Place = (table, key)
        try:
            yield key, section.read_kind(registry, content, home)
        except WrongSection as error:
            raise WrongSection((*place, *error.place), error.message) from error
