"""The splits of a design: by a set's own strata or its labels, and the folds inside them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedShuffleSplit

from tests.planted_nets import noise
from zoo_eval.numerics import solvers
from zoo_eval.readouts.design import Design, has_strata
from zoo_eval.recordings.split import Split

NAMES = tuple(("car_10", "car_2", "Face", "apple")[n % 4] for n in range(60))
LABELS = tuple((10, 2, 7)[n % 3] for n in range(60))
PLAIN = noise(60)


@pytest.mark.parametrize(("stimuli", "values"), [
    (replace(PLAIN, strata=NAMES), NAMES),
    (replace(PLAIN, labels=LABELS), LABELS),
    (replace(PLAIN, labels=LABELS, strata=NAMES), NAMES),
])  # fmt: skip
def test_splits_are_scikit_learns_of_the_strata(stimuli, values):
    shuffles = StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1)
    expected = [np.sort(train) for train, _ in shuffles.split(np.zeros(60), np.array(values))]
    found = Design(protocol="brainscore").training_rows(stimuli)
    assert len(found) == 10
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_set_without_either_has_none():
    assert has_strata(replace(PLAIN, strata=NAMES))
    assert has_strata(replace(PLAIN, labels=LABELS))
    assert not has_strata(PLAIN)


def test_strata_are_part_of_what_a_set_is():
    digests = {replace(PLAIN, strata=one).digest for one in (None, NAMES, NAMES[::-1])}
    assert len(digests) == 3
    assert PLAIN.digest == replace(PLAIN, strata=None).digest


PUBLISHED = Split("tau", tuple("test" if n % 5 == 0 else "train" for n in range(60)))


@pytest.mark.parametrize(("design", "stimuli"), [
    (Design("nested", seed=3), PLAIN),
    (Design("brainscore"), replace(PLAIN, labels=LABELS)),
    (Design("published", seed=3, split=PUBLISHED), PLAIN),
], ids=lambda one: getattr(one, "protocol", ""))  # fmt: skip
def test_the_folds_that_are_planned_are_those_that_are_fitted(design, stimuli, monkeypatch):
    given = []

    def fitted(self, gram, responses, folds, inner):
        given.extend(fold for some in inner for fold in some)
        return [(responses[fold.test], responses[0], responses[0]) for fold in folds]

    monkeypatch.setattr(solvers.Ridge, "fitted", fitted)
    numbers = torch.randn(60, 60, generator=torch.Generator().manual_seed(0)).double()
    design.scores(numbers @ numbers.T, numbers[:, :3], stimuli, solvers.Ridge((1.0,)))
    planned = design.inner_folds(stimuli)
    assert len(planned) == len(given) > 0
    for ours, theirs in zip(planned, given, strict=True):
        np.testing.assert_array_equal(ours.train, theirs.train)
        np.testing.assert_array_equal(ours.test, theirs.test)
