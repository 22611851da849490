"""Leading eigenvectors of many matrices equal LAPACK's, near-equal eigenvalues included."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.rounding import float64_products
from zoo_eval.numerics import leading_eigenvector as module
from zoo_eval.numerics.leading_eigenvector import RESIDUAL, leading

# Of an eigenvalue, relative to the largest: n terms in each of n steps, n up to 300.
ROUNDED = float64_products(300**2)


def with_spectrum(values, *, seed=0):
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    matrix = (rotation * values) @ rotation.T
    return torch.from_numpy((matrix + matrix.T) / 2)


def distance(found, expected):
    """Between two unit vectors of unknown sign."""
    return min(float((found - expected).norm()), float((found + expected).norm()))


@pytest.mark.parametrize("size", [1, 2, 24, 25, 100, 300])
@pytest.mark.parametrize("decay", [0.2, 1.0, 3.0])
def test_values_and_vectors_equal_lapack(size, decay):
    spectrum = np.arange(1.0, size + 1) ** -decay
    matrices = torch.stack([with_spectrum(spectrum * 10**seed, seed=seed) for seed in range(3)])
    values, vectors, _ = leading(matrices, torch.ones(3, size, dtype=torch.float64))
    expected_values, expected_vectors = torch.linalg.eigh(matrices)
    # Lanczos ends at its residual; LAPACK is backward stable.
    assert_allclose(values, expected_values[:, -1], rtol=RESIDUAL + ROUNDED)
    for found, expected in zip(vectors, expected_vectors[..., -1], strict=True):
        gap = 1 - spectrum[1] if size > 1 else 1.0
        assert distance(found, expected) < (RESIDUAL + ROUNDED) / gap


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-9])
def test_near_equal_eigenvalues_are_told_apart_as_well_as_lapack_tells_them(gap):
    spectrum = np.r_[1, 1 - gap, np.linspace(0.9, 0.01, 118)]
    matrix = with_spectrum(spectrum)
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.standard_normal((120, 120)))
    _, vectors, _ = leading(matrix[None], torch.ones(1, 120, dtype=torch.float64))
    assert distance(vectors[0], torch.from_numpy(rotation[:, 0])) < max(
        10 * RESIDUAL, ROUNDED
    ) / min(gap, 0.1)


def test_a_start_orthogonal_to_the_answer_does_not_hide_it():
    matrix = with_spectrum(np.r_[2.0, 1.0, np.linspace(0.5, 0.1, 98)])
    vectors = torch.linalg.eigh(matrix)[1]
    values, found, _ = leading(matrix[None], vectors[None, :, -2])
    assert float(values) == pytest.approx(2, rel=RESIDUAL + ROUNDED)
    assert distance(found[0], vectors[:, -1]) < (RESIDUAL + ROUNDED) / 0.5


def test_equal_eigenvalues_give_some_vector_of_their_space():
    matrix = with_spectrum(np.r_[1.0, 1.0, np.linspace(0.5, 0.1, 48)])
    values, vectors, _ = leading(matrix[None], torch.ones(1, 50, dtype=torch.float64))
    assert_allclose(matrix @ vectors[0], vectors[0] * values, rtol=0, atol=RESIDUAL + ROUNDED)
    assert float(values) == pytest.approx(1, rel=RESIDUAL + ROUNDED)


def test_a_zero_matrix_beside_others_harms_none():
    matrices = torch.stack([torch.zeros(40, 40).double(), with_spectrum(np.arange(1.0, 41))])
    values, vectors, _ = leading(matrices, torch.ones(2, 40, dtype=torch.float64))
    assert_allclose(values, [0, 40], rtol=0, atol=40 * (RESIDUAL + ROUNDED))
    assert vectors.isfinite().all()


def test_lanczos_alone_settles_an_ordinary_spectrum(monkeypatch):
    # The fall-back would hide a Lanczos that never converges.
    monkeypatch.setattr(module, "_in_full", lambda _: pytest.fail("decomposed in full"))
    matrix = with_spectrum(np.arange(1.0, 201) ** -1.0)
    values, _, _ = leading(matrix[None], torch.ones(1, 200, dtype=torch.float64))
    assert float(values) == pytest.approx(1, rel=RESIDUAL + ROUNDED)
