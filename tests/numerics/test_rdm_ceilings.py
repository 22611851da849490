"""Ceilings from subjects' RDMs equal rsatoolbox's, and bound what a model can reach."""

from typing import get_args

import numpy as np
import pytest
import torch
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs

from tests.rounding import float64_correlation
from zoo_eval.numerics.rdm_ceilings import nili_lower, nili_upper
from zoo_eval.numerics.rsa import Comparison, Rdm, compare

COMPARISONS = get_args(Comparison)
RIVALS = {"pearson": "corr", "spearman": "spearman", "kendall_tau_a": "tau-a", "cosine": "cosine"}

# Of 66 pairs, whose mean is up to three spreads from zero.
ROUNDING = float64_correlation(66, shift=3)


def subjects(n_subjects=5, *, n_pairs=66, decimals=12, seed=0):
    """RDMs that share half their variance; the subjects' scales differ."""
    rng = np.random.default_rng(seed)
    shared = rng.random(n_pairs)
    own = shared + rng.random((n_subjects, n_pairs))
    return np.round(own * np.arange(1, n_subjects + 1)[:, None], decimals)


def rdms(vectors):
    return [Rdm(torch.from_numpy(vector)) for vector in vectors]


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(("n_subjects", "decimals"), [(2, 12), (5, 12), (5, 0)])
def test_bounds_equal_rsatoolbox(comparison, n_subjects, decimals):
    vectors = subjects(n_subjects, decimals=decimals)
    lower, upper = boot_noise_ceiling(RDMs(vectors), RIVALS[comparison])
    assert nili_lower(rdms(vectors), comparison) == pytest.approx(lower, rel=0, abs=ROUNDING)
    assert nili_upper(rdms(vectors), comparison) == pytest.approx(upper, rel=0, abs=ROUNDING)
    assert upper - lower > 0.01


@pytest.mark.parametrize("comparison", ["pearson", "spearman", "cosine"])
def test_no_rdm_does_better_than_the_upper_bound(comparison):
    vectors = subjects()
    upper = nili_upper(rdms(vectors), comparison)
    rng = np.random.default_rng(1)
    tried = [*vectors, vectors.mean(0), *(vectors.T @ rng.random((5, 200))).T]
    for model in rdms(tried):
        score = np.mean([compare(model, subject, comparison) for subject in rdms(vectors)])
        assert score <= upper + ROUNDING


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_identical_subjects_leave_nothing_unexplained(comparison):
    same = rdms(np.repeat(subjects(1), 3, axis=0))
    assert nili_lower(same, comparison) == pytest.approx(1, rel=0, abs=ROUNDING)
    assert nili_upper(same, comparison) == pytest.approx(1, rel=0, abs=ROUNDING)


@pytest.mark.parametrize("bound", [nili_lower, nili_upper])
def test_one_subject_is_too_few_and_a_constant_one_gives_nothing(bound):
    with pytest.raises(ValueError, match="at least two subjects"):
        bound(rdms(subjects(1)), "pearson")
    vectors = subjects(3)
    vectors[1] = 2
    for comparison in COMPARISONS:
        assert np.isnan(bound(rdms(vectors), comparison))
