"""Section: a part of a sweep file, which says by its fields what may stand there."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from zoo_eval.errors import BadInput, nearest
from zoo_eval.paths import HOME, SweepPath
from zoo_eval.registry import Registry

# Where a key stands: names of tables and keys, numbers of entries.
Place = tuple[int | str, ...]
S = TypeVar("S", bound="Section")
K = TypeVar("K", bound="KindSection")


class WrongSection(Exception):
    """Something in a section is wrong: what, and where, counted from its own start."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


class Section(BaseModel):
    """Part of a sweep file: frozen, and no key is unknown.

    Its paths (`SweepPath`) start from the folder that is given when it is read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """The keys that may stand in it, in alphabetical order."""
        return tuple(sorted(cls.model_fields))

    def paths(self) -> Iterator[SweepPath]:
        """Every path in it, and in the sections within it."""
        for name in type(self).model_fields:
            yield from _paths(getattr(self, name))

    def refuse_relative_paths(self, why: str) -> None:
        """Refuses paths that mean nothing without the folder that the file was written for.

        Raises:
            BadInput: there is one.
        """
        for path in self.paths():
            if path.is_relative:
                raise BadInput(
                    f"{path.text!r} is a relative path, but {why}; use absolute paths on storage "
                    "that every machine has (and --store s3://...), or on one machine set "
                    "ZOO_EVAL_HOME"
                )


class KindSection(Section):
    """A section of one of several kinds: its field `kind` is the one name that says which."""

    kind: str

    # The name in sweep files; a class that has none is a base of others.
    kind_name: ClassVar[str | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        field = cls.model_fields.get("kind")
        names = get_args(field.annotation) if field is not None else ()
        cls.kind_name = names[0] if len(names) == 1 else None


def kinds(noun: str, base: type[K], *, room: str, group: str) -> Registry[type[K]]:
    """The registry of a kind of section: the classes derived from `base` whose `kind` is a name."""

    def name(thing: Any) -> str | None:
        return thing.kind_name if isinstance(thing, type) and issubclass(thing, base) else None

    return Registry(noun, room=room, group=group, names=name)


def read(section: type[S], content: Any, home: Path | None) -> S:
    """A section from what TOML holds, or the section itself where it is one already.

    Raises:
        WrongSection: a key that is unknown or missing, or a wrong value.
    """
    try:
        return section.model_validate(content, context={HOME: home})
    except ValidationError as error:
        raise _explained(section, error) from error


def read_kind(registry: Registry[type[K]], content: Any, home: Path | None) -> K:
    """A section of the kind that it names.

    Raises:
        WrongSection: no such kind, or as `read` does.
    """
    if isinstance(content, KindSection):
        # It was made in Python, and so it was checked.
        return content  # type: ignore[return-value]
    if not isinstance(content, Mapping):
        raise WrongSection((), f"expected a table with `kind`, got {content!r}; write one")
    if "kind" not in content:
        raise WrongSection((), "`kind` is required; add it")
    try:
        found = registry.get(str(content["kind"]))
    except BadInput as error:
        raise WrongSection(("kind",), str(error)) from error
    return read(found, content, home)


def _explained(section: type[Section], error: ValidationError) -> WrongSection:
    # A misspelt key is both unknown and missing: the first names it.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    place: Place = first["loc"]
    if first["type"] == "extra_forbidden":
        known = _at(section, place[:-1]).known_keys()
        return WrongSection(place, f"unknown key; {nearest(str(place[-1]), known)}")
    if first["type"] == "missing":
        return WrongSection(place, "this key is required; add it")
    message = first["msg"].removeprefix("Value error, ")
    return WrongSection(place, f"{message}; correct the value")


def _at(section: type[Section], place: Place) -> type[Section]:
    """The class of the section at a place within another."""
    for key in place:
        if isinstance(key, str) and key in section.model_fields:
            found = next(_sections(section.model_fields[key].annotation), None)
            section = found or section
    return section


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The section classes in a type such as `tuple[LocalModelSection, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) is not None or isinstance(annotation, UnionType):
        for part in get_args(annotation):
            yield from _sections(part)


def _paths(value: Any) -> Iterator[SweepPath]:
    if isinstance(value, SweepPath):
        yield value
    elif isinstance(value, Section):
        yield from value.paths()
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _paths(inner)
