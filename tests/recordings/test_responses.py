"""Recordings of responses are complete and finite, and answer what is asked of them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist

from tests.rounding import float64_correlation
from zoo_eval.errors import BadInput
from zoo_eval.recordings.ceiling import CeilingChoices
from zoo_eval.recordings.ceiling_file import FileCeilings
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.stimuli.stimulus_set import StimulusSet

IDS = ("c", "a", "b")


@pytest.fixture
def shown():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    return StimulusSet("shown", IDS, (image,) * 3, groups=IDS)


def recording(responses=None, targets=("t1", "t2")):
    responses = np.arange(12.0).reshape(3, 2, 2) if responses is None else responses
    return ResponseRecording("r", "shown", responses, targets)


def test_a_mean_is_over_repetitions():
    assert_allclose(recording().mean, [[1, 2], [5, 6], [9, 10]], rtol=0)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_response_that_is_infinite_is_located(value):
    responses = np.zeros((3, 2, 2))
    responses[2, 1, 0] = value
    with pytest.raises(BadInput, match=r"target 't1' to stimulus number 2 is infinite; remove it"):
        recording(responses)


def test_a_response_that_is_missing_is_counted_and_left_out_of_its_mean():
    responses = np.arange(12.0).reshape(3, 2, 2)
    responses[1, 1, 0], responses[2, :, 1] = np.nan, np.nan
    found = recording(responses)
    assert_allclose(found.mean, [[1, 2], [4, 6], [9, np.nan]], rtol=0)
    assert found.complete.tolist() == [0, 1]
    assert found.notes == (
        "3 of 12 responses are missing; each target is scored on the stimuli that it answered",
    )
    assert found.digest != recording().digest


def test_a_recording_made_of_another_says_everything_once():
    responses = np.arange(12.0).reshape(3, 2, 2)
    responses[1, 1, 0] = np.nan
    found = replace(recording(responses), notes=("spikes",))
    assert found.notes == (*recording(responses).notes, "spikes")
    assert replace(found, targets=None).notes == found.notes


def test_stimuli_shown_unequally_often_are_counted():
    responses = np.arange(12.0).reshape(3, 2, 2)
    responses[1, 1] = np.nan
    found = recording(responses)
    assert (found.n_stimuli, found.n_repetitions) == (3, 2)
    assert found.notes == ("stimuli were shown 1 to 2 times",)
    assert found.complete.tolist() == [0, 1, 2]


def test_a_target_without_any_response_is_counted_and_the_others_stay():
    responses = np.arange(12.0).reshape(3, 2, 2)
    responses[..., 1] = np.nan
    found = recording(responses)
    assert found.notes[1] == "1 of 2 targets have no response, and no score"
    for one in found.ceilings(CeilingChoices(10, "spearman"))[:4]:
        values = one.values(0)
        assert np.isfinite(values["t1"]), one.estimator
        assert np.isnan(values["t2"]), one.estimator
        assert one.undefined("t2") == "no response"
    with pytest.raises(BadInput, match="no response is a number; fill in what was measured"):
        recording(np.full((3, 2, 2), np.nan))


def test_ids_of_complete_recordings_did_not_move():
    """As they were before responses could be missing."""
    assert recording().digest == "26d08ea6ba726f771ffc3a598503fc60"


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 3), (3, 2, 2, 1)])
def test_another_shape_is_an_error(shape):
    with pytest.raises(BadInput, match=r"expected responses \(stimulus, repetition, target\)"):
        recording(np.zeros(shape))


def test_a_recording_of_another_number_of_stimuli_is_refused(shown):
    recording().check(shown)
    with pytest.raises(BadInput, match="2 stimuli recorded, but stimuli 'shown' has 3"):
        recording(np.zeros((2, 2, 2))).check(shown)


def test_a_digest_is_of_responses_and_targets():
    changed = np.arange(12.0).reshape(3, 2, 2)
    changed[0, 0, 0] = 1e-9
    digests = {
        recording().digest,
        recording(changed).digest,
        recording(targets=("t1", "t3")).digest,
        recording(np.arange(12.0).reshape(2, 3, 2)).digest,
    }
    assert len(digests) == 4
    assert (
        ResponseRecording("other", "x", recording().repeated().padded(), ("t1", "t2")).digest
        in digests
    )


def test_rdms_and_products_are_those_of_the_mean_responses_at_some_stimuli():
    responses = np.random.default_rng(0).standard_normal((6, 3, 4))
    found, rows = recording(responses, tuple("abcd")), np.array([0, 2, 5, 3])
    mean = responses.mean(1)[rows]
    (rdm,) = found.rdms_at(rows, "correlation")
    centred = mean - mean.mean(1, keepdims=True)
    rounding = float64_correlation(4) * ((mean**2).sum(1) / (centred**2).sum(1)).max()
    assert_allclose(rdm.dissimilarities, pdist(mean, "correlation"), rtol=0, atol=rounding)
    about = mean - mean.mean(0)
    assert_allclose(
        found.gram_at(rows), about @ about.T, rtol=0, atol=rounding * (mean**2).sum(1).max()
    )


@pytest.mark.parametrize(
    ("n_targets", "dissimilarity"), [(2, "correlation"), (1, "correlation"), (1, "cosine")]
)
def test_dissimilarities_of_too_few_targets_say_nothing(n_targets, dissimilarity):
    few = recording(np.zeros((3, 2, n_targets)), tuple("ab"[:n_targets]))
    with pytest.raises(BadInput, match=f"^rsa of recording 'r': {dissimilarity} .* say nothing"):
        few.check_rdms("rsa", dissimilarity)
    few.check_rdms("rsa", "squared_euclidean")


def estimators(found):
    return [one.estimator for one in found.ceilings(CeilingChoices(10, "spearman"))]


def test_ceilings_are_those_that_repetitions_targets_and_files_allow():
    once = np.arange(6.0).reshape(3, 1, 2)
    of_repetitions = [
        "splithalf_spearman_brown", "internal_consistency", "leave_one_out", "ncsnr",
    ]  # fmt: skip
    assert estimators(recording()) == [*of_repetitions, "max_pairwise_target"]
    assert estimators(recording(once)) == ["max_pairwise_target"]
    assert estimators(recording(once[:, :, :1], ("t1",))) == []
    published = FileCeilings(np.array([0.5]), "variance", "d")
    (found,) = ResponseRecording(
        "r", "shown", once[:, :, :1], ("t1",), file_ceilings=published
    ).ceilings(CeilingChoices(10, "spearman"))
    assert (found.estimator, found.scale, found.parameters) == (
        "from_file", "variance", {"file": "d"},
    )  # fmt: skip
    assert found.values(0) == {"t1": 0.5}


@pytest.mark.parametrize("n_repetitions", [2, 3])
@pytest.mark.parametrize("constant", [0, 1])
def test_a_repetition_in_which_all_targets_are_constant_is_refused(n_repetitions, constant):
    responses = np.random.default_rng(0).standard_normal((3, n_repetitions, 2))
    responses[:, constant] = [0, 7]
    with pytest.raises(
        BadInput, match=f"repetition number {constant} .from 0. every target .* leave that"
    ):
        recording(responses)
    # Nothing varies: targets that say nothing, which are counted as such.
    recording(np.ones((3, 2, 2)))


@pytest.mark.parametrize(
    ("n_repetitions", "constant", "said"),
    [
        (2, [1], "constant responses in repetition 1"),
        (3, [0, 2], "constant responses in repetition 0, 2"),
        (2, [0, 1], "constant responses"),
    ],
)
def test_a_ceiling_that_is_undefined_says_why(n_repetitions, constant, said):
    responses = np.random.default_rng(0).standard_normal((5, n_repetitions, 2))
    responses[:, constant, 1] = 0.1
    for one in recording(responses).ceilings(CeilingChoices(10, "spearman"))[:3]:
        values = one.values(0)
        assert np.isfinite(values["t1"]), one.estimator
        assert np.isnan(values["t2"]), one.estimator
        assert one.undefined("t2") == said


def test_halves_that_cancel_say_so():
    rising = np.arange(5.0)
    responses = np.stack([rising, -rising, 2 * rising, -2 * rising], axis=1)[:, :, None]
    (found,) = (
        one
        for one in recording(responses, ("t1",)).ceilings(CeilingChoices(10, "spearman"))
        if one.estimator == "splithalf_spearman_brown"
    )
    assert np.isnan(found.values(0)["t1"])
    assert found.undefined("t1").startswith("the mean of a half of the repetitions is constant")
