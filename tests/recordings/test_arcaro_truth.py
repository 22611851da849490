"""Maps planted in a layer, read from a monkey's file as MATLAB writes it: the planted layer's maps win.

Arcaro's maps hold neither gaps nor repetitions: every image was shown at every position, and the file has
means alone. So what is planted is one mean over uneven repetitions for each image and position.
"""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import rankdata
from torch import nn

from tests.planted_nets import Sine, noise, opened
from tests.recordings import arcaro_files
from tests.recordings.sweepmates import Mates
from tests.rounding import SCORE, float32_products
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.spatial_fit import SpatialFit
from zoo_eval.inputs import Inputs
from zoo_eval.models import blueprint
from zoo_eval.networks.tracing import trace
from zoo_eval.recordings.arcaro import ArcaroSection
from zoo_eval.representations.representations import Representations

PX, SIDE, N_IMAGES, N_CHANNELS, P = 18, 9, 6, 10, 8
PHOTOS = noise(N_IMAGES, px=PX)
LAYERS, LAYER = ("1", "3", "5"), "3"
N_MS, WINDOW = 6, (2, 5)
NOISE_VARIANCE = 0.5


@pytest.fixture(scope="module")
def net():
    """Three layers on a grid of 9 x 9, each a bent mixture of the one before at the same position."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_before, side, steepness in ((3, 2, 1.6), (P, 1, 1.2), (P, 1, 2.2)):
        conv = nn.Conv2d(n_before, P, side, side)
        n_terms, spread = n_before * side**2, 12**-0.5 if n_before == 3 else 0.68
        conv.weight = nn.Parameter(torch.randn_like(conv.weight) * steepness / (spread * n_terms**0.5))  # fmt: skip
        middle = 0.5 if n_before == 3 else 0.0
        conv.bias = nn.Parameter(-middle * conv.weight.sum((1, 2, 3)).detach())
        layers += [conv, Sine()]
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def model(net):
    """The network has no outline that could be traced: it is traced itself."""
    patch = pytest.MonkeyPatch()
    shapes = trace(net, (PX, PX)).captured
    patch.setattr(blueprint.Blueprint, "captured", property(lambda _: shapes))
    patch.setattr(blueprint.Blueprint, "outline", property(lambda _: net))
    yield opened(net, input_px=PX)
    patch.undo()


@pytest.fixture(scope="module")
def planted(net):
    """Means (image, row, column, channel) of random projections of the layer and noise."""
    x = torch.tensor(np.stack(PHOTOS.images)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        maps = net[: int(LAYER) + 1](x).permute(0, 2, 3, 1).double().numpy()
    rng = np.random.default_rng(0)
    signal = maps @ rng.standard_normal((P, N_CHANNELS))
    signal = (signal - signal.mean((0, 1, 2))) / signal.std((0, 1, 2))
    counts = rng.integers(1, 5, signal.shape[:3])[..., None]
    return signal + (NOISE_VARIANCE / counts) ** 0.5 * rng.standard_normal(signal.shape)


@pytest.fixture(scope="module")
def recording(planted, tmp_path_factory):
    """As the reader gives it: axes (x, y, ms, channel, image), both of the grid turned round."""
    stored = planted[:, ::-1, ::-1].transpose(1, 2, 3, 0)[:, :, None].repeat(N_MS, 2)
    # The window's mean is what was planted, and what is outside is something else.
    stored[:, :, : WINDOW[0]] = stored[:, :, WINDOW[1] :] = 9
    stored[:, :, WINDOW[0]] += 1
    stored[:, :, WINDOW[0] + 1] -= 1
    names = np.array([*(f"C:\\natural\\{one}.png" for one in PHOTOS.ids), None], object)[:-1]
    path = tmp_path_factory.mktemp("arcaro") / "monkey1.mat"
    arcaro_files.monkey(path, imageRF=stored.astype(np.float32), UniqueNames=names[None])
    content = {"kind": "arcaro", "stimuli": PHOTOS.name, "path": path.name, "window_ms": WINDOW}
    section = ArcaroSection.model_validate(content, context={"home": path.parent})
    return section.read("it", Mates(PHOTOS))


def test_the_maps_are_those_that_were_planted(planted, recording):
    bound = 3 * float32_products(3, float(np.abs(planted).max()) + 1)
    assert_allclose(recording.spatial().maps, planted, rtol=0, atol=bound)
    assert recording.spatial().repetitions is None


@pytest.fixture(scope="module")
def rows(model, recording):
    inputs = Inputs({PHOTOS.name: PHOTOS}, {"it": recording})
    candidate = Candidate(model.card, model.blueprint)
    section = SpatialFit(recording="it", layers=LAYERS, n_components=P)
    trials = section.trials(candidate, inputs, 0)
    bench = Workbench(inputs, candidate, model, Representations(model, 2**28))
    results = list(section.run(trials, bench))
    assert [one.error for one in results] == [None] * len(LAYERS)
    return {one.trial.layer: one.rows["spatial_scores"] for one in results}


def least_squares(planted, maps):
    """Median r of held-out images, by least squares on the layer's own features, without the product."""
    found = []
    for image in range(N_IMAGES):
        rest = np.arange(N_IMAGES) != image
        x, y = (part[rest].reshape(-1, part.shape[-1]) for part in (maps, planted))
        weights = np.linalg.lstsq(x - x.mean(0), y - y.mean(0), rcond=None)[0]
        told = maps[image].reshape(-1, P) @ weights
        own = planted[image].reshape(-1, N_CHANNELS)
        found.append(np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(told.T, own.T)]))
    return float(np.mean(found))


