"""Partial least squares from a Gram matrix alone (kernel NIPALS, Rosipal & Trejo 2001), all folds at once.

The same as scikit-learn's PLSRegression(scale=False) run to convergence: its weight vector is
w = X^T u with u = E c, where E are the responses not yet explained and c is the leading eigenvector
of E^T K E, so its score t = X w is K u made orthogonal to the scores before. Neither K nor E is
deflated: E = Y - T L^T is kept as its factors, and E^T K E, target by target, is updated by rank two.
Every fold's vectors stand side by side, so that one product with K serves them all; outside its
training rows a vector u is zero, and K u holds the scores of training and test rows together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import constant
from zoo_eval.numerics.leading_eigenvector import leading
from zoo_eval.numerics.threads import enough_for, threads

# Relative to the Gram matrix's trace: above the rounding of float32 products of many features (2 x 10^-8
# at 60 stimuli, less at more), far below a real layer's fiftieth component (10^-4).
ROUNDING = 1e-7
# Responses explained to this share are explained exactly.
EXPLAINED = 1e-12
# Once E^T K E has shrunk to this share, the rounding of its updates shows: it is computed afresh.
SHRUNK = 1e-6
# Test rows that weigh more than this against the training rows would leave their rounding behind.
OUTWEIGHED = 1e-4
FOLDS_BYTES = 2**29


class TooManyComponents(ValueError):
    """More PLS components were asked for than the training rows support."""


@dataclass(frozen=True, eq=False)
class PlsPath:
    """PLS with 1, 2, ... components in every fold; predictions are mean + scores^T loadings.

    scores: float64 (fold, component, row), of training and other rows, orthonormal over the
        training rows; 0 from where the path stays where it is.
    loadings: float64 (fold, component, target).
    mean: of the training responses, float64 (fold, target).
    """

    scores: Tensor
    loadings: Tensor
    mean: Tensor

    def predictions(self, fold: int, rows: Tensor, n_components: int | Tensor) -> Tensor:
        """What that many components, or for each target (target,) so many, predict (row, target)."""
        loadings = self.loadings[fold]
        place = torch.arange(len(loadings), device=loadings.device)[:, None]
        used = loadings.where(place < n_components, 0)
        return self.mean[fold] + self.scores[fold][:, rows].T @ used


def fit_paths(
    gram: Tensor,
    responses: Tensor,
    training: Tensor,
    n_components: int,
    *,
    features: Tensor | None = None,
) -> PlsPath:
    """PLS of every fold for 1, 2, ... n_components components.

    Once the responses are explained exactly, or the features are used up (fewer of them than
    components), a fold's path stays where it is.

    Args:
        gram: K = F F^T, float64 (row, row), however centred: each fold is centred by its training rows.
        responses: Y, float64 (row, target).
        training: which rows each fold trains on, bool (fold, row).
        n_components: length of the path.
        features: F (row, feature), if known: where they are fewer than the targets, a fit is faster.

    Raises:
        TooManyComponents: n_components is not below a fold's number of training rows.
    """
    _check(n_components, int(training.sum(1).min()))
    # Shifts that change no result, only how many digits are left after centring by fold.
    centre = responses.mean(0)
    responses = responses - centre
    row_means = gram.mean(0)
    gram = gram - row_means
    gram -= row_means[:, None] - row_means.mean()
    targets = responses
    if responses.shape[1] > len(responses):
        # Rotating the targets rotates c and nothing else: n of them carry everything.
        targets = torch.linalg.qr(responses.T, mode="r").R.T
    folds = _Folds(gram, targets, training.to(gram.dtype))
    parts = folds.in_parts(n_components)
    if features is not None and features.shape[1] < targets.shape[1]:
        parts = folds.along(features)
    scores = torch.cat([_scores(some, n_components) for some in parts])
    weights = folds.weights
    mean = weights @ responses / folds.n_train
    loadings = (scores * weights[:, None]) @ responses
    for fold, rows in enumerate(training):
        # Rounding would explain a constant.
        loadings[fold, :, constant(responses[rows])] = 0
    return PlsPath(scores, loadings, mean + centre)


def _check(n_components: int, n_train: int) -> None:
    if n_components >= n_train:
        raise TooManyComponents(
            f"{n_components} PLS components need more than {n_components} training rows, "
            f"got {n_train}; lower the number of components or add stimuli"
        )


def fold_bytes(n_rows: int, n_targets: int, n_components: int) -> int:
    """What one fold takes while its path is made; at most `n_rows` targets are told apart."""
    n_rotated = min(n_rows, n_targets)
    return 8 * (n_rows * (n_components + 8) + 3 * n_rotated * n_rotated)


@dataclass(frozen=True, eq=False)
class _Folds:
    """Gram matrix and responses that all folds share, and each fold's weights: 1 to train on, else 0."""

    gram: Tensor
    responses: Tensor
    weights: Tensor
    n_threads: int = field(default_factory=torch.get_num_threads)

    @property
    def n_train(self) -> Tensor:
        return self.weights.sum(1, keepdim=True)

    def in_parts(self, n_components: int) -> Iterator["_Folds"]:
        """Some folds at a time, as many as `FOLDS_BYTES` hold."""
        n_rows, n_targets = self.responses.shape
        held = fold_bytes(n_rows, n_targets, n_components)
        for some in torch.split(self.weights, max(1, FOLDS_BYTES // held)):
            yield _Folds(self.gram, self.responses, some)

    def along(self, features: Tensor) -> Iterator["_Folds"]:
        """One fold at a time, its targets rotated to the few directions that covary with features.

        The others would get no weight, for c is a combination of E^T F, and E^T F of Y^T F.
        """
        for weights in self.weights:
            rows = weights.bool()
            x, y = features[rows], self.responses[rows]
            covariance = (y - y.mean(0)).T @ (x - x.mean(0))
            basis = torch.linalg.qr(covariance).Q
            yield _Folds(self.gram, self.responses @ basis, weights[None], self.n_threads)

    def centred(self, vectors: Tensor) -> Tensor:
        """Minus the mean over the training rows, in every row (fold, row)."""
        return vectors - (vectors * self.weights).sum(1, keepdim=True) / self.n_train

    def times_gram(self, vectors: Tensor) -> Tensor:
        """The centred K times vectors that sum to zero over the training rows (fold, row)."""
        with threads(self.n_threads):
            product = vectors @ self.gram
        return self.centred(product)

    def trace(self) -> Tensor:
        """Of each fold's centred Gram matrix (fold,)."""
        sums = ((self.weights @ self.gram) * self.weights).sum(1)
        return self.weights @ self.gram.diagonal() - sums / self.n_train[:, 0]

    def covariances(self) -> Tensor:
        """Y^T K Y of each fold's centred training rows (fold, target, target).

        From G = K Y and Y^T G, which the folds share, minus what the other rows contribute.
        """
        y, g = self.responses, self.gram @ self.responses
        whole = y.T @ g
        mean = self.weights @ y / self.n_train
        found = []
        for weights, m, row_sums in zip(self.weights, mean, self.weights @ self.gram, strict=True):
            out = weights == 0
            y_out = y[out]
            half = g[out] - self.gram[out][:, out] @ y_out / 2
            mixed = y_out.T @ half
            # By sums of K over the training rows: what centring by their mean takes away.
            sums = (row_sums * weights) @ y
            total = (row_sums * weights).sum()
            shift = torch.outer(m, sums - total * m / 2)
            one = whole - mixed - mixed.T - shift - shift.T
            found.append(one)
        covariances = torch.stack(found)
        traces = covariances.diagonal(dim1=1, dim2=2).sum(1)
        outweighed = (traces <= OUTWEIGHED * whole.trace()).nonzero()[:, 0].tolist()
        for fold in outweighed:
            covariances[fold] = self.covariance(fold, None)
        return covariances

    def covariance(self, fold: int, explained: Tensor | None) -> Tensor:
        """E^T K E of one fold from scratch, with E = Y minus what is explained (row, target)."""
        rows = self.weights[fold].bool()
        left = self.responses[rows]
        left = left - left.mean(0)
        if explained is not None:
            left = left - explained[rows]
        product = self.gram[rows][:, rows] @ left
        return left.T @ (product - product.mean(0))


def _scores(folds: _Folds, n_components: int) -> Tensor:
    """The scores of every row (fold, component, row)."""
    deflation = _Deflation(folds, n_components)
    for component in range(n_components):
        if not deflation.going.any():
            break
        c = deflation.direction(component)
        with threads(enough_for(deflation.scores.numel())):
            deflation.add(component, c)
    return deflation.scores


class _Deflation:
    """What the folds have extracted so far, and E^T K E of what is left."""

    def __init__(self, folds: _Folds, n_components: int) -> None:
        y, weights = folds.responses, folds.weights
        self.folds = folds
        self.scores = y.new_zeros(len(weights), n_components, len(y))
        self.loadings = y.new_zeros(len(weights), n_components, y.shape[1])
        self.mean = weights @ y / folds.n_train
        self.covariances = folds.covariances()
        self.start = self.covariances[:, 0]
        # The trace when the matrix was last computed from scratch.
        self.scale = self.covariances.diagonal(dim1=1, dim2=2).sum(1)
        self.going = self.scale > 0
        squares = weights @ y.square() - folds.n_train * self.mean.square()
        self.smallest_rest = EXPLAINED * squares.sum(1).clamp(min=0).sqrt()
        self.smallest_score = ROUNDING * folds.trace()

    def direction(self, n_known: int) -> Tensor:
        """The targets' weights c of the next component (fold, target)."""
        values, c, self.start = leading(self.covariances, self.start)
        shrunk = self.going & (values <= SHRUNK * self.scale)
        if not shrunk.any():
            return c
        for fold in shrunk.nonzero()[:, 0].tolist():
            explained = self.scores[fold, :n_known].T @ self.loadings[fold, :n_known]
            self.covariances[fold] = self.folds.covariance(fold, explained)
            self.scale[fold] = self.covariances[fold].trace()
        _, c, self.start = leading(self.covariances, c)
        return c

    def add(self, n_known: int, c: Tensor) -> None:
        """Extracts the component of these weights, after the known ones."""
        y, weights = self.folds.responses, self.folds.weights
        scores, loadings = self.scores[:, :n_known], self.loadings[:, :n_known]
        u = weights * (c @ y.T - (self.mean * c).sum(1, keepdim=True))
        u = u - weights * _mixed(scores, _along(loadings, c))
        t = self._score(u, scores)
        inside = weights * t
        product = weights * self.folds.times_gram(inside)
        loading = inside @ y
        along = product @ y - _mixed(loadings, _along(scores, product))
        change = along - (inside * product).sum(1, keepdim=True) * loading / 2
        self.covariances.baddbmm_(
            torch.stack([loading, change], 2), torch.stack([change, loading], 1), alpha=-1
        )
        self.scores[:, n_known], self.loadings[:, n_known] = t, loading

    def _score(self, u: Tensor, scores: Tensor) -> Tensor:
        """K u made orthonormal to the scores over the training rows; 0 where a path has ended."""
        weights, size = self.folds.weights, u.norm(dim=1)
        t = self.folds.times_gram(u)
        # Twice, because one pass of Gram-Schmidt loses orthogonality when little of the vector is left.
        for _ in range(2):
            t = t - _mixed(scores, _along(scores, weights * t))
        norm = (weights * t).norm(dim=1)
        # What is left of the features is rounding: a score made of it would predict anything.
        self.going &= (size > self.smallest_rest) & (norm > self.smallest_score * size)
        return torch.where(self.going[:, None], t / norm[:, None], 0)


def _along(basis: Tensor, vectors: Tensor) -> Tensor:
    """Inner products (fold, component) of a basis (fold, component, row) with vectors (fold, row)."""
    return torch.bmm(basis, vectors[..., None])[..., 0]


def _mixed(basis: Tensor, weights: Tensor) -> Tensor:
    """Sums (fold, row) of a basis (fold, component, row) with weights (fold, component)."""
    return torch.bmm(weights[:, None], basis)[:, 0]
