"""Two recordings of the same targets: their responses one after the other, and a fit that is transferred."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import pearsonr
from torch import nn

from tests.numerics.regression import exact_pls
from tests.planted_nets import noise, opened, pixels
from tests.recordings.sweepmates import Mates
from tests.rounding import SCORE
from zoo_eval.errors import BadInput, WrongSweep
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.neural_fit import NeuralFit
from zoo_eval.inputs import Inputs
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.together import TogetherSection
from zoo_eval.representations.representations import Representations
from zoo_eval.stimuli.stimulus_set import joined

FIRST, SECOND = noise(40), noise(15, seed=1)
BOTH = replace(joined(FIRST, SECOND), name="both")


def recorded(name, shown, targets, n_repetitions, seed, values=None):
    rng = np.random.default_rng(seed)
    values = (
        rng.standard_normal((len(shown), 1, len(targets))) if values is None else values[:, None]
    )
    responses = values + 0.3 * rng.standard_normal((len(shown), n_repetitions, len(targets)))
    table = pa.table({"target_id": list(targets), "region": [f"of {one}" for one in targets]})
    return ResponseRecording(name, shown.name, responses, tuple(targets), targets=table)


def read(first, second, shown=BOTH):
    mates = Mates(shown)
    mates.recordings = {"nsd": first, "synthetic": second}
    return TogetherSection(stimuli=shown.name, of=("nsd", "synthetic")).read("all", mates)


def test_shared_targets_are_matched_by_their_ids():
    first, second = recorded("nsd", FIRST, "abcd", 3, 0), recorded("synthetic", SECOND, "xdb", 2, 1)
    found = read(first, second)
    assert found.target_ids == ("b", "d")
    assert_allclose(found.mean[:40], first.mean[:, [1, 3]], rtol=1e-12)
    assert_allclose(found.mean[40:], second.mean[:, [2, 1]], rtol=1e-12)
    assert found.repeated().counts.tolist() == [3] * 40 + [2] * 15
    assert found.targets["region"].to_pylist() == ["of b", "of d"]
    assert "2 of 4 targets of 'nsd' and 2 of 3 targets of 'synthetic' are in both" in found.notes


def test_a_fit_to_the_first_is_tested_on_the_second():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 12))
    with torch.no_grad():
        features = [net(pixels(one)).double().numpy() for one in (FIRST, SECOND)]
    weights = np.random.default_rng(2).standard_normal((12, 3))
    parts = [
        recorded(name, shown, "abc", 2, seed, own @ weights)
        for name, shown, seed, own in (("nsd", FIRST, 0, features[0]), ("synthetic", SECOND, 1, features[1]))
    ]  # fmt: skip
    found, model = read(*parts), opened(net)
    candidate, given = (
        Candidate(model.card, model.blueprint),
        Inputs({"both": BOTH}, {"all": found}),
    )
    evaluation = NeuralFit(
        recording="all", layers="logits", protocol="published", split="transfer", readouts=["pls"],
        components=4, choose_components=False,
    )  # fmt: skip
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    (result,) = evaluation.run(evaluation.trials(candidate, given, 0), bench)
    (row,) = result.rows["neural_scores"]
    predicted = exact_pls(features[0], parts[0].mean, 4).predict(features[1])
    expected = [pearsonr(x, y).statistic for x, y in zip(predicted.T, parts[1].mean.T)]
    assert_allclose(row["r"], expected, rtol=0, atol=SCORE)
    assert row["n_stimuli"] == 15


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (lambda a, b: (a, replace(b, target_ids=("x", "y", "z"))), BadInput, "have no target in common"),
        (lambda a, b: (b, a), WrongSweep, r"stimuli 'both' are not those of .* of = \['noise 1', 'noise 0'\]"),
    ],
)  # fmt: skip
def test_recordings_that_do_not_go_together_are_one_line(change, error, reason):
    given = recorded("nsd", FIRST, "abc", 2, 0), recorded("synthetic", SECOND, "abc", 2, 1)
    with pytest.raises(error, match=f"^recording 'all': .*{reason}"):
        read(*change(*given))


def test_a_set_that_is_not_of_both_is_refused():
    given = recorded("nsd", FIRST, "abc", 2, 0), recorded("synthetic", SECOND, "abc", 2, 1)
    with pytest.raises(WrongSweep, match="stimuli 'noise 0' are not those of nsd and synthetic"):
        read(*given, shown=FIRST)
