"""ModelCard: a model described, not loaded. Catalog: the cards there are, selected by pattern."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo_eval.errors import BadInput, nearest

if TYPE_CHECKING:
    # It brings PyTorch, which the catalogue can be listed without.
    from zoo_eval.transforms import Transform

Weights = Literal["pretrained", "untrained"]


@dataclass(frozen=True)
class Edits:
    """How a graded model differs from its checkpoint; nothing by default."""

    prune: float = 0.0
    noise: float = 0.0
    bits: int | None = None
    input_px: int | None = None

    @property
    def changed(self) -> dict[str, Any]:
        """Only the edits that were made."""
        return {k: v for k, v in asdict(self).items() if v}

    @property
    def of_weights(self) -> dict[str, Any]:
        """The edits that change the weights; `input_px` changes the transform instead."""
        return {k: v for k, v in self.changed.items() if k != "input_px"}


@dataclass(frozen=True)
class ModelCard:
    """A model by name: its architecture and where its weights come from.

    Those are its source's own unless there is a `checkpoint`, or a `url` with the file's `sha256`. Of
    such a file `weights_key` says which weights are meant, and `ignore` (patterns) which tensors are
    left out that the network does not have.

    `published_view` is the input size and crop that `published_top1` was measured at, where those
    are not the model's own. `unavailable` says why it cannot be opened at all; its trials are then refused,
    and `is_away` whether that may pass.
    `live` brings a network that exists as an object to wherever the card goes.
    """

    name: str
    source: str
    architecture: str
    weights: Weights = "pretrained"
    checkpoint: Path | None = None
    # It may be signed.
    url: str | None = field(default=None, repr=False)
    sha256: str | None = None
    transform: "Transform | None" = None
    keys: str | tuple[tuple[str, str], ...] | None = None
    weights_key: str | None = None
    ignore: tuple[str, ...] = ()
    edits: Edits = field(default_factory=Edits)
    reference_logits: Path | None = None
    published_top1: float | None = None
    published_view: str | None = None
    family: str = ""
    pretraining: str | None = None
    objective: str | None = None
    year: int | None = None
    harmonized_from: str | None = None
    licence: str | None = None
    unavailable: str | None = None
    is_away: bool = False
    live: Hashable | None = field(default=None, repr=False)

    def untrained(self) -> "ModelCard":
        """The same architecture with its initial weights."""
        return replace(
            self, weights="untrained", pretraining=None, objective=None, published_top1=None
        )


def fits(name: str, pattern: str) -> bool:
    """Whether a pattern means a name: it is the name itself, whatever is in it, or fits it."""
    return name == pattern or fnmatchcase(name, pattern)


def names_fitting(pattern: str, names: Collection[str]) -> list[str]:
    """The names that a pattern means: the one that it is, where there is one, else all that it fits."""
    if pattern in names:
        return [pattern]
    return [name for name in names if fnmatchcase(name, pattern)]


class Catalog:
    """Model cards by name.

    Raises:
        BadInput: two cards with one name.
    """

    def __init__(self, cards: Iterable[ModelCard]) -> None:
        self._cards: dict[str, ModelCard] = {}
        for card in cards:
            if card.name in self._cards:
                raise BadInput(f"model {card.name!r} is described twice; rename one of them")
            self._cards[card.name] = card

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self._cards.values())

    def __len__(self) -> int:
        return len(self._cards)

    def select(self, include: Sequence[str], exclude: Sequence[str] = ()) -> list[ModelCard]:
        """The cards whose name fits a pattern of `include` and none of `exclude`, in order.

        Raises:
            BadInput: a pattern of `include` fits no card; the nearest names are given.
        """
        chosen: dict[str, ModelCard] = {}
        for pattern in include:
            fitting = names_fitting(pattern, self._cards)
            if not fitting:
                raise BadInput(f"unknown model {pattern!r}; {nearest(pattern, self._cards)}")
            chosen.update((name, self._cards[name]) for name in fitting)
        left_out = {name for pattern in exclude for name in names_fitting(pattern, self._cards)}
        return [card for name, card in chosen.items() if name not in left_out]
