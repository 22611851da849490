"""Classifiers of which the smallest perturbation of every image is known exactly, in [0, 1].

Exact means solved in float64, by bisection of one multiplier or radius in l2 and linf, by sorting in
l1 and in counts: the wrong side of a linear boundary, of a sum of ReLUs (a union of half-spaces) or of
an axis-aligned ellipsoid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.numerics.attacks.norms import DENSE, Norm

HALVINGS = 100
CHANNELS = 3


@dataclass(frozen=True, eq=False)
class Problem:
    """Images (image, 3, row, column) with labels and exact minima float64 (image,).

    A minimum is 0 where the image is already wrong and infinite where no perturbation is enough.
    `blind` says that there is no gradient at the images.
    """

    name: str
    logits: Logits
    images: Tensor
    labels: Tensor
    minimum: Tensor
    blind: bool = False


@dataclass(frozen=True, eq=False)
class Linear:
    """logits = scale * (W x + b), W (class, value), b (class,)."""

    weights: Tensor
    bias: Tensor
    scale: float = 1.0

    def __call__(self, images: Tensor) -> Tensor:
        return self.scale * (images.flatten(1) @ self.weights.T + self.bias)

    def minimum(self, images: Tensor, labels: Tensor, norm: Norm) -> Tensor:
        """To the nearest other class: the label's region is the rest of a union of half-spaces."""
        weights, bias = self.weights.double(), self.bias.double()
        x = images.flatten(1).double()
        distances = []
        for other in range(len(bias)):
            normal, offset = weights[labels] - weights[other], bias[labels] - bias[other]
            found = to_half_space(x, normal, offset, norm)
            distances.append(found.masked_fill(labels == other, torch.inf))
        return torch.stack(distances).amin(0)


@dataclass(frozen=True, eq=False)
class Rooted:
    """Linear logits, and to class 0's a vanishing multiple of the root of the first value.

    Where that value is 0 its gradient is infinite. The linear part does not depend on it, so that the
    minimum is that of the linear part.
    """

    linear: Linear
    factor: float = 1e-6

    def __call__(self, images: Tensor) -> Tensor:
        logits = self.linear(images)
        root = self.linear.scale * self.factor * images.flatten(1)[:, :1].sqrt()
        return logits + torch.cat([root, root.expand(-1, logits.shape[1] - 1) * 0], 1)


