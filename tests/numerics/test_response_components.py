"""Components of responses are scikit-learn's, on whichever side is smaller."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import pearsonr
from sklearn.decomposition import PCA

from tests.rounding import float64_correlation
from zoo_eval.numerics import ridge
from zoo_eval.numerics.response_components import response_components


def responses(n_stimuli, n_targets):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((n_stimuli, n_targets)) * 2.0 ** -np.arange(n_targets)[:, None].T
    return values @ rng.standard_normal((n_targets, n_targets)) + 7


@pytest.mark.parametrize(
    ("n_stimuli", "n_targets", "at_once"), [(40, 12, 2048), (15, 30, 2048), (15, 30, 7)]
)
def test_projections_correlate_as_on_the_axes_of_scikit_learn(
    n_stimuli, n_targets, at_once, monkeypatch
):
    monkeypatch.setattr(ridge, "TARGETS_AT_ONCE", at_once)
    observed = responses(n_stimuli, n_targets)
    rng = np.random.default_rng(1)
    predicted = observed + rng.standard_normal(observed.shape) * observed.std(0)
    found = response_components(torch.from_numpy(observed), 5)
    axes = PCA(5).fit(observed).components_.T
    expected = [pearsonr(predicted @ one, observed @ one).statistic for one in axes.T]
    r = found.r(torch.from_numpy(predicted), torch.from_numpy(observed))
    # Axes are as exact as the gaps between their variances, which halve.
    assert_allclose(r, expected, rtol=0, atol=1e4 * float64_correlation(n_targets))


def test_there_are_no_more_components_than_directions():
    rank_two = np.random.default_rng(0).standard_normal((20, 2)) @ np.ones((2, 6))
    rank_two[:, :3] *= -1
    assert response_components(torch.from_numpy(rank_two)).axes.shape[1] == 1
    constant = torch.full((20, 3), 4.0, dtype=torch.float64)
    assert response_components(constant).axes.shape[1] == 0


def test_targets_with_gaps_have_no_part():
    observed = responses(30, 6)
    observed[3, [1, 4]] = np.nan
    found = response_components(torch.from_numpy(observed))
    assert found.targets.tolist() == [0, 2, 3, 5]
    values = torch.from_numpy(np.nan_to_num(observed))
    assert_allclose(found.r(values, values), 1)
