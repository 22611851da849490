"""Logits as a function of images, and what an attack needs to ask of it: margins and gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from zoo_eval.numerics.attacks.norms import Norm, dual_length, finite

Logits = Callable[[Tensor], Tensor]


@runtime_checkable
class PerImage(Protocol):
    """Logits that hold something of each image of the batch: a scale, a target, a counter."""

    def __call__(self, images: Tensor) -> Tensor: ...

    def rows(self, index: Tensor) -> Logits:
        """The same for some images of the batch only."""
        ...


def at_rows(logits: Logits, index: Tensor) -> Logits:
    """The logits of the images `index` (position,) of the batch, for a batch that others left."""
    return logits.rows(index) if isinstance(logits, PerImage) else logits


@dataclass(frozen=True, eq=False)
class Derived:
    """Logits computed by `rule` from others and from what belongs to each image (image, ...)."""

    logits: Logits
    rule: Callable[[Tensor, Tensor], Tensor]
    of_images: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        if len(images) != len(self.of_images):
            raise ValueError(
                f"these logits belong to {len(self.of_images)} images, got {len(images)}; "
                "take at_rows of them"
            )
        return self.rule(self.logits(images), self.of_images)

    def rows(self, index: Tensor) -> "Derived":
        return Derived(at_rows(self.logits, index), self.rule, self.of_images[index])


def duel(logits: Logits, labels: Tensor, others: Tensor) -> Derived:
    """Only the logits of each image's label and of one other class (image, 2)."""
    return Derived(
        logits, lambda values, pair: values.gather(1, pair), torch.stack([labels, others], 1)
    )


def undecided(logits: Logits, labels: Tensor) -> Derived:
    """The logits, with those of `labels` (image,) largest where a logit of the image is not finite.

    `argmax` takes a NaN for the largest of all: nothing would be easier than to be beaten by one.
    """

    def rule(values: Tensor, own: Tensor) -> Tensor:
        kept = torch.zeros_like(values).scatter(1, own[:, None], 1.0)
        return torch.where(values.isfinite().all(1, keepdim=True), values, kept)

    return Derived(logits, rule, labels)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """How far each label is above the best other class (image,); below 0 where it is beaten.

    Args:
        logits: (image, class), at least two classes.
        labels: (image,).
    """
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    # Of equals one gets the gradient: shared among many it would point at none of them.
    return own - others.max(1).values


def gradients(logits: Logits, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Margins (image,) at points (image, channel, row, column), and their `finite` gradients there."""
    margin, gradient = raw_gradients(logits, points, labels)
    return margin, finite(gradient)


def raw_gradients(logits: Logits, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """`gradients` as they are, NaN and infinity included."""
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        margin = margins(logits(points), labels)
        if not margin.requires_grad:
            return margin, torch.zeros_like(points)
        (gradient,) = torch.autograd.grad(margin.sum(), points)
    return margin.detach(), gradient


@dataclass(frozen=True, eq=False)
class Batch:
    """Images under attack, (image, channel, row, column) in [0, 1], their labels (image,) and logits."""

    logits: Logits
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def at(self, rows: Tensor) -> "Batch":
        """The images `rows` (position,) only."""
        return Batch(at_rows(self.logits, rows), self.images[rows], self.labels[rows])

    def gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Margins (image,) at points of the images' shape, and their `finite` gradients there."""
        return gradients(self.logits, points, self.labels)

    def beaten(self, points: Tensor) -> Tensor:
        """Where another class than the label has the largest logit at points (image,)."""
        return beaten(self.logits, points, self.labels)


@dataclass(frozen=True, eq=False)
class Others:
    """Other classes, margins over them (class, image), and `finite` gradients (class, image, ...)."""

    classes: Tensor
    margins: Tensor
    gradients: Tensor

    def at(self, rows: Tensor) -> "Others":
        return Others(self.classes[:, rows], self.margins[:, rows], self.gradients[:, rows])

    def nearest_first(self, norm: Norm) -> tuple[Tensor, Tensor]:
        """Distances to the linearised boundaries (class, image), and their order.

        Infinite where a class has no gradient.
        """
        slopes = torch.stack([dual_length(gradient, norm) for gradient in self.gradients])
        distances = torch.where(slopes > 0, self.margins.abs() / slopes, torch.inf)
        return distances, distances.argsort(0)


def class_gradients(logits: Logits, points: Tensor, labels: Tensor, n_others: int) -> Others:
    """The likeliest other classes at points, likeliest first.

    One forward pass, and a backward pass for each class; fewer classes where the logits have fewer.
    """
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        values = logits(points)
        own = values.gather(1, labels[:, None])
        others = values.detach().scatter(1, labels[:, None], -torch.inf)
        likeliest = others.topk(min(n_others, values.shape[1] - 1), dim=1).indices
        margin = (own - values.gather(1, likeliest)).T
        found = [
            torch.autograd.grad(row.sum(), points, retain_graph=place + 1 < len(margin))[0]
            if values.requires_grad
            else torch.zeros_like(points)
            for place, row in enumerate(margin)
        ]
    return Others(likeliest.T, margin.detach(), finite(torch.stack(found).detach()))


@torch.no_grad()
def beaten(logits: Logits, points: Tensor, labels: Tensor) -> Tensor:
    """Where another class has the largest logit (image,), as `argmax` decides between equals."""
    return logits(points).argmax(1) != labels


@dataclass(frozen=True, eq=False)
class Counted:
    """The same logits, counting forward and backward passes of each image of the batch (image,)."""

    logits: Logits
    n_forwards: Tensor
    n_backwards: Tensor
    index: Tensor

    @classmethod
    def of(cls, logits: Logits, n_images: int) -> "Counted":
        zeros = torch.zeros(n_images, dtype=torch.int64)
        return cls(logits, zeros, zeros.clone(), torch.arange(n_images))

    def __call__(self, images: Tensor) -> Tensor:
        self.n_forwards.index_add_(0, self.index, torch.ones_like(self.index))
        logits = self.logits(images)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]  # torch
        return logits

    def _count_backward(self, _gradient: Tensor) -> None:
        self.n_backwards.index_add_(0, self.index, torch.ones_like(self.index))

    def rows(self, index: Tensor) -> "Counted":
        chosen = self.index[index.cpu()]
        return Counted(at_rows(self.logits, index), self.n_forwards, self.n_backwards, chosen)


def differentiable(logits: Logits, images: Tensor) -> bool:
    """Whether the logits have a gradient to the images at all, be it zero."""
    with torch.enable_grad():
        return logits(images.detach().requires_grad_()).requires_grad
