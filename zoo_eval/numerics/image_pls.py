"""Partial least squares from features, images left out: every fold at once, and no Gram matrix.

Rows are image x position, a few thousand, and features mostly fewer. The same as scikit-learn's
PLSRegression(scale=False) run to convergence: with X and Y centred by the training rows and E what of Y
is not yet explained, a component's weights are w = X^T E c with c the leading eigenvector of
E^T X X^T E, and its score is X w made orthogonal to the scores before. X is not deflated, X^T E is (by
rank one), and neither X^T X nor X X^T is made: a component costs two products of X with one vector
per fold, which all folds share. More features than rows are first rotated to as many.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import constant
from zoo_eval.numerics.leading_eigenvector import leading
from zoo_eval.numerics.pls import TooManyComponents
from zoo_eval.numerics.threads import threads

# Of the first X^T E's size: below, the responses are explained, and what is left is rounding.
EXPLAINED = 1e-10
# Of a score before it was made orthogonal: below, the features are used up.
USED_UP = 1e-8
# Numbers from which on several threads gain: shorter operations wait for each other longer than they
# take, most of all where another program wants the cores as well.
SEVERAL_THREADS = 2**22
# What folds may take that are computed side by side.
FOLDS_BYTES = 2**29


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Features and responses at the positions of images, centred by the means of all rows.

    features: float64 (image x position, feature); responses: float64 (image x position, channel).
    origin: where features that are all zero come to lie (feature,).
    mean: what responses had before they were centred (channel,).
    """

    features: Tensor
    responses: Tensor
    n_images: int
    origin: Tensor
    mean: Tensor

    @classmethod
    def of(cls, features: Tensor, responses: Tensor) -> "ImageRows":
        """Of maps (image, row, column, feature) and (image, row, column, channel)."""
        n_images, y = len(features), responses.double().flatten(0, 2)
        x = features.double().flatten(0, 2)
        origin = -x.mean(0)
        x = x + origin
        if x.shape[1] > len(x):
            # A rotation of the features changes nothing; the origin has a part outside their span,
            # which no weights have.
            basis, small = torch.linalg.qr(x.T)
            x, origin = small.T.contiguous(), origin @ basis
        return cls(x, y - y.mean(0), n_images, origin, y.mean(0))

    @property
    def n_positions(self) -> int:
        return len(self.features) // self.n_images

    def rows(self, image: int) -> slice:
        return slice(image * self.n_positions, (image + 1) * self.n_positions)

    def observed(self, image: int) -> Tensor:
        """Its responses (position, channel), as they were given."""
        return self.responses[self.rows(image)] + self.mean


@dataclass(frozen=True, eq=False)
class Predicted:
    """What each fold predicts of the images that it left out.

    training: which images each fold trained on, bool (fold, image).
    of_image: for each fold, by image left out, float64 (position, channel).
    at_origin: what each fold predicts of features that are all zero, (fold, channel).
    """

    training: Tensor
    of_image: list[dict[int, Tensor]]
    at_origin: Tensor


def predict(rows: ImageRows, training: Tensor, n_components: int) -> Predicted:
    """PLS of so many components, fitted in every fold to its training images.

    A fold whose responses are explained, or whose features are used up, before so many components
    stays with those it has. A channel that is constant in training is predicted to be so.

    Args:
        rows: features and responses.
        training: which images each fold trains on, bool (fold, image), at least one.
        n_components: at least 1.

    Raises:
        TooManyComponents: as many as a fold has training rows.
    """
    n_train = int(training.sum(1).min()) * rows.n_positions
    if n_components >= n_train:
        raise TooManyComponents(
            f"{n_components} PLS components need more than {n_components} training rows, got {n_train}; "
            "lower n_components"
        )
    of_image: list[dict[int, Tensor]] = []
    at_origin = []
    for some in _in_parts(rows, training, n_components):
        path = _Path(rows, some, n_components)
        with threads(1):
            path.run()
        of_image += [path.predictions(fold) for fold in range(len(some))]
        at_origin.append(path.at_origin())
    return Predicted(training, of_image, torch.cat(at_origin))


def fold_bytes(n_rows: int, n_features: int, n_targets: int, n_components: int) -> int:
    """What one fold takes while it is fitted: scores, X^T E, and vectors along rows and features."""
    n_kept = min(n_rows, n_features)
    return 8 * (n_rows * (n_components + 6) + n_kept * (2 * n_targets + 4) + 4 * n_targets**2)


