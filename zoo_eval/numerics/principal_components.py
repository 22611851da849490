"""Principal components fitted on independent images, from Gram blocks alone."""

import torch
from torch import Tensor

from zoo_eval.numerics.gram import centred

# Of the largest variance: below it a component is rounding, and its direction means nothing.
NULL = 1e-10


def reduced_gram(cross: Tensor, fitting: Tensor, n_components: int = 1000) -> Tensor:
    """The stimuli's Gram matrix after PCA on independent images, float64 (stimulus, stimulus).

    The component scores of the stimuli are (F - m) G^T V l^(-1/2), where G are the images' features
    minus their mean m and G G^T = V l V^T: products of features only, so that neither F nor G is
    needed. Components of no variance are dropped: centring costs a thousand images one of their
    thousand, and scikit-learn's PCA would give that one an arbitrary direction, along which stimuli
    do vary.

    Args:
        cross: F of the stimuli times that of the images, not centred, float64 (stimulus, image).
        fitting: Gram matrix of the images, not centred, float64 (image, image).
        n_components: how many to keep at most.

    Raises:
        ValueError: the images do not vary, or the blocks do not belong together.
    """
    n_images = len(fitting)
    if fitting.shape != (n_images, n_images) or cross.shape[1] != n_images:
        raise ValueError(
            f"a block of shape {tuple(cross.shape)} and one of {tuple(fitting.shape)} do not share "
            "their images; compute both from the same images"
        )
    values, vectors = torch.linalg.eigh(centred(fitting))
    kept = values[-n_components:] > NULL * fitting.diagonal().sum().clamp(min=values[-1])
    if not kept.any():
        raise ValueError(
            f"the {n_images} images to fit principal components on have constant features; "
            "use other images or leave the reduction out"
        )
    values, vectors = values[-n_components:][kept], vectors[:, -n_components:][:, kept]
    # The centred eigenvectors sum to zero: what centring takes from each row is gone already.
    column = fitting.mean(0)
    scores = (cross - column + column.mean()) @ vectors / values.sqrt()
    reduced: Tensor = scores @ scores.T
    return reduced
