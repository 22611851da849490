"""Registry: the things of one kind, found in the files of a room and offered by installed packages.

Adding a thing is adding its file: nothing else lists it. A package offers its own by an entry point
of the registry's group, `NAME = "module:class"`.
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module, metadata
from types import ModuleType
from typing import Any, Generic, TypeVar

from zoo_eval.errors import BadInput, nearest, one_line

T = TypeVar("T")


@dataclass(frozen=True)
class Offer(Generic[T]):
    """A thing, or the reason why it cannot be had, and who offers it."""

    name: str
    by: str
    thing: T | None = None
    fault: str | None = None


class Registry(Generic[T]):
    """The things of one kind by name.

    Args:
        noun: what one of them is called in messages, e.g. "recording format".
        room: the package in whose files they are found.
        group: of entry points by which other packages offer theirs.
        names: the name of something that a file defines, or None where it is of another kind.
    """

    def __init__(
        self, noun: str, *, room: str, group: str, names: Callable[[Any], str | None]
    ) -> None:
        self.noun = noun
        self.room = room
        self.group = group
        self._name = names

    def get(self, name: str) -> T:
        """The thing of that name.

        Raises:
            BadInput: there is none, two are called so, or it cannot be imported.
        """
        offers = self._offers.get(name, ())
        if not offers:
            raise BadInput(f"unknown {self.noun} {name!r}; {nearest(name, self)}")
        if len(offers) > 1:
            both = " and ".join(offer.by for offer in offers)
            raise BadInput(
                f"{self.noun} {name!r} is offered twice, by {both}; rename or remove one"
            )
        (offer,) = offers
        if offer.thing is None:
            raise BadInput(f"{self.noun} {name!r} of {offer.by}: {offer.fault}; mend or remove it")
        return offer.thing

    def __iter__(self) -> Iterator[str]:
        """The names that can be had, in alphabetical order."""
        return (
            name
            for name, offers in sorted(self._offers.items())
            if len(offers) == 1 and offers[0].thing is not None
        )

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def things(self) -> dict[str, T]:
        """Everything that can be had, by name."""
        return {name: self.get(name) for name in self}

    def faults(self) -> list[str]:
        """What cannot be had, one line each: what fails to import, and names that are taken twice."""
        found = []
        for name in sorted(self._offers.keys() - set(self)):
            try:
                self.get(name)
            except BadInput as error:
                found.append(str(error))
        return found

    @cached_property
    def _offers(self) -> Mapping[str, tuple[Offer[T], ...]]:
        found: dict[str, tuple[Offer[T], ...]] = {}
        for offer in [*self._of_room(), *self._of_packages()]:
            found[offer.name] = (*found.get(offer.name, ()), offer)
        return found

    def _of_room(self) -> Iterator[Offer[T]]:
        for file in pkgutil.iter_modules(import_module(self.room).__path__, f"{self.room}."):
            if not file.ispkg:
                yield from self._of_module(import_module(file.name))

    def _of_module(self, module: ModuleType) -> Iterator[Offer[T]]:
        for thing in vars(module).values():
            if getattr(thing, "__module__", None) == module.__name__:
                name = self._name(thing)
                if name is not None:
                    yield Offer(name, module.__name__, thing)

    def _of_packages(self) -> Iterator[Offer[T]]:
        for point in metadata.entry_points(group=self.group):
            by = f"package {point.dist.name if point.dist else point.value}"
            # Whatever a package raises while it is imported is its own fault: the rest works.
            try:
                thing = point.load()
            except Exception as error:  # noqa: BLE001
                yield Offer(point.name, by, fault=f"it cannot be imported ({one_line(error)})")
                continue
            name = self._name(thing)
            if name is None:
                yield Offer(point.name, by, fault=f"{point.value} is no {self.noun}")
            elif name != point.name:
                yield Offer(point.name, by, fault=f"{point.value} calls itself {name!r}")
            else:
                yield Offer(name, by, thing)
