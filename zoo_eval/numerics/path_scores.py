"""How well each number of PLS components predicts, from moments: no prediction is ever held.

A path predicts mean + sum over components a of t_a l_a. Its covariance with the responses and its own
variance over the test rows are running sums over a of products of t's and l's, target by target.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_eval.numerics.correlation import constant
from zoo_eval.numerics.pls import PlsPath


@dataclass(frozen=True, eq=False)
class PathScores:
    """By fold, number of components less one, and target: float64 (fold, component, target).

    r: Pearson, NaN where predictions or responses are constant over the test rows.
    squared_error: mean over the test rows.
    """

    r: Tensor
    squared_error: Tensor


def path_scores(path: PlsPath, responses: Tensor, test: Tensor) -> PathScores:
    """Scores of every fold's path on its test rows.

    Args:
        path: of PLS, every fold.
        responses: float64 (row, target).
        test: which rows each fold is tested on, bool (fold, row).
    """
    weights = test.to(responses.dtype)
    n_test = weights.sum(1)[:, None, None]
    shift = responses.mean(0)
    y = responses - shift
    means = torch.einsum("fcr,fr->fc", path.scores, weights)[..., None] / n_test
    t = (path.scores - means) * weights[:, None]
    loadings = path.loadings
    covariance = (loadings * (t @ y)).cumsum(1)
    products = torch.bmm(t, t.mT)
    # Each new component adds its own square and twice its products with those before.
    twice = products.tril(-1) * 2 + torch.diag_embed(products.diagonal(dim1=1, dim2=2))
    variance = (loadings * torch.bmm(twice, loadings)).cumsum(1).clamp(min=0)
    y_mean = (weights @ y)[:, None] / n_test
    spread = torch.stack([(y[rows] - y[rows].mean(0)).square().sum(0) for rows in test])[:, None]
    undefined = torch.stack([constant(responses[rows]) for rows in test])[:, None]
    norms = (variance * spread).sqrt()
    r = covariance / norms.masked_fill(undefined | (variance == 0), torch.nan)
    offset = (path.mean - shift)[:, None] + (loadings * means).cumsum(1) - y_mean
    squared_error = (variance - 2 * covariance + spread) / n_test + offset.square()
    return PathScores(r.clamp(-1, 1), squared_error.clamp(min=0))
