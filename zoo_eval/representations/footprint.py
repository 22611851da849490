"""What the Gram matrices of some layers take, known before the run: memory, disk, forward passes.

Features of all stimuli rarely fit in memory at once. Those of the first stimuli are held, as many
as the budget allows, while all stimuli pass by once and are multiplied with the held ones; then the
next are held while the stimuli from there on pass by, and so on. With features k times the budget
that takes about (k + 1) / 2 passes, where holding some features of all stimuli would take k.

Sketches are small enough for the disk: all stimuli pass by once, and what passes by again, from the
disk, are their sketches. Gram matrices are on disk all the while; one at a time is made whole.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import torch

from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import LOGITS, Blueprint
from zoo_eval.networks import tokens
from zoo_eval.numerics.products import FEW, FLOAT64_COLUMNS, MOST_LARGE, PRODUCT_COLUMNS
from zoo_eval.numerics.sketch import KEPT
from zoo_eval.units import size_text

FLOAT32_BYTES = 4
FLOAT64_BYTES = 8
# Sketches read back at a time: enough for a fast product.
READ_ROWS = 256
# Held stimuli multiplied with each other at a time: as fast, and little of it above the diagonal.
HELD_ROWS = 128
# What a heap takes for what is allocated in it: gaps between what comes and goes.
HEAP = Fraction(21, 20)


@dataclass(frozen=True)
class Slice:
    """Some of a layer's flattened features."""

    layer: str
    start: int
    stop: int

    @property
    def n_features(self) -> int:
        return self.stop - self.start


def n_features(plan: Blueprint, layers: Sequence[str]) -> dict[str, int]:
    """Numbers of features by layer, known before the model is opened: what `passes` needs."""
    found = {**plan.anatomy.sizes, LOGITS: plan.anatomy.n_classes}
    for layer in layers:
        if layer not in found:
            # Nothing is built for named choices alone: plans are of thousands of models.
            module, kind = tokens.split(layer)
            prefix = tokens.n_prefix(plan.outline)[0] if kind else 0
            shown = torch.empty(plan.captured[module], device="meta")
            found[layer] = tokens.chosen(shown, kind, prefix)[0].numel()
    return {layer: found[layer] for layer in layers}


@dataclass(frozen=True)
class Need:
    """What is taken: memory at once, on top of the network and its activations, and images shown."""

    peak_bytes: int
    n_images: int


class Request(Protocol):
    """Work on a model's layers that is planned before the run."""

    def within(self, budget_bytes: int) -> Need:
        """What it takes.

        Raises:
            Refusal: it does not fit in the budget; the message has the figure.
        """
        ...


@dataclass(frozen=True)
class GramRequest:
    """Gram matrices to be computed: of layers with so many features each, at so many stimuli.

    Where a layer has more than `sketch` features, that many dimensions stand for them.
    `after_bytes` is what is allocated at once besides one Gram matrix when it is worked on.
    """

    n_features: Mapping[str, int]
    n_stimuli: int
    batch_size: int
    sketch: int | None = None
    after_bytes: int = 0

    def is_sketched(self, layer: str) -> bool:
        return self.sketch is not None and self.n_features[layer] > self.sketch

    def kept_as(self, layer: str) -> torch.dtype:
        """The type of the numbers that stand for a stimulus on disk, where there is a sketch."""
        return KEPT if self.is_sketched(layer) else torch.float32

    @property
    def n_dimensions(self) -> Mapping[str, int]:
        """Numbers that stand for one stimulus, by layer."""
        if self.sketch is None:
            return self.n_features
        return {layer: min(n, self.sketch) for layer, n in self.n_features.items()}

    def within(self, budget_bytes: int) -> Need:
        found = passes(self, budget_bytes)
        return Need(found.peak_bytes, found.n_images)


