"""Intervals for shares; from scipy.special, as scipy.stats takes a second to import."""

from math import sqrt

from scipy.special import betaincinv, ndtri


def wilson(n_correct: int, n_images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927).

    Raises:
        ValueError: no images, or more correct than images.
    """
    _check(n_correct, n_images)
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    centre = n_correct + z2 / 2
    half = sqrt(z2 * (n_correct * (n_images - n_correct) / n_images + z2 / 4))
    # At the ends the two terms cancel to a rounding error, not always to 0 or 1.
    return (
        (centre - half) / (n_images + z2) if n_correct else 0.0,
        (centre + half) / (n_images + z2) if n_correct < n_images else 1.0,
    )


def clopper_pearson(n_correct: int, n_images: int, *, confidence: float) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper & Pearson 1934).

    Raises:
        ValueError: no images, or more correct than images.
    """
    _check(n_correct, n_images)
    tail, n_wrong = (1 - confidence) / 2, n_images - n_correct
    return (
        float(betaincinv(n_correct, n_wrong + 1, tail)) if n_correct else 0.0,
        float(betaincinv(n_correct + 1, n_wrong, 1 - tail)) if n_wrong else 1.0,
    )


def _check(n_correct: int, n_images: int) -> None:
    if not 0 <= n_correct <= n_images or n_images == 0:
        raise ValueError(f"{n_correct} of {n_images} is no share")