@dataclass(frozen=True, eq=False)
class SumOfReLUs:
    """logits = scale * (c - sum_j relu(a_j x + b_j), 0), a (unit, value), b (unit,), c > 0.

    Where every unit is off the gradient is zero. The sum is the largest of the sums over subsets of
    units, so class 1 is a union of half-spaces, one for each subset.
    """

    weights: Tensor
    bias: Tensor
    threshold: float
    scale: float = 1.0

    def __call__(self, images: Tensor) -> Tensor:
        total = (images.flatten(1) @ self.weights.T + self.bias).relu().sum(1)
        return self.scale * torch.stack([self.threshold - total, torch.zeros_like(total)], 1)

    def minimum(self, images: Tensor, norm: Norm) -> Tensor:
        """From class 0 to the nearest of the half-spaces."""
        x = images.flatten(1).double()
        distances = [
            to_half_space(
                x,
                -(chosen @ self.weights.double()).expand_as(x),
                self.threshold - (chosen @ self.bias.double()),
                norm,
            )
            for on in product((0.0, 1.0), repeat=len(self.bias))
            if any(on) and (chosen := torch.tensor(on, dtype=torch.float64)) is not None
        ]
        return torch.stack(distances).amin(0)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """logits = scale * (1, -1) * (r^2 - sum_i q_i (x_i - c_i)^2) / 2: class 0 is inside."""

    centre: Tensor
    curvature: Tensor
    radius: float
    scale: float = 1.0

    def __call__(self, images: Tensor) -> Tensor:
        inside = self.radius**2 - ((images.flatten(1) - self.centre).square() @ self.curvature)
        return self.scale * torch.stack([inside, -inside], 1) / 2

    def minimum(self, images: Tensor, norm: Norm) -> Tensor:
        """Across the surface, from whichever side; from inside, the box must be out of the way."""
        offset = images.flatten(1).double() - self.centre.double()
        q = self.curvature.double()
        outside = (offset.square() @ q) > self.radius**2
        if norm in ("l0_values", "l0_pixels"):
            return torch.where(
                outside,
                self._count(offset, q, True, norm),
                self._count(offset, q, False, norm),
            )
        find = {"l2": self._l2, "linf": self._linf, "l1": self._l1}[norm]
        return torch.where(outside, find(offset, q, True), find(offset, q, False))

    def _l2(self, offset: Tensor, q: Tensor, outside: bool) -> Tensor:
        """The secular equation: the minimiser is o / (1 + l q), and its value decreases with l.

        From outside l > 0, and the minimiser in the box is the one nearest to it: every value has
        its own convex term. From inside l lies between -1 / max q, where the value is infinite, and 0.
        """

        def moved(multiplier: Tensor) -> Tensor:
            free = offset / (1 + multiplier[:, None] * q)
            return self._in_box(free) if outside else free

        def value(multiplier: Tensor) -> Tensor:
            return moved(multiplier).square() @ q - self.radius**2

        zeros = torch.zeros(len(offset), dtype=torch.float64)
        ends = (zeros, zeros + 1e6) if outside else (zeros - 1 / float(q.max()), zeros)
        multiplier = bisected(lambda tried: value(tried) > 0, *ends)
        distance: Tensor = (moved(multiplier) - offset).norm(dim=1)
        return distance

    def _linf(self, offset: Tensor, q: Tensor, outside: bool) -> Tensor:
        """Every value moves by the radius, towards the centre or away from it."""

        def reached(radius: Tensor) -> Tensor:
            step = radius[:, None]
            towards = self._in_box(offset - offset.clamp(-step, step))
            moved = towards if outside else offset.abs() + step
            return (moved.square() @ q > self.radius**2) == outside

        zeros = torch.zeros(len(offset), dtype=torch.float64)
        return bisected(reached, zeros, zeros + offset.abs().max() + self.radius)

    def _l1(self, offset: Tensor, q: Tensor, outside: bool) -> Tensor:
        """From outside every value whose derivative is above one bound goes down to it.

        From inside the farthest points of an l1 ball are its corners, as the sum of squares is
        convex: one value moves.
        """
        if not outside:
            gap = self.radius**2 - offset.square() @ q
            alone = (offset.square() + gap[:, None] / q).sqrt() - offset.abs()
            return alone.amin(1)

        def moved(derivative: Tensor) -> Tensor:
            most = derivative[:, None] / q
            return self._in_box(offset.clamp(-most, most))

        def reached(derivative: Tensor) -> Tensor:
            return moved(derivative).square() @ q <= self.radius**2

        zeros = torch.zeros(len(offset), dtype=torch.float64)
        derivative = bisected(reached, zeros, (offset.abs() * q).amax(1))
        return (moved(derivative) - offset).abs().sum(1)

    def _count(self, offset: Tensor, q: Tensor, outside: bool, norm: Norm) -> Tensor:
        """Each value has its own term: those that change it most, as far as the box lets them."""
        centre = self.centre.double()
        nearest = self._in_box(torch.zeros_like(offset))
        farthest = torch.maximum(centre, 1 - centre)
        moved = nearest if outside else farthest
        gains = (moved.square() - offset.square()).abs() * q
        return fewest(gains, (self.radius**2 - offset.square() @ q).abs(), norm)

    def _in_box(self, offset: Tensor) -> Tensor:
        """The offsets from the centre, of values that stay in [0, 1]."""
        centre = self.centre.double()
        return offset.clamp(-centre, 1 - centre)