@dataclass(frozen=True)
class Footprint:
    """How Gram matrices are computed within a budget, and what that takes.

    Each of `groups`, some features of some layers, has its own passes, in which `n_held` stimuli
    are held at a time; for a sketch, the only group passes once, and so many stimuli's sketches are
    held at a time afterwards. `peak_bytes` counts what is predicted to be allocated at once on top
    of the network and its activations: held features, offsets, signs of sketches, working copies
    of a batch, or one Gram matrix and the work on it, and a twentieth for the gaps between them.
    """

    groups: tuple[tuple[Slice, ...], ...]
    request: GramRequest
    n_held: int
    peak_bytes: int

    @property
    def disk_bytes(self) -> int:
        """Gram matrices, and sketches with what stands for the layers that need none."""
        n = self.request.n_stimuli
        grams = len(self.request.n_features) * gram_bytes(n)
        if self.request.sketch is None:
            return grams
        return grams + n * sum(
            n_dimensions * self.request.kept_as(layer).itemsize
            for layer, n_dimensions in self.request.n_dimensions.items()
        )

    @property
    def n_images(self) -> int:
        """Images that go through the network, a stimulus as often as it is shown.

        Not counted: one more for the shapes, and four for the offset of each group.
        """
        if self.request.sketch is not None:
            return self.request.n_stimuli
        return len(self.groups) * _n_shown(self.request.n_stimuli, self.n_held)

    @property
    def n_passes(self) -> float:
        """Forward passes, in units of all stimuli."""
        return self.n_images / self.request.n_stimuli

    @property
    def starts(self) -> range:
        """The first stimulus held each time that stimuli, or their sketches, pass by."""
        return range(0, self.request.n_stimuli, self.n_held)


def passes(request: GramRequest, budget_bytes: int) -> Footprint:
    """How to compute the Gram matrices with the fewest images that the budget allows.

    Raises:
        Refusal: not even the least fits: one Gram matrix, a batch's working copies, one feature or
            sketch of one stimulus; the message has the figure.
    """
    best = _once(request, budget_bytes) if request.sketch else _fewest_images(request, budget_bytes)
    if best is None:
        raise _too_much(request, budget_bytes)
    n_held, width = best
    groups = _groups(request.n_features, width)
    return Footprint(groups, request, n_held, peak_bytes(request, n_held, width))


def _too_much(request: GramRequest, budget_bytes: int) -> Refusal:
    """Which part does not fit, and what it takes."""
    width = sum(request.n_features.values()) if request.sketch else 1
    least, n = size_text(peak_bytes(request, 1, width)), request.n_stimuli
    if peak_bytes(replace(request, after_bytes=0), 1, width) <= budget_bytes:
        what = f"what is made of a Gram matrix of {n} stimuli takes {least} at once"
        fewer = "stimuli, targets or readouts"
    else:
        what = (
            f"Gram matrices of {len(request.n_features)} layers at {n} stimuli, "
            f"{request.batch_size} at a time, take at least {least}"
        )
        fewer = "stimuli or layers"
    return Refusal(
        f"{what}, more than memory_budget of {size_text(budget_bytes)}; raise it, or name fewer {fewer}"
    )


def _once(request: GramRequest, budget_bytes: int) -> tuple[int, int] | None:
    """The most stimuli whose sketches fit, and all features: sketches are not cut."""
    whole, n = sum(request.n_features.values()), request.n_stimuli
    # All of them take less than all but one: there are no others to be multiplied with them.
    if peak_bytes(request, n, whole) <= budget_bytes:
        return n, whole
    n_held = bisect_right(range(1, n), budget_bytes, key=lambda m: peak_bytes(request, m, whole))
    return (n_held, whole) if n_held else None


