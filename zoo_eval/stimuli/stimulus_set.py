"""StimulusSet: images with ids, labels and groups; its identity is its content, not where it lies."""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Protocol, Self, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from zoo_eval.digests import DIGEST_CHARACTERS, bytes_digest, canonical_json, digest
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.section import KindSection, kinds
from zoo_eval.stimuli import identities
from zoo_eval.stimuli.ahead import Ahead, n_threads
from zoo_eval.stimuli.identities import Identity, Shape

# One image, uint8 (row, column, RGB).
Pixels = npt.NDArray[np.uint8]
# Of visual angle: more than half of all around is no display.
Degrees = Annotated[float, Field(gt=0, le=180)]
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

    def remark(self, number: int) -> str | None:
        """What a plan says of the images that are like this one; damage that decoding does not show.

        Raises:
            BadInput: the image is damaged.
        """
        return None

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


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Images, each uint8 (row, column, RGB), of any size: held in memory, or decoded when shown.

    `groups` names what must stay in one fold (crops of one photo); `labels` are class indices; `dispute`
    is that of the order of other images that this one's follows (see `order`); `known` is its identity
    where that was computed before; `notes` are what a plan says of it; `strata` name what a stratified
    split has equal shares of, where that is not the labels.

    Raises:
        BadInput: no images, ids that repeat, or a length that differs.
    """

    name: str
    ids: tuple[str, ...]
    images: Sequence[Pixels]
    groups: tuple[str, ...]
    labels: tuple[int, ...] | None = None
    known: Identity | None = None
    dispute: Dispute | None = None
    notes: tuple[str, ...] = ()
    strata: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise BadInput(f"stimuli {self.name!r}: no images; check the path and `include`")
        if len(set(self.ids)) != len(self.ids):
            twice = next(one for one, n in Counter(self.ids).items() if n > 1)
            raise BadInput(f"stimuli {self.name!r}: id {twice!r} stands twice; ids must be unique")
        if strange := [one for one in self.ids if one.encode(errors="ignore").decode() != one]:
            raise BadInput(
                f"stimuli {self.name!r}: the name {strange[0]!a} is no text in UTF-8 ({len(strange)} "
                "such), which no table holds; rename the file"
            )
        parts = {
            "ids": self.ids,
            "groups": self.groups,
            "labels": self.labels,
            "strata": self.strata,
        }
        for part, values in parts.items():
            if values is not None and len(values) != len(self.images):
                raise BadInput(
                    f"stimuli {self.name!r}: {len(self.images)} images but {len(values)} {part}"
                )

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def identity(self) -> Identity:
        """Of ids, groups, labels, strata and pixels; each image is decoded once, unless it is known.

        Raises:
            BadInput: an image cannot be decoded.
        """
        if kept := self._kept():
            return kept
        found = self._computed()
        if isinstance(self.images, Images) and (stamp := self.images.stamp):
            identities.write(stamp, found)
        return found

    @property
    def digest(self) -> str:
        """The digest of ids, groups, labels, strata and pixels (see `identity`)."""
        return self.identity.digest

    @property
    def has_known_digest(self) -> bool:
        """Whether its digest can be had without decoding an image."""
        return not isinstance(self.images, Images) or self._kept() is not None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Each image's (row, column, RGB)."""
        if not isinstance(self.images, Images):
            return tuple(image.shape for image in self.images)
        kept = self._kept()
        return self.images.shapes if kept is None else kept.shapes

    @property
    def remarks(self) -> list[str]:
        """What a plan says of it: lines that end with what can be done."""
        counted = self.identity.remarks.items()
        return [*(f"{n} of {len(self)} images {said}" for said, n in counted), *self.notes]

    def image(self, number: int) -> Pixels:
        """One image, of which was checked that it is still what the set's identity says.

        Raises:
            BadInput: it cannot be decoded.
            Refusal: it is another one than before.
        """
        found = self.images[number]
        if isinstance(self.images, Images) and _digest(found) != self.identity.pixels[number]:
            raise Refusal(
                f"image {self.ids[number]!r} of stimuli {self.name!r} changed since it was planned; "
                "run the same command again"
            )
        return found

    @cached_property
    def described_by(self) -> str:
        """The digest of all but the images."""
        return digest(self._description)

    @property
    def _description(self) -> list[Any]:
        # Sets without strata keep the digest that they had before there were any.
        return [self.ids, self.groups, self.labels, *([] if self.strata is None else [self.strata])]

    @cached_property
    def _known_by_stamp(self) -> Identity | None:
        stamp = self.images.stamp if isinstance(self.images, Images) else None
        return identities.read(stamp, self.described_by) if stamp else None

    def _kept(self) -> Identity | None:
        if "identity" in vars(self):
            return self.identity
        if self.known is not None and self.known.described == self.described_by:
            return self.known
        kept = self._known_by_stamp
        return kept if kept is not None and len(kept.shapes) == len(self) else None

    def _computed(self) -> Identity:
        shapes, pixels, remarks = self.shapes, [], Counter[str]()
        lazy = self.images if isinstance(self.images, Images) else None

        def looked(number: int) -> tuple[Pixels, str, str | None]:
            image = self.images[number]
            return image, _digest(image), lazy.remark(number) if lazy else None

        def chunks() -> Iterator[bytes | memoryview]:
            sizes = [list(shape) for shape in shapes]
            yield canonical_json([*self._description, sizes]).encode()
            # A few at a time: these are whole photos.
            seen = Ahead(looked, len(self), window=2 * n_threads())
            for number, shape in enumerate(shapes):
                ((image, own, remark),) = seen[[number]]
                if image.shape != shape:
                    raise BadInput(f"{self.ids[number]}: its header and its pixels differ in size; save it again")  # fmt: skip
                pixels.append(own)
                if remark is not None:
                    remarks[remark] += 1
                yield np.ascontiguousarray(image).data

        return Identity(self.described_by, bytes_digest(chunks()), shapes, tuple(pixels), remarks)

    def identified(self) -> "StimulusSet":
        """The same with its identity beside it, wherever it is sent."""
        return replace(self, known=self.identity)

    def described(self) -> "StimulusSet":
        """The same without its images: what a plan needs of it."""
        return replace(self, images=Unheld(self.shapes), known=self.identity)