def to_half_space(x: Tensor, normal: Tensor, offset: Tensor | float, norm: Norm) -> Tensor:
    """The shortest way from x (image, value) to normal . x + offset <= 0 within [0, 1] (image,).

    In l2 and linf by `_dense_way`. In l1 and in counts values go to their bounds one after another: in
    l1 those with the largest weights first and the last one in part, in a count those first whose way
    to the bound gains most. Infinite where the box is in the way.
    """
    if norm in DENSE:
        return _dense_way(x, normal, offset, norm)
    value = (x * normal).sum(1) + offset
    room = torch.where(normal > 0, x, 1 - x)
    gains = room * normal.abs()
    if norm != "l1":
        return fewest(gains, value, norm)
    order = normal.abs().sort(1, descending=True).indices
    ways, gains = room.gather(1, order), gains.gather(1, order)
    before = gains.cumsum(1) - gains
    shares = ((value[:, None] - before) / gains).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
    distance = (shares * ways).sum(1)
    return torch.where(gains.sum(1) < value, torch.inf, distance)


def fewest(gains: Tensor, wanted: Tensor, norm: Norm) -> Tensor:
    """How many units' gains (image, value) add up to what is wanted (image,) at the least (image,).

    Infinite where all together do not. In l0_pixels a unit is a position, with the gains of its
    channels.
    """
    if norm == "l0_pixels":
        gains = gains.reshape(len(gains), CHANNELS, -1).sum(1)
    reached = gains.sort(1, descending=True).values.cumsum(1)
    count = (reached < wanted[:, None]).sum(1) + 1.0
    count = torch.where(count > gains.shape[1], torch.inf, count.double())
    return torch.where(wanted > 0, count, 0)


def _dense_way(x: Tensor, normal: Tensor, offset: Tensor | float, norm: Norm) -> Tensor:
    """With a multiplier l the minimiser is clip(x - l normal, 0, 1) in l2.

    In linf it is clip(x - l sign(normal), 0, 1); l is found by bisection.
    """
    step = normal if norm == "l2" else normal.sign()

    def moved(multiplier: Tensor) -> Tensor:
        return (x - multiplier[:, None] * step).clamp(0, 1)

    def positive(multiplier: Tensor) -> Tensor:
        return (moved(multiplier) * normal).sum(1) + offset > 0

    zeros = torch.zeros(len(x), dtype=torch.float64)
    # Beyond this every value is at a bound.
    smallest = step.abs().masked_fill(step == 0, torch.inf).amin(1)
    largest = torch.where(smallest.isfinite(), 1 / smallest, 0)
    multiplier = bisected(positive, zeros, largest)
    way = moved(multiplier) - x
    distance = way.norm(dim=1) if norm == "l2" else way.abs().amax(1)
    distance = torch.where(positive(zeros), distance, 0)
    return torch.where(positive(largest), torch.inf, distance)


def bisected(low_side: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The end of the interval, from `low`, on which `low_side` holds (image,), to float64."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        holds = low_side(middle)
        low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    return high


def interior(n_images: int, *, seed: int = 0) -> Tensor:
    """Images (image, 3, 8, 8) so far inside [0, 1] that the box does not matter."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return 0.35 + 0.3 * torch.rand(n_images, 3, 8, 8, generator=generator)


def saturated(n_images: int, *, seed: int = 0) -> Tensor:
    """Images (image, 3, 8, 8) with about 40 % of their values at 0 or 1."""
    generator = torch.Generator().manual_seed(2000 + seed)
    return (torch.rand(n_images, 3, 8, 8, generator=generator) * 1.6 - 0.3).clamp(0, 1)


def classifier(n_classes: int, images: Tensor, *, scale: float = 1.0, seed: int = 0) -> Linear:
    """A random linear classifier whose classes are balanced over the images.

    Two classes are w.x + b and its negative, halved: logits scale * (w.x + b) apart.
    """
    generator = torch.Generator().manual_seed(seed)
    n_values = images[0].numel()
    if n_classes == 2:
        half = torch.randn(n_values, generator=generator) / 2
        weights = torch.stack([half, -half])
    else:
        weights = torch.randn(n_classes, n_values, generator=generator)
    return Linear(weights, -(weights @ images.flatten(1).mean(0)), scale)
