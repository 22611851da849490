"""A draw of units hangs on seed, layer and size alone, and units are what the network computes."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.planted_nets import noise, opened, pixels
from zoo_eval.representations.representations import Representations
from zoo_eval.representations.units import drawn

PLENTY = 2**28
DRAWN = [2547, 3031, 3451, 3963, 8062, 9544]
SHOWN = noise(11)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    # What works in place would change what was kept without a copy.
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(216, 9))


def units(net, n_units, *, batch_size=64, budget=PLENTY, stimuli=SHOWN):
    model = opened(net)
    model.batch_size = batch_size
    found = Representations(model, budget).units(stimuli, ["0", "3"], n_units=n_units, seed=5)
    return {layer: found[layer] for layer in found}


def test_units_are_those_columns_of_the_flattened_activations(net):
    found = units(net, 20)
    with torch.no_grad():
        expected = net[0](pixels(SHOWN)).flatten(1)
    assert found["0"].values.shape == (11, 20)
    # The in-place ReLU has not touched them.
    assert (found["0"].values < 0).any()
    np.testing.assert_allclose(
        found["0"].values, expected[:, found["0"].numbers], rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(found["3"].numbers, np.arange(9))


def test_neither_batches_nor_memory_nor_other_stimuli_change_the_draw(net):
    whole, small = units(net, 20), units(net, 20, batch_size=3, budget=2**20)
    fewer = units(net, 20, stimuli=noise(4, seed=9))
    for layer, one in whole.items():
        np.testing.assert_array_equal(small[layer].numbers, one.numbers)
        np.testing.assert_array_equal(fewer[layer].numbers, one.numbers)
        np.testing.assert_allclose(small[layer].values, one.values, rtol=0, atol=1e-5)


def test_all_units_have_the_layers_gram_matrix(net):
    representations = Representations(opened(net), PLENTY)
    gram = representations.grams(SHOWN, ["0"])["0"].gram
    values = representations.units(SHOWN, ["0"], n_units=1000, seed=0)["0"].values.double()
    np.testing.assert_allclose(values @ values.T, gram, rtol=0, atol=1e-4)


def test_stimuli_are_shown_once_for_all_layers_and_never_again(net):
    model = opened(net)
    representations = Representations(model, PLENTY)
    representations.units(SHOWN, ["0", "3"], n_units=20, seed=5)
    # One more for the shapes.
    assert model.n_passes == len(SHOWN) + 1
    representations.units(SHOWN, ["3", "0"], n_units=20, seed=5)
    assert model.n_passes == len(SHOWN) + 1


def test_the_draw_is_what_it_was():
    """A draw that moved would change numbers under an id that stays."""
    assert drawn("blocks.3", 10_000, 6, 0).tolist() == DRAWN


def test_a_draw_hangs_on_seed_layer_and_size():
    own = drawn("a", 1000, 50, 0)
    assert len(set(own.tolist())) == 50
    assert (np.diff(own) > 0).all()
    for other in (drawn("b", 1000, 50, 0), drawn("a", 1000, 50, 1), drawn("a", 1001, 50, 0)):
        assert own.tolist() != other.tolist()


def test_every_feature_is_as_likely():
    counts = np.zeros(40)
    for seed in range(400):
        counts[drawn("a", 40, 10, seed)] += 1
    # 100 expected, standard error 8.7.
    assert np.abs(counts - 100).max() < 5 * 8.7
