"""Representational similarity: dissimilarities from a Gram matrix, and comparisons of RDMs.

An RDM (representational dissimilarity matrix) is held as the pairs above its diagonal, row by row,
as in `scipy.spatial.distance.squareform`. (Kriegeskorte, Mur & Bandettini 2008; Nili et al. 2014.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, isqrt, nan
from typing import Literal

import torch
from torch import Tensor

from zoo_eval.numerics.kendall import tau_a
from zoo_eval.numerics.ranking import Ranking, ranking

Dissimilarity = Literal["squared_euclidean", "correlation", "cosine"]
Comparison = Literal["pearson", "spearman", "kendall_tau_a", "cosine"]

FEWEST_STIMULI = 3
# From here on copying row by row is faster than looking pairs up.
MANY_STIMULI = 1000
# A row whose variance is this small a share of its mean square is constant up to rounding.
CONSTANT = 1e-13


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
    squares = gram.diagonal()
    if dissimilarity == "squared_euclidean":
        distances = torch.add(squares, gram, alpha=-2).add_(squares[:, None])
        return condensed(distances).clamp_min_(0)
    if dissimilarity == "correlation":
        products = torch.addr(gram, row_sums, row_sums, alpha=-1 / n_features)
        variances = products.diagonal()
        norms = variances.where(variances > CONSTANT * squares, nan).sqrt()
    elif dissimilarity == "cosine":
        products, norms = gram.clone(), squares.where(squares > 0, nan).sqrt()
    else:
        raise ValueError(f"unknown dissimilarity {dissimilarity!r}")
    products.div_(norms).div_(norms[:, None])
    return condensed(products).neg_().add_(1).clamp_min_(0)


def feature_dissimilarities(features: Tensor, dissimilarity: Dissimilarity) -> Tensor:
    """`dissimilarities` of features or responses themselves, float64 (stimulus, feature)."""
    return dissimilarities(features @ features.T, features.sum(1), features.shape[1], dissimilarity)


def condensed(square: Tensor) -> Tensor:
    """The values above the diagonal of (..., stimulus, stimulus), row by row: (..., pair)."""
    n_stimuli = square.shape[-1]
    if n_stimuli < MANY_STIMULI:
        rows, columns = torch.triu_indices(n_stimuli, n_stimuli, 1, device=square.device)
        return square[..., rows, columns]
    return torch.cat([square[..., row, row + 1 :] for row in range(n_stimuli)], -1)


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
    and kept: a recording's Rdm serves all layers and models.

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
        return ranking(self.dissimilarities)

    @cached_property
    def rank_deviation(self) -> Tensor:
        """The ranks less their mean, scaled to norm 1; ties averaged."""
        ranks = self.ranking.mean_ranks()
        ranks -= (len(ranks) - 1) / 2
        return ranks.div_(ranks.norm())


def mean_rdm(rdms: Sequence[Rdm]) -> Rdm:
    """The mean over subjects, dissimilarity by dissimilarity."""
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
    if x.dissimilarities.shape != y.dissimilarities.shape:
        raise ValueError(
            f"RDMs of {len(x.dissimilarities)} and {len(y.dissimilarities)} pairs; "
            "both must be of the same stimuli"
        )
    if comparison not in _MEASURES:
        raise ValueError(f"unknown comparison {comparison!r}")
    defined = x.is_finite and y.is_finite if comparison == "cosine" else x.varies and y.varies
    return _MEASURES[comparison](x, y) if defined else nan


def _dot(x: Tensor, y: Tensor) -> float:
    return float((x @ y).clamp(-1, 1))


_MEASURES: dict[Comparison, Callable[[Rdm, Rdm], float]] = {
    "pearson": lambda x, y: _dot(x.deviation, y.deviation),
    "spearman": lambda x, y: _dot(x.rank_deviation, y.rank_deviation),
    "kendall_tau_a": lambda x, y: tau_a(x.ranking, y.ranking),
    "cosine": lambda x, y: _dot(x.direction, y.direction),
}
