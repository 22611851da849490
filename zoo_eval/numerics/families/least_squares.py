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
    n_terms = design.shape[1]
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), n_terms**2)
    products = (members.T @ squares).reshape(-1, n_terms, n_terms)
    moments = members.T @ (y[..., None] * design)
    everything = _solved(products.sum(0)[None], moments.sum(-2)[..., None, :])
    others = _solved(products.sum(0) - products, moments.sum(-2)[..., None, :] - moments)
    return everything[..., 0, :], others


def _solved(products: Array, moments: Array) -> Array:
    """Of systems (system, term, term) and right sides (..., system, term)."""
    sizes = np.linalg.eigvalsh(products)
    able = sizes[:, 0] > 1e-10 * np.maximum(sizes[:, -1], 1e-300)
    regular = np.where(able[:, None, None], products, np.eye(products.shape[-1]))
    solved = np.linalg.solve(regular, moments[..., None])[..., 0]
    found: Array = np.where(able[:, None], solved, np.nan)
    return found
