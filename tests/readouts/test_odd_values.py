"""Offsets, scales and dead features: what must not change a score does not, and what has none says why."""

import numpy as np
import pytest
import torch

from tests.planted_nets import noise
from zoo_eval.errors import BadInput
from zoo_eval.numerics import ceilings
from zoo_eval.numerics.protocols import nested
from zoo_eval.numerics.solvers import Ridge as RidgeSolver
from zoo_eval.readouts.design import Design
from zoo_eval.readouts.readout import READOUTS
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.representations.grams import LayerGram

N, P, TARGETS = 60, 12, 6
SHOWN = noise(N)
# Responses of size 1 beside an offset of 1e7 keep nine digits.
ROUNDING = 1e7 * 2.0**-52
READOUT_OPTIONS = {
    "pls": {"components": 3},
    "ridge": {},
    "rsa": {},
    "cka": {},
    "procrustes": {},
}


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((N, P))
    signal = features @ rng.standard_normal((P, TARGETS)) / P**0.5
    return features, signal[:, None] + 0.3 * rng.standard_normal((N, 4, TARGETS))


def rows(name, features, responses, **options):
    readout = READOUTS.get(name).model_validate({**READOUT_OPTIONS[name], **options})
    settled = readout.settled("nested")
    recording = ResponseRecording("r", "s", responses, tuple(map(str, range(TARGETS))))
    own = torch.from_numpy(features)
    layer = LayerGram(own @ own.T, own.sum(1), (own.shape[1],))
    scorer = settled.scorer(recording, SHOWN, Design(n_resamples=50), torch.device("cpu"))
    return scorer(layer)


RSA = [{"dissimilarity": kind} for kind in ("squared_euclidean", "correlation")]
OPTIONS = [("rsa", one) for one in RSA] + [(name, {}) for name in READOUT_OPTIONS if name != "rsa"]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("offset", ["all", "one target", "each stimulus"])
def test_an_offset_of_the_responses_changes_no_score(parts, name, options, offset):
    features, responses = parts
    shifted = responses.copy()
    correlates = options.get("dissimilarity") == "correlation"
    if offset == "all":
        shifted += 1e7
    elif offset == "one target" and not correlates:
        shifted[..., 2] += 1e7
    elif offset == "each stimulus" and correlates:
        shifted += 1e7 * np.arange(1, N + 1)[:, None, None] / N
    before = rows(name, features, responses, **options)
    after = rows(name, features, shifted, **options)
    for one, other in zip(before, after, strict=True):
        assert other["score"] == pytest.approx(one["score"], abs=1e3 * ROUNDING)


@pytest.mark.parametrize("name", READOUT_OPTIONS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_a_scale_of_the_responses_changes_no_score(parts, name, scale):
    features, responses = parts
    for one, other in zip(
        rows(name, features, responses), rows(name, features, responses * scale), strict=True
    ):
        assert other["score"] == pytest.approx(one["score"], abs=1e-9)


@pytest.mark.parametrize("estimator", ["leave_one_out", "ncsnr", "internal_consistency"])
def test_an_offset_changes_no_ceiling(parts, estimator):
    _, responses = parts
    found, other = (getattr(ceilings, estimator)(one) for one in (responses, responses + 1e7))
    np.testing.assert_allclose(other, found, rtol=0, atol=1e3 * ROUNDING)


@pytest.mark.parametrize("name", READOUT_OPTIONS)
@pytest.mark.parametrize("value", [0.0, 3.7])
def test_a_dead_layer_has_no_score_and_says_why(parts, name, value):
    _, responses = parts
    for row in rows(name, np.full((N, P), value), responses):
        assert row["score"] is None
        assert row["undefined"]


@pytest.mark.parametrize("name", ["pls", "ridge"])
def test_features_that_are_constant_where_one_fold_trains_cost_that_fold_alone(parts, name):
    features, responses = parts
    design = Design(n_resamples=50)
    (fold, *_) = design.folds(SHOWN)
    features = features.copy()
    features[fold.train] = 1.5
    found = rows(name, features, responses)
    assert found[0]["score"] is None
    assert set(found[0]["undefined"]) == {"constant predictions"}
    assert len(found) > 1
    assert all(row["fold"] == number for number, row in enumerate(found))


def test_the_other_folds_of_ridge_are_as_without_the_constant_one(parts):
    """A Gram matrix that is constant for one fold's training rows, beside the solver for the others."""
    features, responses = parts
    own = torch.from_numpy(features)
    means = torch.from_numpy(responses.mean(1))
    groups = SHOWN.groups
    found = nested(
        own @ own.T,
        means,
        groups,
        RidgeSolver((0.1, 1.0, 10.0)),
        n_folds=5,
        n_inner_folds=3,
        seed=0,
    )
    dead = torch.zeros(N, N, dtype=torch.float64)
    nothing = nested(
        dead, means, groups, RidgeSolver((0.1, 1.0, 10.0)), n_folds=5, n_inner_folds=3, seed=0
    )
    assert all(one.r.isfinite().all() for one in found)
    assert all(one.r.isnan().all() and one.choice.isnan().all() for one in nothing)


@pytest.mark.parametrize("name", READOUT_OPTIONS)
def test_a_target_that_is_constant_leaves_the_others_as_they_are(parts, name):
    features, responses = parts
    flat = responses.copy()
    flat[..., 0] = 4.0
    for row in rows(name, features, flat):
        assert row["score"] is not None


@pytest.mark.parametrize("dissimilarity", ["squared_euclidean", "correlation", "cosine"])
@pytest.mark.parametrize("comparison", ["spearman", "pearson", "cosine", "kendall_tau_a"])
def test_equal_responses_to_all_stimuli_have_no_score(parts, dissimilarity, comparison):
    """4.1 times itself is rounded, here and there by another bit: no distance is made of that."""
    features, responses = parts
    same = np.full_like(responses, 4.1)
    for row in rows("rsa", features, same, dissimilarity=dissimilarity, comparison=comparison):
        assert row["score"] is None
        assert "of the recording" in row["undefined"][0] or comparison == "cosine"


@pytest.mark.parametrize("scale", [1e-170, 1e160, 1e307])
def test_responses_whose_squares_float64_does_not_hold_are_refused(parts, scale):
    responses = parts[1].copy()
    responses[..., 2] *= scale
    with pytest.raises(BadInput, match=r"responses of target '2' are up to .* give another unit"):
        ResponseRecording("r", "s", responses, tuple(map(str, range(TARGETS))))
