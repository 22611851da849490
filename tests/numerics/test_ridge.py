"""Ridge from a Gram matrix equals scikit-learn's Ridge on the features themselves."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge

from tests.numerics.regression import problem
from zoo_eval.numerics import ridge

ALPHAS = [1e-4, 1e-2, 1.0, 30.0, 1e3]


@pytest.mark.parametrize("mean", [0, 30])
@pytest.mark.parametrize(
    ("n", "p", "targets"), [(60, 200, 7), (120, 40, 7), (60, 200, 1), (120, 40, 1)]
)
def test_every_penalty_equals_sklearn(n, p, targets, mean):
    given = problem(n=n, p=p, targets=targets, mean=mean)
    responses = torch.from_numpy(given.responses[given.train])
    predicted = ridge.predict_alphas(
        *given.blocks(), responses, torch.tensor(ALPHAS, dtype=torch.float64)
    )
    assert predicted.shape == (len(ALPHAS), len(given.test), targets)
    for alpha, found in zip(ALPHAS, predicted.numpy(), strict=True):
        model = Ridge(alpha, solver="svd").fit(*given.training())
        expected = model.predict(given.features[given.test]).reshape(found.shape)
        # Centring costs the Gram matrix digits: its rounding, eps p mean^2 or so, over the penalty.
        rounding = 1e-14 * p * mean**2 / alpha
        assert_allclose(found, expected, rtol=0, atol=1e-8 + rounding)
        assert_allclose(given.r(found), given.r(expected), atol=1e-6)


def test_the_mean_eigenvalue_is_the_mean_of_the_eigenvalues():
    inner, _ = problem(n=40, p=20, targets=1).blocks()
    expected = np.linalg.eigvalsh(inner.numpy()).mean()
    assert ridge.mean_eigenvalue(inner) == pytest.approx(expected, rel=1e-12)
