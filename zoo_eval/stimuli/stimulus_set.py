"""StimulusSet: decoded images with ids, labels and groups; its identity is its content."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zoo_eval.digests import bytes_digest, canonical_json
from zoo_eval.errors import BadInput

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Decoded images, each uint8 (row, column, RGB), of any size.

    `groups` names what must stay in one fold (crops of one photo); `labels` are class indices.

    Raises:
        BadInput: no images, ids that repeat, or a length that differs.
    """

    name: str
    ids: tuple[str, ...]
    images: tuple[Pixels, ...]
    groups: tuple[str, ...]
    labels: tuple[int, ...] | None = None
    digest: str = field(init=False)

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
        described = [
            self.ids,
            self.groups,
            self.labels,
            [list(image.shape) for image in self.images],
        ]
        chunks = [canonical_json(described).encode()]
        chunks += [np.ascontiguousarray(image).tobytes() for image in self.images]
        object.__setattr__(self, "digest", bytes_digest(chunks))

    def __len__(self) -> int:
        return len(self.images)


def joined(first: StimulusSet, second: StimulusSet) -> StimulusSet:
    """The images of one set followed by those of another, unlabelled; ids carry their set's name."""
    return StimulusSet(
        f"{first.name} + {second.name}",
        tuple(f"{part.name}/{one}" for part in (first, second) for one in part.ids),
        (*first.images, *second.images),
        groups=tuple(f"{part.name}/{group}" for part in (first, second) for group in part.groups),
    )
