"""StimulusSet: images with ids, labels and groups; its identity is its content, not where it lies."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from zoo_eval.digests import bytes_digest, canonical_json, digest
from zoo_eval.errors import BadInput
from zoo_eval.section import KindSection, kinds
from zoo_eval.stimuli import identities

# One image, uint8 (row, column, RGB).
Pixels = npt.NDArray[np.uint8]
Shape = tuple[int, ...]
# Two ids that change places where order is by number and not as text.
Dispute = tuple[str, str]


class Images(Sequence[Pixels]):
    """Images that are decoded when they are asked for, and not kept."""

    @property
    @abstractmethod
    def shapes(self) -> tuple[Shape, ...]:
        """Each image's (row, column, RGB), without decoding it."""

    @property
    @abstractmethod
    def stamp(self) -> str | None:
        """What changes when what they are decoded from does; None where that cannot be told."""

    @abstractmethod
    def decode(self, number: int) -> Pixels:
        """The image of that number, from 0."""

    @overload
    def __getitem__(self, number: int) -> Pixels: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Pixels]: ...
    def __getitem__(self, number: int | slice) -> Pixels | Sequence[Pixels]:
        if isinstance(number, slice):
            return [self.decode(one) for one in range(len(self))[number]]
        return self.decode(range(len(self))[number])


@dataclass(frozen=True, eq=False)
class Unheld(Images):
    """Only the shapes of images that are elsewhere: enough for a plan, and small to send."""

    known_shapes: tuple[Shape, ...]

    def __len__(self) -> int:
        return len(self.known_shapes)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.known_shapes

    @property
    def stamp(self) -> str | None:
        return None

    def decode(self, number: int) -> Pixels:
        raise RuntimeError("these stimuli were described for a plan; their images are elsewhere")


@dataclass(frozen=True)
class Known:
    """A set's digest that was computed before, and of which ids, groups and labels."""

    described: str
    digest: str


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Images, each uint8 (row, column, RGB), of any size: held in memory, or decoded when shown.

    `groups` names what must stay in one fold (crops of one photo); `labels` are class indices;
    `dispute` is that of the order of other images that this one's follows (see `order`).

    Raises:
        BadInput: no images, ids that repeat, or a length that differs.
    """

    name: str
    ids: tuple[str, ...]
    images: Sequence[Pixels]
    groups: tuple[str, ...]
    labels: tuple[int, ...] | None = None
    known: Known | None = None
    dispute: Dispute | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise BadInput(f"stimuli {self.name!r}: no images; check the path and `include`")
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i in self.ids if self.ids.count(i) > 1)
            raise BadInput(f"stimuli {self.name!r}: id {twice!r} stands twice; ids must be unique")
        for part, values in (("ids", self.ids), ("groups", self.groups), ("labels", self.labels)):
            if values is not None and len(values) != len(self.images):
                raise BadInput(
                    f"stimuli {self.name!r}: {len(self.images)} images but {len(values)} {part}"
                )

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def digest(self) -> str:
        """The digest of ids, groups, labels and pixels; images are decoded once, one at a time.

        Raises:
            BadInput: an image cannot be decoded.
        """
        described = self._described
        if self.known is not None and self.known.described == described:
            return self.known.digest
        stamp = self.images.stamp if isinstance(self.images, Images) else None
        kept = identities.read(stamp, described) if stamp else None
        if kept is None:
            kept = bytes_digest(self._chunks())
            if stamp:
                identities.write(stamp, described, kept)
        return kept

    @property
    def has_known_digest(self) -> bool:
        """Whether its digest can be had without decoding an image."""
        if not isinstance(self.images, Images):
            return True
        stamp, described = self.images.stamp, self._described
        same = self.known is not None and self.known.described == described
        return same or (stamp is not None and identities.read(stamp, described) is not None)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Each image's (row, column, RGB)."""
        if isinstance(self.images, Images):
            return self.images.shapes
        return tuple(image.shape for image in self.images)

    @property
    def _described(self) -> str:
        return digest([self.ids, self.groups, self.labels])

    def _chunks(self) -> Iterator[bytes]:
        shapes = [list(shape) for shape in self.shapes]
        yield canonical_json([self.ids, self.groups, self.labels, shapes]).encode()
        for image in self.images:
            yield np.ascontiguousarray(image).tobytes()

    def held(self) -> "StimulusSet":
        """The same with every image in memory, decoded once; its digest is of what was decoded.

        A digest that was kept for other pixels is kept no longer.
        """
        if not isinstance(self.images, Images):
            return self
        found = replace(self, images=tuple(self.images), known=None)
        stamp = self.images.stamp
        if stamp and identities.read(stamp, self._described) != found.digest:
            identities.write(stamp, self._described, found.digest)
        return found

    def described(self) -> "StimulusSet":
        """The same without its images: what a plan needs of it."""
        known = Known(self._described, self.digest)
        return replace(self, images=Unheld(self.shapes), known=known)


def joined(first: StimulusSet, second: StimulusSet) -> StimulusSet:
    """The images of one set followed by those of another, unlabelled; ids carry their set's name."""
    return StimulusSet(
        f"{first.name} + {second.name}",
        tuple(f"{part.name}/{one}" for part in (first, second) for one in part.ids),
        (*first.images, *second.images),
        groups=tuple(f"{part.name}/{group}" for part in (first, second) for group in part.groups),
    )


@dataclass(frozen=True)
class LayerIdentity:
    """What a layer's activations are determined by, besides the stimuli."""

    weights_digest: str
    transform: Mapping[str, Any]


class Sweepmates(Protocol):
    """What a section may ask for while it is read: other parts of its sweep, each read once."""

    def stimuli(self, name: str) -> StimulusSet:
        """The stimulus set of that name.

        Raises:
            BadInput: there is none.
        """
        ...

    def images_with(self, importance: str) -> StimulusSet:
        """The images that came with the human maps of that name.

        Raises:
            BadInput: there are no such maps, or they came without images.
        """
        ...

    def is_whole(self, stimuli: str) -> bool:
        """Whether the stimulus set of that name has everything that its source has."""
        ...

    def layer(self, model: str, layer: str) -> LayerIdentity:
        """The identity of a layer of one of the sweep's models, which is not opened for it.

        Raises:
            BadInput: no such model in the sweep.
            Refusal: no such layer, or the model cannot be used.
        """
        ...


class StimuliSection(KindSection):
    """Base of the sections [stimuli.NAME]: one way that users hold images."""

    @property
    def is_whole(self) -> bool:
        """Whether it takes everything that its source has."""
        return True

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        """The stimulus set, whose images may be decoded later.

        Raises:
            BadInput: a path, image or label is wrong, or a name unknown.
        """
        raise NotImplementedError


STIMULI = kinds(
    "stimulus format", StimuliSection, room="zoo_eval.stimuli", group="zoo_eval.stimuli"
)
