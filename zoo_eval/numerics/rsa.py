"""Representational similarity: dissimilarities from a Gram matrix, and comparisons of RDMs.

An RDM (representational dissimilarity matrix) is held as the pairs above its diagonal, row by row,
as in `scipy.spatial.distance.squareform`. (Kriegeskorte, Mur & Bandettini 2008; Nili et al. 2014.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite, isqrt, nan
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from zoo_eval.numerics.correlation import deviations
from zoo_eval.numerics.gram import CONSTANT
from zoo_eval.numerics.kendall import taus_a
from zoo_eval.numerics.ranking import Ranking, ranking
from zoo_eval.numerics.threads import enough_for, threads

Dissimilarity = Literal["squared_euclidean", "correlation", "cosine"]
Comparison = Literal["pearson", "spearman", "kendall_tau_a", "cosine"]
# What a comparison of RDMs is called as a statistic.
STATISTICS: Mapping[Comparison, str] = {
    "pearson": "pearson_r",
    "spearman": "spearman_rho",
    "kendall_tau_a": "kendall_tau_a",
    "cosine": "cosine",
}

FEWEST_STIMULI = 3
# From here on copying row by row is faster than looking pairs up.
MANY_STIMULI = 500
# Numbers of a Gram matrix that stay in a core's cache while they are worked on.
BLOCK = 2**17


def dissimilarities(
    gram: Tensor, row_sums: Tensor, n_features: int, dissimilarity: Dissimilarity
) -> Tensor:
    """The dissimilarities of all pairs of stimuli, from F F^T and F 1 alone.

    `squared_euclidean` is the sum over features of squared differences (rsatoolbox's `euclidean`
    is the mean: this divided by `n_features`); `correlation` is 1 - Pearson's r over features;
    `cosine` is 1 - the cosine. The smallest possible value is 0.

    Args:
        gram: F F^T, float64 (stimulus, stimulus), features not centred.
        row_sums: F 1, float64 (stimulus,); only `correlation` reads it.
        n_features: columns of F; only `correlation` reads it.
        dissimilarity: one of the three.

    Returns:
        float64 (pair,); NaN where a stimulus has constant features (`correlation`) or none but
        zeros (`cosine`).

    Raises:
        ValueError: fewer than three stimuli, or an unknown dissimilarity.
    """
    if len(gram) < FEWEST_STIMULI:
        raise ValueError(f"an RDM needs at least {FEWEST_STIMULI} stimuli, got {len(gram)}")
    of_block = _measured(gram.diagonal().contiguous(), row_sums, n_features, dissimilarity)
    n_stimuli = len(gram)
    pairs = gram.new_empty(n_stimuli * (n_stimuli - 1) // 2)
    step = BLOCK // n_stimuli or 1
    filled = 0
    with threads(enough_for(len(pairs))):
        for start in range(0, n_stimuli, step):
            rows, columns = slice(start, start + step), slice(start, None)
            block = condensed(of_block(gram[rows, columns], rows, columns)).clamp_min_(0)
            pairs[filled : filled + len(block)] = block
            filled += len(block)
    return pairs


def feature_dissimilarities(features: Tensor, dissimilarity: Dissimilarity) -> Tensor:
    """`dissimilarities` of features or responses themselves, float64 (stimulus, feature).

    Of differences, so that a large offset costs no more than its own rounding, and stimuli that are
    equal are exactly 0 apart: half the squared distance of two directions is 1 less their cosine.
    `squared_euclidean` does not depend on an offset of a feature, nor `correlation` on one of a
    stimulus; `cosine` depends on both.
    """
    if dissimilarity == "correlation":
        features = deviations(features.T).T
    if dissimilarity == "squared_euclidean":
        return _squared_distances(features)
    if dissimilarity not in get_args(Dissimilarity):
        raise ValueError(f"unknown dissimilarity {dissimilarity!r}")
    lengths = features.norm(dim=1)
    nowhere = lengths == 0
    directions = features / lengths.masked_fill(nowhere, 1)[:, None]
    return _squared_distances(directions, nowhere).div_(2)


def _squared_distances(points: Tensor, undefined: Tensor | None = None) -> Tensor:
    """Of all pairs of points (stimulus, feature), float64 (pair,); NaN beside one that is `undefined`."""
    # From the mean of all: a distance out of products is rounded by their size.
    apart = deviations(points)
    # NumPy sees that the product is symmetric and computes half of it.
    own = apart if apart.is_cuda else apart.numpy()
    gram = torch.as_tensor(own @ own.T)
    if undefined is not None:
        gram.diagonal()[undefined] = nan
    return dissimilarities(gram, apart.sum(1), apart.shape[1], "squared_euclidean")


def condensed(square: Tensor) -> Tensor:
    """The values right of the diagonal of (..., stimulus, stimulus), row by row: (..., pair).

    It may also be the upper rows of such a matrix: (..., row, stimulus).
    """
    n_rows, n_columns = square.shape[-2:]
    if n_columns < MANY_STIMULI or square.is_cuda:
        return square.flatten(-2).index_select(
            -1, _right_of_diagonal(n_rows, n_columns, square.device)
        )
    values = square.numpy()
    right = [values[..., row, row + 1 :] for row in range(n_rows)]
    return torch.from_numpy(np.concatenate(right, -1))


@lru_cache(maxsize=4)
def _right_of_diagonal(n_rows: int, n_columns: int, device: torch.device) -> Tensor:
    """Positions in a flattened matrix (pair,); an RDM per layer asks for the same ones."""
    rows, columns = torch.triu_indices(n_rows, n_columns, 1, device=device)
    positions: Tensor = rows * n_columns + columns
    return positions


def _measured(
    squares: Tensor, row_sums: Tensor, n_features: int, dissimilarity: Dissimilarity
) -> Callable[[Tensor, slice, slice], Tensor]:
    """What makes dissimilarities of a block of the Gram matrix, given its rows and columns."""
    if dissimilarity == "squared_euclidean":
        return lambda gram, rows, columns: torch.add(squares[columns], gram, alpha=-2).add_(
            squares[rows, None]
        )
    if dissimilarity == "correlation":
        variances = squares - row_sums.square() / n_features
        norms = variances.where(variances > CONSTANT * squares, nan).sqrt()
    elif dissimilarity == "cosine":
        norms = squares.where(squares > 0, nan).sqrt()
    else:
        raise ValueError(f"unknown dissimilarity {dissimilarity!r}")

    def from_products(gram: Tensor, rows: slice, columns: slice) -> Tensor:
        if dissimilarity == "correlation":
            products = torch.addr(gram, row_sums[rows], row_sums[columns], alpha=-1 / n_features)
            products.div_(norms[columns])
        else:
            products = gram / norms[columns]
        return products.div_(norms[rows, None]).neg_().add_(1)

    return from_products


def gram_of_squared_distances(square: Tensor) -> Tensor:
    """The centred Gram matrix behind squared Euclidean distances: -1/2 H D H (Torgerson 1952).

    Args:
        square: squared distances, float64 (stimulus, stimulus). For dissimilarities of another
            kind the result may have negative eigenvalues.
    """
    return -0.5 * (square - square.mean(0) - square.mean(1, keepdim=True) + square.mean())


@dataclass(frozen=True, eq=False)
class Rdm:
    """The dissimilarities of all pairs of stimuli, float64 (pair,), in `condensed` order.

    What a comparison needs of one side (its norm, its ranks) is computed at the first comparison
    and kept: a recording's Rdm serves all layers of a model.

    Raises:
        ValueError: not one axis, not all pairs of three or more stimuli.
    """

    dissimilarities: Tensor

    def __post_init__(self) -> None:
        shape = tuple(self.dissimilarities.shape)
        n_stimuli = (1 + isqrt(1 + 8 * shape[0])) // 2 if len(shape) == 1 else 0
        if n_stimuli < FEWEST_STIMULI or n_stimuli * (n_stimuli - 1) // 2 != shape[0]:
            raise ValueError(
                f"expected all pairs of at least {FEWEST_STIMULI} stimuli, got shape {shape}"
            )

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest dissimilarity; NaN where any is."""
        low, high = self.dissimilarities.aminmax()
        return float(low), float(high)

    @property
    def is_finite(self) -> bool:
        """Whether no dissimilarity is NaN or infinite."""
        return all(map(isfinite, self.extremes))

    @property
    def varies(self) -> bool:
        """Whether the dissimilarities are finite and not all equal."""
        return self.is_finite and self.extremes[0] < self.extremes[1]

    @cached_property
    def direction(self) -> Tensor:
        """The dissimilarities scaled to norm 1; NaN where all are zero."""
        direction: Tensor = self.dissimilarities / self.dissimilarities.norm()
        return direction

    @cached_property
    def deviation(self) -> Tensor:
        """The dissimilarities less their mean, scaled to norm 1."""
        centred = self.dissimilarities - self.dissimilarities.mean()
        return centred.div_(centred.norm())

    @cached_property
    def ranking(self) -> Ranking:
        """The ranking of the dissimilarities."""
        return ranking(self.dissimilarities, self.extremes)

    @cached_property
    def rank_deviation(self) -> Tensor:
        """The ranks less their mean, scaled to norm 1; ties averaged."""
        # Not `self.ranking`, which would be kept beside them: twice as much.
        ranks = ranking(self.dissimilarities, self.extremes).mean_ranks()
        ranks -= (len(ranks) - 1) / 2
        return ranks.div_(ranks.norm())


