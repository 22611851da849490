"""Least squares over models, and the same without each family: from sums of products by family."""

import numpy as np
import numpy.typing as npt

from zoo_eval.numerics.families.families import Families

Array = npt.NDArray[np.float64]


def coefficients(design: Array, y: Array, families: Families) -> tuple[Array, Array]:
    """Coefficients of all models, and of those without each family.

    Args:
        design: (model, term), of sizes about 1.
        y: (..., model), of size about 1.
        families: of the models.

    Returns:
        (..., term) and (..., family, term); NaN where the terms cannot be told apart.
    """
    members = np.eye(len(families.names))[families.codes]
    products = np.einsum("ma,mb,mg->gab", design, design, members, optimize=True)
    moments = np.einsum("...m,ma,mg->...ga", y, design, members, optimize=True)
    everything = _solved(products.sum(0)[None], moments.sum(-2)[..., None, :])
    others = _solved(products.sum(0) - products, moments.sum(-2)[..., None, :] - moments)
    return everything[..., 0, :], others


def _solved(products: Array, moments: Array) -> Array:
    """Of systems (system, term, term) and right sides (..., system, term)."""
    able = np.linalg.matrix_rank(
        products, tol=1e-9 * max(1.0, float(np.abs(products).max())), hermitian=True
    )
    regular = np.where(
        (able == products.shape[-1])[:, None, None], products, np.eye(products.shape[-1])
    )
    solved = np.linalg.solve(regular, moments[..., None])[..., 0]
    found: Array = np.where((able == products.shape[-1])[:, None], solved, np.nan)
    return found