def test_the_planted_layer_wins_and_layers_rank_as_by_least_squares(net, planted, rows):
    x = torch.tensor(np.stack(PHOTOS.images)).permute(0, 3, 1, 2).float() / 255
    expected = {}
    with torch.no_grad():
        for layer in LAYERS:
            maps = net[: int(layer) + 1](x).permute(0, 2, 3, 1).double().numpy()
            expected[layer] = least_squares(planted, maps)
    for column in ("score", "selection_score"):
        found = {layer: float(np.mean([row[column] for row in rows[layer]])) for layer in LAYERS}
        assert max(found, key=found.__getitem__) == LAYER
        assert_allclose(rankdata(list(found.values())), rankdata(list(expected.values())))
    # Of P features P components are all: PLS is least squares.
    scores = [float(np.mean([row["score"] for row in rows[layer]])) for layer in LAYERS]
    assert_allclose(scores, list(expected.values()), rtol=0, atol=SCORE)


def test_the_planted_layers_score_is_what_the_noise_leaves(planted, rows):
    """The root of signal over signal and noise x mean of 1 / n, n from 1 to 4."""
    expected = (1 + NOISE_VARIANCE * np.mean(1 / np.arange(1, 5))) ** -0.5
    found = float(np.mean([row["score"] for row in rows[LAYER]]))
    # Of r over the positions of an image, and of a median (1.25 times a mean's) of channels, over images.
    error = 1.25 * (1 - expected**2) / (SIDE**2 * N_CHANNELS * N_IMAGES) ** 0.5
    # A fit of P weights to so many positions lets through a share of the noise.
    lost = P / ((N_IMAGES - 1) * SIDE**2)
    # Counts are drawn, so that their mean of 1 / n is not quite that of 1 to 4.
    drawn = (
        expected**3 / 2 * NOISE_VARIANCE * np.std(1 / np.arange(1, 5)) / (SIDE**2 * N_IMAGES) ** 0.5
    )
    assert abs(found - expected) < 4 * (error + drawn) + lost


def test_means_alone_have_no_ceiling_of_repetitions(recording):
    inputs = Inputs({PHOTOS.name: PHOTOS}, {"it": recording})
    trials = Ceilings(recording="it").trials(Candidate(), inputs, 0)
    assert {one.protocol for one in trials} == {"max_pairwise_target"}
