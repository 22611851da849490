"""PCA on independent images from Gram blocks equals scikit-learn's PCA on the features."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from tests.rounding import float64_products
from zoo_eval.numerics.gram import centred_blocks
from zoo_eval.numerics.principal_components import reduced_gram


def features(n, p, seed, mean=2.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)) * np.arange(1.0, p + 1) ** -0.5 + mean


def blocks(stimuli, images):
    return torch.from_numpy(stimuli @ images.T), torch.from_numpy(images @ images.T)


def rounding(stimuli, images):
    """The blocks' errors over the smallest eigenvalue that is kept, times the stimuli's products."""
    n_terms = stimuli.shape[1] + 2 * len(images)
    error = float64_products(n_terms, (images**2).sum(1).max()) * len(images)
    eigenvalues = np.linalg.svd(images - images.mean(0), compute_uv=False) ** 2
    spread = ((stimuli - images.mean(0)) ** 2).sum(1).max()
    return error / eigenvalues[eigenvalues > error].min() * spread


def centred(gram):
    rows = torch.arange(len(gram))
    return centred_blocks(gram, rows, rows)[0]


@pytest.mark.parametrize("n_components", [5, 29])
@pytest.mark.parametrize("p", [20, 200])
def test_it_equals_sklearn_up_to_where_the_origin_is(n_components, p):
    stimuli, images = features(40, p, 0), features(30, p, 1)
    n_kept = min(n_components, p)
    reduced = PCA(n_kept, svd_solver="full").fit(images).transform(stimuli)
    found = reduced_gram(*blocks(stimuli, images), n_components)
    expected = centred(torch.from_numpy(reduced @ reduced.T))
    assert_allclose(centred(found), expected, rtol=0, atol=rounding(stimuli, images))


def test_the_component_without_variance_is_dropped():
    # Thirty centred images have 29 components. The thirtieth of scikit-learn's is arbitrary, yet
    # the stimuli vary along it.
    stimuli, images = features(40, 200, 0), features(30, 200, 1)
    pca = PCA(30, svd_solver="full").fit(images)
    scores = pca.transform(stimuli)
    # Nothing but rounding, squared.
    assert pca.explained_variance_[-1] < float64_products(260, np.linalg.norm(images)) ** 2
    assert scores[:, -1].std() > 0.01
    expected = centred(torch.from_numpy(scores[:, :-1] @ scores[:, :-1].T))
    found = reduced_gram(*blocks(stimuli, images), 30)
    assert_allclose(centred(found), expected, rtol=0, atol=rounding(stimuli, images))


def test_all_components_of_as_many_features_leave_the_gram_matrix_as_it_is():
    stimuli, images = features(40, 10, 0), features(30, 10, 1)
    found = reduced_gram(*blocks(stimuli, images))
    expected = centred(torch.from_numpy(stimuli @ stimuli.T))
    assert_allclose(centred(found), expected, rtol=0, atol=rounding(stimuli, images))


def test_images_that_do_not_vary_are_an_error():
    stimuli, images = features(10, 5, 0), np.full((8, 5), 3.0)
    with pytest.raises(ValueError, match="8 images to fit principal components on have constant"):
        reduced_gram(*blocks(stimuli, images))


def test_blocks_of_different_images_are_an_error():
    cross, _ = blocks(features(10, 5, 0), features(8, 5, 1))
    _, fitting = blocks(features(10, 5, 0), features(9, 5, 1))
    with pytest.raises(ValueError, match=r"\(10, 8\) and one of \(9, 9\) do not share"):
        reduced_gram(cross, fitting)
