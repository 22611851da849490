"""Centred kernel alignment of two Gram matrices, plain and debiased."""

import torch
from torch import Tensor

from zoo_eval.numerics import gram as grams


def cka(gram_x: Tensor, gram_y: Tensor) -> float:
    """Linear CKA, from 0 to 1: <H K H, H L H> / (||H K H|| ||H L H||), H centring.

    Biased upwards when features outnumber stimuli. (Kornblith et al. 2019, equation 3.)

    Args:
        gram_x: F F^T of one feature set, float64 (stimulus, stimulus).
        gram_y: of another, for the same stimuli.

    Returns:
        NaN where either feature set is constant over the stimuli.
    """
    return _cosine(centred(gram_x), centred(gram_y))


def debiased_cka(gram_x: Tensor, gram_y: Tensor) -> float:
    """CKA of unbiased HSIC estimates: about 0 for independent features, however many; 1 at most.

    The unbiased HSIC (Song et al. 2012, equation 5) is <A, B> / (n (n - 3)), with A and B the
    U-centred matrices of Székely & Rizzo (2014): diagonal zero, rows summing to zero.

    Args:
        gram_x: F F^T of one feature set, float64 (stimulus, stimulus).
        gram_y: of another, for the same stimuli.

    Returns:
        NaN where either feature set is constant over the stimuli.

    Raises:
        ValueError: fewer than four stimuli.
    """
    return _cosine(_u_centred(gram_x), _u_centred(gram_y))


def centred(gram: Tensor) -> Tensor:
    """H K H, H centring: the Gram matrix of centred features; NaN where they are constant."""
    products = grams.centred(gram)
    # What is left of constant features is rounding, and would correlate with anything.
    is_constant = products.trace() <= grams.CONSTANT * gram.trace()
    return products.fill_(torch.nan) if is_constant else products


def _u_centred(gram: Tensor) -> Tensor:
    n_stimuli = len(gram)
    if n_stimuli < 4:
        raise ValueError(f"debiased CKA needs at least four stimuli, got {n_stimuli}")
    # Moving all features by one vector changes nothing, and centred ones round less.
    matrix = centred(gram)
    matrix.fill_diagonal_(0)
    sums = matrix.sum(0)
    matrix -= sums / (n_stimuli - 2)
    matrix -= sums[:, None] / (n_stimuli - 2)
    matrix += sums.sum() / ((n_stimuli - 1) * (n_stimuli - 2))
    return matrix.fill_diagonal_(0)


def _cosine(x: Tensor, y: Tensor) -> float:
    return float((x * y).sum() / (x.norm() * y.norm()))
