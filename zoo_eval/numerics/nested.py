"""Nested cross-validation by the names its callers know; the protocols are in `protocols`."""

from collections.abc import Sequence

from torch import Tensor

from zoo_eval.numerics.protocols import FoldScore, Pls, Readout, Ridge, nested

__all__ = ["FoldScore", "nested_scores", "pls_path", "ridge_path"]


def pls_path(n_components: int) -> Readout:
    """A readout without choices: PLS with that many components."""
    return Pls(n_components)


def ridge_path(relative_alphas: Sequence[float]) -> Readout:
    """Ridge under every penalty, in units of the training Gram matrix's mean eigenvalue."""
    return Ridge(tuple(relative_alphas))


def nested_scores(
    gram: Tensor,
    responses: Tensor,
    groups: Sequence[str],
    path_for: Readout,
    *,
    n_folds: int,
    n_inner_folds: int,
    seed: int,
) -> list[FoldScore]:
    """`protocols.nested`."""
    return nested(
        gram, responses, groups, path_for, n_folds=n_folds, n_inner_folds=n_inner_folds, seed=seed
    )
