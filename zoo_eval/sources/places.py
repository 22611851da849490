"""Where the sources are: the files of this room, and what installed packages offer.

A file is a source if it has a `PREFIX`, with which its architectures begin; one of a library also
has its `DISTRIBUTION`. Both are read without importing it: that would bring the library, in seconds.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from zoo_eval.errors import BadInput, one_line

ENTRY_POINTS = "zoo_eval.sources"


@dataclass(frozen=True)
class Place:
    """Where a source is, by its name: what stands before an architecture's first / or :.

    `distribution` is the library's, whose version tells whether its cards changed; None for others.
    """

    name: str
    by: str
    module: str
    file: Path | None = None
    distribution: str | None = None
    point: metadata.EntryPoint | None = None

    @property
    def is_of_package(self) -> bool:
        """Whether another package offers it."""
        return self.point is not None

    def load(self) -> Any:
        """The source itself.

        Raises:
            BadInput: what a package offers cannot be imported.
        """
        if self.point is None:
            return import_module(self.module)
        try:
            return self.point.load()
        except Exception as error:
            raise BadInput(
                f"model source {self.name!r} of {self.by}: it cannot be imported "
                f"({one_line(error)}); mend or remove it"
            ) from error


@cache
def places() -> Mapping[str, tuple[Place, ...]]:
    """Every source's place by its name; more than one where a name is taken twice."""
    found: dict[str, tuple[Place, ...]] = {}
    for place in [*_of_room(), *_of_packages()]:
        found[place.name] = (*found.get(place.name, ()), place)
    return found


def place_of(name: str) -> Place:
    """The place of the source of that name.

    Raises:
        KeyError: there is none.
        BadInput: two are called so.
    """
    offers = places()[name]
    if len(offers) > 1:
        both = " and ".join(place.by for place in offers)
        raise BadInput(f"model source {name!r} is offered twice, by {both}; rename or remove one")
    return offers[0]


def faults() -> list[str]:
    """What cannot be had of what packages offer, one line each."""
    found = []
    for name, offers in places().items():
        try:
            if any(place.is_of_package for place in offers):
                place_of(name).load()
        except BadInput as error:
            found.append(str(error))
    return found


def _of_room() -> Iterator[Place]:
    room = __name__.rpartition(".")[0]
    for file in sorted(Path(__file__).parent.glob("*.py")):
        said = _literals(file)
        if "PREFIX" in said:
            module = f"{room}.{file.stem}"
            yield Place(said["PREFIX"][:-1], module, module, file, said.get("DISTRIBUTION"))


def _literals(file: Path) -> dict[str, str]:
    """Texts that a file gives names to at its top, such as `PREFIX = "timm/"`."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _of_packages() -> Iterator[Place]:
    for point in metadata.entry_points(group=ENTRY_POINTS):
        by = f"package {point.dist.name if point.dist else point.value}"
        yield Place(point.name, by, point.value, point=point)