def _digest(image: Pixels) -> str:
    content = hashlib.sha256(np.ascontiguousarray(image).data)
    content.update(str(image.shape).encode())
    return content.hexdigest()[:DIGEST_CHARACTERS]


@dataclass(frozen=True, eq=False)
class Joined(Images):
    """The images of some sets, one set after another."""

    parts: tuple[StimulusSet, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def place(self, number: int) -> tuple[int, int]:
        """The part that an image is of, and its number there."""
        for index, part in enumerate(self.parts):
            if number < len(part):
                return index, number
            number -= len(part)
        raise IndexError(number)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for part in self.parts for shape in part.shapes)

    @property
    def stamp(self) -> str | None:
        return None

    def decode(self, number: int) -> Pixels:
        index, own = self.place(number)
        return self.parts[index].image(own)


def joined(first: StimulusSet, second: StimulusSet) -> StimulusSet:
    """The images of one set followed by those of another, unlabelled; ids carry their set's name.

    Its digest is made of theirs, so that nothing is decoded for it.
    """
    parts = (first, second)
    ids = tuple(f"{part.name}/{one}" for part in parts for one in part.ids)
    groups = tuple(f"{part.name}/{group}" for part in parts for group in part.groups)
    found = StimulusSet(f"{first.name} + {second.name}", ids, Joined(parts), groups)
    pixels = tuple(one for part in parts for one in part.identity.pixels)
    known = Identity(
        found.described_by, digest([part.digest for part in parts]), found.shapes, pixels
    )
    return replace(found, known=known)


@dataclass(frozen=True)
class LayerIdentity:
    """What a layer's activations are determined by, besides the stimuli."""

    weights_digest: str
    transform: Mapping[str, Any]


class Sweepmates(Protocol):
    """What a section may ask for while it is read: other parts of its sweep, each read once."""

    @property
    def memory_budget_bytes(self) -> int:
        """What a recording, or human maps, may take in memory."""
        ...

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

    def recording(self, name: str) -> Any:
        """The recording of that name.

        Raises:
            BadInput: there is none, or it is made of itself.
        """
        ...

    def select(self, table: pa.Table, condition: str | None, option: str) -> pa.Table:
        """The rows of a table that fulfil an SQL condition; all without one.

        Raises:
            BadInput: the condition is wrong; `option` is where it was given.
        """
        ...

    def layer(self, model: str, layer: str) -> LayerIdentity:
        """The identity of a layer of one of the sweep's models, which is not opened for it.

        Raises:
            BadInput: no such model in the sweep.
            Refusal: no such layer, or the model cannot be used.
        """
        ...


class StimuliSection(KindSection):
    """Base of the sections [stimuli.NAME]: one way that users hold images.

    `degrees` of visual angle is how wide images were shown, `seen_degrees` how wide a field a model is
    taken to see: images then fill so much of it (see `degrees.shown`).
    """

    degrees: Degrees | None = None
    seen_degrees: Degrees | None = None

    @model_validator(mode="after")
    def _has_both_degrees(self) -> Self:
        if (self.degrees is None) != (self.seen_degrees is None):
            there, missing = "degrees", "seen_degrees"
            if self.degrees is None:
                there, missing = missing, there
            raise ValueError(
                f"`{there}` without `{missing}` says nothing of how much of the field an image fills; "
                f"add `{missing}`, or leave both out"
            )
        return self

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
