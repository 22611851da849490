"""What the Gram matrices of some layers take, known before the run: memory and forward passes.

Features of all stimuli rarely fit in memory at once. Those of the first stimuli are held, as many
as the budget allows, while all stimuli pass by once and are multiplied with the held ones; then the
next are held while the stimuli from there on pass by, and so on. With features k times the budget
that takes about (k + 1) / 2 passes, where holding some features of all stimuli would take k.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zoo_eval.errors import Refusal
from zoo_eval.numerics.accumulate import FLOAT64_COLUMNS, PRODUCT_COLUMNS
from zoo_eval.sizes import size_text

FLOAT32_BYTES = 4
FLOAT64_BYTES = 8


@dataclass(frozen=True)
class Slice:
    """Some of a layer's flattened features."""

    layer: str
    start: int
    stop: int

    @property
    def n_features(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Request:
    """Gram matrices to be computed: of layers with so many features each, at so many stimuli.

    Where a layer has more than `sketch` features, that many dimensions stand for them.
    """

    n_features: Mapping[str, int]
    n_stimuli: int
    batch_size: int
    sketch: int | None = None

    def is_sketched(self, layer: str) -> bool:
        return self.sketch is not None and self.n_features[layer] > self.sketch

    def n_held_features(self, layer: str) -> int:
        """Numbers that stand for one stimulus in memory."""
        n = self.n_features[layer]
        return n if self.sketch is None else min(n, self.sketch)


@dataclass(frozen=True)
class Footprint:
    """How Gram matrices are computed within a budget, and what that takes.

    Each of `groups`, some features of some layers, has its own passes, in which `n_held` stimuli
    are held at a time. `peak_bytes` counts what is predicted to be allocated at once on top of the
    network and its activations: Gram matrices, held features, offsets, signs of sketches, and
    working copies of a batch.
    """

    groups: tuple[tuple[Slice, ...], ...]
    request: Request
    n_held: int
    peak_bytes: int

    @property
    def n_images(self) -> int:
        """Images that go through the network, a stimulus as often as it is shown.

        Not counted: one more for the shapes, and four for the offset of each group.
        """
        return len(self.groups) * sum(self.request.n_stimuli - start for start in self.starts)

    @property
    def n_passes(self) -> float:
        """Forward passes, in units of all stimuli."""
        return self.n_images / self.request.n_stimuli

    @property
    def starts(self) -> range:
        """The first stimulus held in each pass."""
        return range(0, self.request.n_stimuli, self.n_held)


def passes(request: Request, budget_bytes: int) -> Footprint:
    """How to compute the Gram matrices with the fewest images that the budget allows.

    Raises:
        Refusal: the Gram matrices alone exceed the budget, or leave no room for a single feature,
            or for the sketches of a single stimulus; the message has the figure.
    """
    results = result_bytes(request)
    if results > budget_bytes:
        raise Refusal(
            f"{len(request.n_features)} Gram matrices of {request.n_stimuli} stimuli take "
            f"{size_text(results)}, more than memory_budget of {size_text(budget_bytes)}; "
            "raise it or fit fewer layers at a time"
        )
    whole = sum(request.n_features.values())
    fitting = [
        (n_held, width)
        for n_held in range(request.n_stimuli, 0, -1)
        if (width := _widest(request, n_held, budget_bytes)) > 0
    ]
    if not fitting:
        least = peak_bytes(request, 1, 1 if request.sketch is None else whole)
        raise Refusal(
            f"{len(request.n_features)} layers at {request.n_stimuli} stimuli, {request.batch_size} "
            f"at a time, take at least {size_text(least)}, more than memory_budget of "
            f"{size_text(budget_bytes)}; raise it or fit fewer layers at a time"
        )
    # Of equal numbers of images, that with the most stimuli held and so the fewest groups.
    n_held, width = min(fitting, key=lambda pair: _n_images(request, *pair))
    return Footprint(
        groups=_groups(request.n_features, width),
        request=request,
        n_held=n_held,
        peak_bytes=peak_bytes(request, n_held, width),
    )


def result_bytes(request: Request) -> int:
    """What the Gram matrices take, with row sums and products with the offset."""
    return gram_bytes(len(request.n_features), request.n_stimuli)


def gram_bytes(n_layers: int, n_stimuli: int) -> int:
    """The same for so many layers: known before anything is known of them."""
    return n_layers * (n_stimuli * n_stimuli + 2 * n_stimuli) * FLOAT64_BYTES


def peak_bytes(request: Request, n_held: int, width: int) -> int:
    """What is allocated at once where `width` features of `n_held` stimuli are held at a time."""
    return (
        _fixed_bytes(request, n_held)
        + FLOAT32_BYTES * _held_features(request, width) * n_held
        + FLOAT32_BYTES * width
        + _copy_bytes(request)
    )


def _fixed_bytes(request: Request, n_held: int) -> int:
    """Results, a batch's products until they are added to them, and copies of some columns."""
    batch, layers = min(request.batch_size, request.n_stimuli), len(request.n_features)
    products = batch * (n_held + 2) * (FLOAT64_BYTES * layers + FLOAT32_BYTES)
    largest = max(request.n_features.values(), default=0)
    columns = max(
        (batch + n_held) * min(FLOAT64_COLUMNS, largest) * FLOAT64_BYTES,
        batch * min(PRODUCT_COLUMNS, largest) * FLOAT32_BYTES,
    )
    return result_bytes(request) + products + columns


def _held_features(request: Request, width: int) -> int:
    return (
        width if request.sketch is None else sum(map(request.n_held_features, request.n_features))
    )


def _copy_bytes(request: Request) -> int:
    """A copy of a batch at one layer, a sketch of it, and the signs of sketches.

    The copy is made where the network's own tensor is not contiguous.
    """
    batch = min(request.batch_size, request.n_stimuli)
    sketched = [n for layer, n in request.n_features.items() if request.is_sketched(layer)]
    dimensions = (request.sketch or 0) if sketched else 0
    copies = max(request.n_features.values(), default=0) + 2 * dimensions
    return FLOAT32_BYTES * (batch * copies + sum(sketched))


def _widest(request: Request, n_held: int, budget_bytes: int) -> int:
    """The most features of so many stimuli that fit; 0 if none does. Sketches are not cut."""
    whole = sum(request.n_features.values())
    if request.sketch is not None:
        return whole if peak_bytes(request, n_held, whole) <= budget_bytes else 0
    room = (budget_bytes - peak_bytes(request, n_held, 0)) // FLOAT32_BYTES
    return max(0, min(whole, room // (n_held + 1)))


def _n_images(request: Request, n_held: int, width: int) -> int:
    n_groups = -(-sum(request.n_features.values()) // width)
    return n_groups * sum(range(request.n_stimuli, 0, -n_held))


def _groups(n_features: Mapping[str, int], width: int) -> tuple[tuple[Slice, ...], ...]:
    """Every feature once, layer after layer, in groups of `width` features."""
    groups: list[list[Slice]] = [[]]
    room = width
    for layer, n in n_features.items():
        start = 0
        while start < n:
            if room == 0:
                groups.append([])
                room = width
            stop = min(n, start + room)
            groups[-1].append(Slice(layer, start, stop))
            room -= stop - start
            start = stop
    return tuple(map(tuple, groups))