def _fewest_images(request: GramRequest, budget_bytes: int) -> tuple[int, int] | None:
    """How many stimuli to hold, and how many features of them."""
    whole, n = sum(request.n_features.values()), request.n_stimuli
    best, fewest = None, 0
    # Of equal numbers of images, that with the most stimuli held and so the fewest groups.
    for n_held in range(n, 0, -1):
        shown = _n_shown(n, n_held)
        if best and shown >= fewest:
            break
        width = _widest(request, n_held, budget_bytes)
        if width and (not best or -(-whole // width) * shown < fewest):
            best, fewest = (n_held, width), -(-whole // width) * shown
    return best


def _n_shown(n_stimuli: int, n_held: int) -> int:
    """Images in all passes of one group: the stimuli from the first held one on, in each."""
    n_passes = -(-n_stimuli // n_held)
    return n_passes * n_stimuli - n_held * n_passes * (n_passes - 1) // 2


def peak_bytes(request: GramRequest, n_held: int, width: int) -> int:
    """What is allocated at once where `width` features of `n_held` stimuli are held at a time.

    For a sketch those are all features, and what is held is read back.
    """
    if request.sketch is None:
        parts = [_held_bytes(request, n_held, width)]
    else:
        parts = [_sketching_bytes(request), _read_back_bytes(request, n_held)]
    afterwards = gram_bytes(request.n_stimuli) + request.after_bytes
    most = _vector_bytes(request) + max(*parts, afterwards)
    return math.ceil(HEAP * most)


def gram_bytes(n_stimuli: int) -> int:
    """One Gram matrix."""
    return n_stimuli * n_stimuli * FLOAT64_BYTES


def _vector_bytes(request: GramRequest) -> int:
    """Row sums and products with the offset, of all layers at once."""
    return 2 * request.n_stimuli * FLOAT64_BYTES * len(request.n_features)


def _held_bytes(request: GramRequest, n_held: int, width: int) -> int:
    """Held features and offset, and the most of what comes and goes.

    Of a batch: a copy of a layer, products of those that are not held. At the end of a pass:
    products of the held ones, some rows at a time.
    """
    batch, layers = min(request.batch_size, request.n_stimuli), len(request.n_features)
    largest = max(request.n_features.values(), default=0)
    of_batch = (
        FLOAT32_BYTES * batch * largest
        + FLOAT64_BYTES * batch * layers * (n_held + 2)
        + _rows_bytes(request, batch, n_held, largest)
    )
    at_end = _rows_bytes(request, min(HELD_ROWS, n_held), n_held, largest)
    return FLOAT32_BYTES * width * (n_held + 1) + max(of_batch, at_end)


def _sketching_bytes(request: GramRequest) -> int:
    """Offsets and signs; of a batch: sketches, a copy of a layer and one of some of its features."""
    batch, layers = min(request.batch_size, request.n_stimuli), len(request.n_features)
    largest = max(request.n_features.values(), default=0)
    dimensions = request.n_dimensions
    signs = sum(n for layer, n in request.n_features.items() if request.is_sketched(layer))
    copies = largest + max(dimensions.values(), default=0) + sum(dimensions.values())
    return FLOAT32_BYTES * (sum(request.n_features.values()) + signs + batch * copies) + batch * (
        2 * layers * FLOAT64_BYTES + _moment_bytes(largest)
    )


def _read_back_bytes(request: GramRequest, n_held: int) -> int:
    """One layer's sketches, held and passing by; products, and rows of the Gram matrix."""
    rows = min(READ_ROWS, request.n_stimuli)
    largest = max(request.n_dimensions.values(), default=0)

    def multiplied(n_rows: int) -> int:
        # A product in the type that they are kept in makes copies in it.
        copied = PRODUCT_COLUMNS * (n_rows + n_held) * KEPT.itemsize if largest > FEW else 0
        return _rows_bytes(request, n_rows, n_held, largest) + copied

    passing = rows * largest * KEPT.itemsize
    if n_held < request.n_stimuli:
        passing = max(passing, multiplied(rows))
    passing += FLOAT32_BYTES * largest * rows
    at_end = multiplied(min(HELD_ROWS, n_held))
    return FLOAT32_BYTES * largest * (n_held + 1) + max(passing, at_end)


def _rows_bytes(request: GramRequest, n_rows: int, n_held: int, n_features: int) -> int:
    """Rows multiplied with the held ones: their products, and their part of the Gram matrix."""
    found = FLOAT64_BYTES * n_rows * (n_held + request.n_stimuli)
    return found + _product_bytes(n_rows, n_held, n_features)


def _moment_bytes(n_features: int) -> int:
    """A stimulus's features of which moments are taken at a time."""
    few = min(FLOAT64_COLUMNS, n_features) * (FLOAT64_BYTES + FLOAT32_BYTES)
    many = PRODUCT_COLUMNS * FLOAT32_BYTES if n_features > FEW else 0
    return max(few, many)


def _product_bytes(n_rows: int, n_held: int, n_features: int) -> int:
    """A product, and copies of the columns that it is of."""
    n_columns = min(FLOAT64_COLUMNS, n_features)
    few = (n_rows * n_held + (n_rows + n_held) * n_columns) * FLOAT64_BYTES
    many = n_rows * (n_held + PRODUCT_COLUMNS) * FLOAT32_BYTES
    many += (n_rows + n_held) * MOST_LARGE * (FLOAT64_BYTES + FLOAT32_BYTES)
    many = many if n_features > FEW else 0
    return max(few + n_rows * n_columns * FLOAT32_BYTES, many)


def _widest(request: GramRequest, n_held: int, budget_bytes: int) -> int:
    """The most features of so many stimuli that fit; 0 if none does."""
    if peak_bytes(request, n_held, 1) > budget_bytes:
        return 0
    room = int(budget_bytes / HEAP) - _vector_bytes(request) - _held_bytes(request, n_held, 0)
    return min(sum(request.n_features.values()), room // (FLOAT32_BYTES * (n_held + 1)))


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