def mean_rdm(rdms: Sequence[Rdm]) -> Rdm:
    """The mean over subjects, dissimilarity by dissimilarity."""
    if len(rdms) == 1:
        return rdms[0]
    return Rdm(torch.stack([rdm.dissimilarities for rdm in rdms]).mean(0))


def compare(x: Rdm, y: Rdm, comparison: Comparison) -> float:
    """How alike two RDMs of the same stimuli are, from -1 to 1.

    `pearson` and `spearman` (ties averaged) are correlations over pairs of stimuli,
    `kendall_tau_a` is (concordant - discordant) / all pairs of dissimilarities, `cosine` the
    uncentred correlation.

    Returns:
        NaN where an RDM is constant (for `cosine`: all zero) or holds a NaN.

    Raises:
        ValueError: RDMs of different sizes, or an unknown comparison.
    """
    return compare_with_each(x, [y], comparison)[0]


def compare_with_each(x: Rdm, others: Sequence[Rdm], comparison: Comparison) -> list[float]:
    """`compare` of one RDM with each of several, all at once: that takes less time."""
    for y in others:
        if x.dissimilarities.shape != y.dissimilarities.shape:
            raise ValueError(
                f"RDMs of {len(x.dissimilarities)} and {len(y.dissimilarities)} pairs; "
                "both must be of the same stimuli"
            )
    if comparison not in get_args(Comparison):
        raise ValueError(f"unknown comparison {comparison!r}")
    with threads(enough_for(len(x.dissimilarities))):
        if not _is_defined(x, comparison):
            return [nan] * len(others)
        defined = [_is_defined(y, comparison) for y in others]
        known = [y for y, is_defined in zip(others, defined) if is_defined]
        if comparison == "kendall_tau_a":
            own, *theirs = (rdm.ranking for rdm in (x, *known))
        else:
            direction = DIRECTIONS[comparison]
            values = [float(direction(x) @ direction(y)) for y in known]
    if comparison == "kendall_tau_a":
        values = taus_a(own, theirs)
    found = (min(max(value, -1.0), 1.0) for value in values)
    return [next(found) if is_defined else nan for is_defined in defined]


def _is_defined(rdm: Rdm, comparison: Comparison) -> bool:
    return rdm.is_finite if comparison == "cosine" else rdm.varies


# What two RDMs are compared by: the product of two directions is their score.
DIRECTIONS: dict[Comparison, Callable[[Rdm], Tensor]] = {
    "pearson": lambda rdm: rdm.deviation,
    "spearman": lambda rdm: rdm.rank_deviation,
    "cosine": lambda rdm: rdm.direction,
}
