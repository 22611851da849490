"""A readout's options are its identity, and what memory it takes is known before it runs."""

import os
import subprocess
import sys

import pytest

from tests.readouts.measured_readouts import MEASURED
from zoo_eval.readouts.design import Design
from zoo_eval.readouts.readout import READOUTS

# One process for all, because what the libraries keep for themselves is not part of a fit.
SCRIPT = "from tests.readouts.measured_readouts import main; main()"


@pytest.fixture(scope="module")
def measured():
    # Arrays have pages of their own: what is in use is what is allocated.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**18)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    lines = (line.rsplit(" ", 2) for line in done.stdout.splitlines())
    return {name: (int(predicted), int(actual)) for name, predicted, actual in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="a peak is reset through /proc")
@pytest.mark.parametrize("name", MEASURED)
def test_the_peak_is_as_predicted(measured, name):
    predicted, actual = measured[name]
    # The rest is for gaps: a model's process keeps what it frees, some of which fits nothing else.
    assert 0.35 * predicted <= actual <= 0.85 * predicted


# Another value of each option than its default.
OTHERWISE = {
    "pls": {"components": 3, "choose_components": False, "fit_by": ("region",)},
    "ridge": {"alpha": 0.5, "alphas": "brainscore"},
    "rsa": {"dissimilarity": "cosine", "comparison": "pearson"},
    "cka": {"cka": "plain"},
    "procrustes": {},
    "reverse_pls": {"components": 3, "choose_components": False, "n_units": 7},
    "reverse_ridge": {"n_units": 7},
}


def test_every_option_of_every_readout_is_part_of_its_identity():
    assert set(READOUTS) == set(OTHERWISE)
    for name, readout in READOUTS.things().items():
        assert readout.model_fields.keys() == OTHERWISE[name].keys(), name
        usual = readout().settled("nested").parameters(Design())
        for option, value in OTHERWISE[name].items():
            other = readout.model_validate({option: value}).settled("nested")
            assert other.parameters(Design()) != usual, option


def test_what_is_measured_is_named_by_its_statistic():
    named = {
        (name, one.settled("nested").statistic)
        for name, kind in READOUTS.things().items()
        for one in (kind(), kind.model_validate(OTHERWISE[name]))
    }
    assert named == {
        ("pls", "pearson_r"),
        ("ridge", "pearson_r"),
        ("rsa", "spearman_rho"),
        ("rsa", "pearson_r"),
        ("cka", "debiased_cka"),
        ("cka", "cka"),
        ("procrustes", "shape_similarity"),
        ("reverse_pls", "pearson_r"),
        ("reverse_ridge", "pearson_r"),
    }


def test_readouts_that_fit_those_that_compare_and_the_reverse_are_told_apart():
    modes = {name: readout.mode for name, readout in READOUTS.things().items()}
    assert modes == {
        "pls": "fit", "ridge": "fit", "rsa": "similarity", "cka": "similarity",
        "procrustes": "similarity", "reverse_pls": "reverse", "reverse_ridge": "reverse",
    }  # fmt: skip
