"""Intervals and tests for shares."""

from scipy.stats import binomtest


def wilson(n_correct: int, n_images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927).

    Raises:
        ValueError: no images, or more correct than images.
    """
    interval = binomtest(n_correct, n_images).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def clopper_pearson(n_correct: int, n_images: int, *, confidence: float) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper & Pearson 1934)."""
    interval = binomtest(n_correct, n_images).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)