def fit_bytes(
    training: Tensor, n_positions: int, n_features: int, n_targets: int, n_components: int
) -> int:
    """What `ImageRows.of` and `predict` take at once, at most, besides a layer's maps as they are given.

    `training` says which images each fold trains on, bool (fold, image).
    """
    n_folds, n_images = training.shape
    n_rows = n_images * n_positions
    one = fold_bytes(n_rows, n_features, n_targets, n_components)
    side_by_side = min(n_folds, max(1, FOLDS_BYTES // one)) * one
    predicted = 8 * int((~training).sum()) * n_positions * n_targets
    # Features in float64, centred, and a copy; where they are rotated, their transpose and its basis.
    copies = 2 if n_features <= n_rows else 5
    return 8 * n_rows * (copies * n_features + 3 * n_targets) + side_by_side + predicted


def _in_parts(rows: ImageRows, training: Tensor, n_components: int) -> Iterator[Tensor]:
    n_rows, n_features = rows.features.shape
    one = fold_bytes(n_rows, n_features, rows.responses.shape[1], n_components)
    yield from torch.split(training, max(1, FOLDS_BYTES // one))


class _Path:
    """The components of some folds, one after another; their vectors stand side by side."""

    def __init__(self, rows: ImageRows, training: Tensor, n_components: int) -> None:
        x, y = rows.features, rows.responses
        n_folds, n_rows, n_targets = len(training), len(x), y.shape[1]
        self.rows, self.training, self.n_components = rows, training, n_components
        self.n_threads = torch.get_num_threads()
        of_images = training.to(x)
        self.weights = of_images.repeat_interleave(rows.n_positions, 1)
        n_train = self.weights.sum(1, keepdim=True)
        self.x_mean, self.y_mean = self.weights @ x / n_train, self.weights @ y / n_train
        # Of each image once, for folds are made of images.
        by_image = torch.bmm(
            x.reshape(rows.n_images, rows.n_positions, -1).mT,
            y.reshape(rows.n_images, rows.n_positions, -1),
        )
        left = (of_images @ by_image.flatten(1)).reshape(n_folds, *by_image.shape[1:])
        self.left = left.sub_(n_train[..., None] * self.x_mean[..., None] * self.y_mean[:, None])
        self.start = left.new_ones(n_folds, n_targets)
        self.smallest = EXPLAINED * self.left.flatten(1).norm(dim=1)
        self.going = self.smallest > 0
        self.scores = x.new_zeros(n_folds, n_components, n_rows)
        self.origin_scores = x.new_zeros(n_folds, n_components)
        self.loadings = x.new_zeros(n_folds, n_components, n_targets)

    def run(self) -> None:
        for component in range(self.n_components):
            if not self.going.any():
                break
            self._add(component)

    def _add(self, n_known: int) -> None:
        x, y, weights = self.rows.features, self.rows.responses, self.weights
        _, c, self.start = leading(self.left.mT @ self.left, self.start)
        w = torch.bmm(self.left, c[..., None])[..., 0]
        size = w.norm(dim=1)
        self.going &= size > self.smallest
        w = w / size.clamp(min=torch.finfo(w.dtype).tiny)[:, None]
        at_mean = (w * self.x_mean).sum(1)
        t = self._times(w, x.T) - at_mean[:, None]
        origin = w @ self.rows.origin - at_mean
        before = (weights * t).norm(dim=1)
        known, known_origin = self.scores[:, :n_known], self.origin_scores[:, :n_known]
        # Twice, because one pass of Gram-Schmidt loses orthogonality when little of the vector is left.
        for _ in range(2):
            with threads(self.n_threads if known.numel() > SEVERAL_THREADS else 1):
                along = torch.bmm(known, (weights * t)[..., None])
                t = torch.baddbmm(t[..., None], known.mT, along, alpha=-1)[..., 0]
            origin = origin - (known_origin * along[..., 0]).sum(1)
        norm = (weights * t).norm(dim=1)
        self.going &= norm > USED_UP * before
        scale = torch.where(self.going, 1 / norm, 0)
        t, origin = t * scale[:, None], origin * scale
        inside = weights * t
        loading = inside @ y
        self.left.baddbmm_(self._times(inside, x)[..., None], loading[:, None], alpha=-1)
        self.scores[:, n_known], self.origin_scores[:, n_known] = t, origin
        self.loadings[:, n_known] = loading

    def _times(self, vectors: Tensor, features: Tensor) -> Tensor:
        """One vector per fold times all features: most of the work."""
        with threads(self.n_threads):
            return vectors @ features

    def _loadings(self, fold: int) -> Tensor:
        """(component, channel), 0 of channels that are constant in training: rounding would explain them."""
        trained = self.rows.responses[self.weights[fold].bool()]
        return self.loadings[fold].masked_fill(constant(trained), 0)

    def predictions(self, fold: int) -> dict[int, Tensor]:
        """By image left out (position, channel)."""
        loadings, mean = self._loadings(fold), self.y_mean[fold] + self.rows.mean
        left_out = (~self.training[fold]).nonzero()[:, 0].tolist()
        return {
            image: mean + self.scores[fold][:, self.rows.rows(image)].T @ loadings
            for image in left_out
        }

    def at_origin(self) -> Tensor:
        """What each fold predicts of features that are all zero (fold, channel)."""
        found = [
            self.y_mean[fold] + self.rows.mean + self.origin_scores[fold] @ self._loadings(fold)
            for fold in range(len(self.training))
        ]
        return torch.stack(found)
