"""How far apart two right computations may be: what the tolerances of these tests follow from.

Processors add in different orders, some round a product before they add it, and a library takes
other steps on each: how far apart two results were on one of them says nothing of the next. So a
tolerance is one of these, with the number of terms and the size of the values at hand:

*Rounding.* u is half the distance from 1 to the next number. A sum of n products in any order, fused
or not, is off by at most gamma_n = n u / (1 - n u) times the sum of their absolute values (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). Errors go up as often as down,
so that sqrt(n) stands for n but for a constant: 6 sqrt(n) u is exceeded once in 3 10^7 sums (Higham
and Mary 2019, theorem 2.4, with lambda = 6). The smaller of both is taken.

*Solutions* of linear systems, least squares and eigenproblems amplify the rounding of their matrix
by its condition number (Higham, chapters 7, 10 and 20).

*Draws* from a seed are so many standard errors from the mean, and *printed* numbers half a unit of
their last digit from what was printed.

*Numbers written by hand* with a few digits, which SQL picks, adds and divides, are compared to the
millionth that pytest.approx takes by itself: float64 is off by 10^-15, a wrong formula by far more.

*A promise* of the code, such as a score that is right to a millionth, is held to as it stands.
"""

from copy import deepcopy
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn

FLOAT16, BFLOAT16, FLOAT32, FLOAT64 = 2.0**-11, 2.0**-8, 2.0**-24, 2.0**-53
# Of scores: tables show four digits of them, and what ranks models must not be rounding.
SCORE = 1e-6
# Stated in numerics/products.py, of float32 products relative to the vectors' lengths, and of sums
# and products with the offset.
OF_PRODUCTS, OF_OFFSETS = 1e-6, 1e-7
# Stated in numerics/attacks/tighten.py, of a distance: a perturbation is stored as float16 and
# lengthened up to six times, by twice as much each, the first time by the last bisection's interval.
TIGHTENED = 2.0 ** (6 - 12) + FLOAT16
# The same in numerics/attacks/procedures.py, of a perturbation that is stored as it is.
STORED = 2.0**-7 + FLOAT16


def rounded_sum(n_terms: float, unit: float) -> float:
    """The relative error of a sum of so many products, whose absolute values add up to 1."""
    return min(n_terms / (1 - n_terms * unit), 6 * sqrt(n_terms)) * unit


def float32_products(n_terms: float, magnitude: float = 1.0) -> float:
    """The error of a float32 sum of products whose absolute values add up to `magnitude`."""
    return rounded_sum(n_terms, FLOAT32) * magnitude


def float64_products(n_terms: float, magnitude: float = 1.0) -> float:
    """The error of a float64 sum of products whose absolute values add up to `magnitude`."""
    return rounded_sum(n_terms, FLOAT64) * magnitude


def float64_solution(n_terms: float, condition: float, magnitude: float = 1.0) -> float:
    """The error of what a float64 system of sums over so many terms determines, so conditioned."""
    return float64_products(n_terms, magnitude) * condition


def float64_correlation(n_terms: float, shift: float = 0.0) -> float:
    """The error of a float64 correlation, its means taken, of values so many spreads from zero."""
    return 4 * float64_products(n_terms + 10) * (1 + shift) ** 2


def float32_rho(n_values: int, error: float) -> float:
    """How far rank correlations move where float32 swaps neighbours that are that close, relatively.

    Of n values that lie anywhere, n^2 `error` pairs are nearer to each other than that; each that
    changes places moves rho by 12 / (n^3 - n). Four times as many as expected, and one more.
    """
    return (1 + 4 * n_values**2 * error) * 12 / (n_values**3 - n_values)


def printed(n_digits: int) -> float:
    """Half a unit of the last of so many digits after the point."""
    return 0.5 * 10.0**-n_digits * (1 + 1e-9)


def float32_network(net: nn.Module, size: float) -> float:
    """How far apart two float32 runs of a network may be whose outputs are so large.

    Every layer's sums are rounded, as often up as down, and what was rounded before passes through
    a layer like what it goes with; so that the terms of all layers count as those of one sum.
    """
    n_terms = sum(p[0].numel() + 1 for p in net.parameters() if p.ndim > 1)
    return 2 * float32_products(n_terms, size)


def assert_within(found, expected, bound) -> None:
    """Fails where two arrays are farther apart than a bound on each of their values.

    Raises:
        AssertionError: with the largest difference and how many times its bound it is.
    """
    found, expected, bound = (np.asarray(x, dtype=np.float64) for x in (found, expected, bound))
    assert found.shape == expected.shape
    apart = np.abs(found - expected)
    if not (apart <= bound).all():
        times = (apart / np.maximum(bound, np.finfo(float).tiny)).max()
        raise AssertionError(f"up to {apart.max():.3g} apart, {times:.3g} times the bound")


def float32_outputs(net: nn.Sequential, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Of each layer, exact outputs and how far float32 may be from them, float64 (image, feature).

    Convolutions and linear layers round their sums and hand on what was rounded before; others are
    taken to round nothing and to be no steeper than 1.

    Args:
        net: layers one after another.
        images: float32 (image, RGB, row, column).
    """
    values = images.double()
    errors, found = torch.zeros_like(values), {}
    for name, layer in deepcopy(net).double().requires_grad_(False).named_children():
        errors = _errors_after(layer, values, errors)
        values = layer(values.clone())
        found[name] = values.flatten(1), errors.flatten(1)
    return {**found, "logits": found[name]}


def _errors_after(layer: nn.Module, values: Tensor, errors: Tensor) -> Tensor:
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return layer(errors) if isinstance(layer, nn.Flatten) else errors
    steepest = deepcopy(layer)
    steepest.weight.abs_()
    handed_on = steepest(errors) - steepest.bias[(...,) + (None,) * (errors.ndim - 2)]
    steepest.bias.abs_()
    return handed_on + float32_products(layer.weight[0].numel() + 1) * steepest(values.abs())


def gram_errors(features: Tensor, errors: Tensor) -> Tensor:
    """How far F F^T moves where each feature moves by its error, float64 (stimulus, stimulus)."""
    size = features.abs()
    return errors @ size.T + size @ errors.T + errors @ errors.T
