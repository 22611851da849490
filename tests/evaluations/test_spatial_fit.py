"""spatial_fit under every protocol beside loops of scikit-learn; the planted layer's maps win."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import nn

from tests.evaluations import spatial_reference as reference
from tests.planted_nets import noise, opened
from tests.rounding import SCORE
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.evaluations.ceilings import Ceilings
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.spatial_fit import SpatialFit
from zoo_eval.evaluations.spatial_protocols import DEFECTS, PROTOCOLS
from zoo_eval.evaluations.spatial_scores import without_each, without_pairs
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.image_pls import fit_bytes
from zoo_eval.recordings.responses import ResponseRecording
from zoo_eval.recordings.spatial import SpatialMaps
from zoo_eval.recordings.spatial_recording import SpatialRecording
from zoo_eval.representations import position_maps
from zoo_eval.representations.representations import Representations
from zoo_eval.transforms import Transform

PX, SIDE, N_IMAGES, N_CHANNELS = 24, 9, 5, 4
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
PHOTOS = noise(N_IMAGES, px=PX)
LAYERS = ("0", "2", "4")
N_COMPONENTS = 4
EXACT = [name for name in PROTOCOLS if name != "corrected"]


class Tokens(nn.Module):
    """Maps as tokens, row by row."""

    def forward(self, maps):
        return maps.flatten(2).mT


@pytest.fixture(scope="module")
def net():
    """Layers above the grid (12 x 12), below it (6 x 6, of 606 features), and of tokens (3 x 3)."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 7, 2, 2), nn.ReLU(), nn.Conv2d(7, 606, 2, 2), nn.AvgPool2d(2), Tokens(),
        nn.Flatten(), nn.Linear(9 * 606, 3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(net):
    found = opened(net, input_px=PX)
    transform = Transform(PX, PX, "bilinear", tuple(MEAN), tuple(STD))
    object.__setattr__(found.blueprint, "transform", transform)
    found.transform = transform
    return found


@pytest.fixture(scope="module", autouse=True)
def _layouts(net, model):
    """The planted network has no outline that could be traced: it is traced itself."""
    from zoo_eval.models import blueprint
    from zoo_eval.networks.tracing import trace

    patch = pytest.MonkeyPatch()
    shapes = trace(net, (PX, PX)).captured
    patch.setattr(blueprint.Blueprint, "captured", property(lambda _: shapes))
    patch.setattr(blueprint.Blueprint, "outline", property(lambda _: net))
    yield
    patch.undo()


def activations(net, *, by_mean=False):
    """By layer (image, row, column, feature), from pixels on by hand."""
    given = reference.pixels(PHOTOS.images, MEAN, STD, by_mean=by_mean)
    x = torch.tensor(given).permute(0, 3, 1, 2)
    found = {}
    for name, module in net.double().named_children():
        x = module(x)
        if name in LAYERS:
            maps = x.mT.unflatten(2, (3, 3)) if name == "4" else x
            found[name] = maps.permute(0, 2, 3, 1).detach().numpy()
    net.float()
    return found


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((N_IMAGES, 2, SIDE, SIDE, 1))
    maps = shared + rng.standard_normal((N_IMAGES, 2, SIDE, SIDE, N_CHANNELS)) + 3
    channels = tuple(f"c{channel}" for channel in range(N_CHANNELS))
    known = SpatialMaps(maps.mean(1), PHOTOS.ids, channels, maps)
    return SpatialRecording("it", PHOTOS.name, known)


def planned(model, recording, **choices):
    section = SpatialFit(**{"recording": "it", "layers": list(LAYERS), "n_components": N_COMPONENTS, **choices})  # fmt: skip
    inputs = Inputs({PHOTOS.name: PHOTOS}, {"it": recording})
    candidate = Candidate(model.card, model.blueprint)
    return section, section.trials(candidate, inputs, 0), inputs, candidate


def run(model, recording, **choices):
    section, trials, inputs, candidate = planned(model, recording, **choices)
    bench = Workbench(inputs, candidate, model, Representations(model, 2**30))
    return list(section.run(trials, bench))


def scores(results, layer):
    (rows,) = (r.rows["spatial_scores"] for r in results if r.trial.layer == layer)
    return rows


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_every_protocol_is_the_loops_to_a_millionth(net, model, recording, protocol):
    defects = PROTOCOLS[protocol].defects
    results = run(model, recording, protocol=protocol, selection=False, keep_maps=True)
    given = activations(net, by_mean="divided_by_mean" in defects)
    for layer in LAYERS:
        found = scores(results, layer)
        expected = reference.rows(given[layer], recording.spatial().maps, N_COMPONENTS, defects)
        assert [row["stimulus_id"] for row in found] == list(PHOTOS.ids)
        for key in ("score", "r", "map_spearman_full", "map_spearman_quarter", "ceiling"):
            assert_allclose(
                [row[key] for row in found], [row[key] for row in expected], rtol=0, atol=SCORE
            )
        (maps,) = (r.rows["spatial_maps"] for r in results if r.trial.layer == layer)
        for row, one in zip(maps, expected, strict=True):
            # Of the size of responses, from features that float32 holds to a ten-millionth.
            assert_allclose(row["predicted"], one["predicted"].ravel(), rtol=0, atol=10 * SCORE)


# What a defect changes; two change nothing that is scored, for correlations do not see a shift.
UNSEEN = {"uncentred_prediction", "ceiling_slipped_scale"}


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_each_defect_alone_changes_what_it_says_and_no_more(model, recording, defect):
    plain = run(model, recording, selection=False)
    flawed = run(model, recording, selection=False, protocol=f"defect_{defect}")
    changed = {
        key
        for layer in LAYERS
        for one, other in zip(scores(plain, layer), scores(flawed, layer), strict=True)
        for key in ("r", "ceiling", "map_spearman_quarter", "selection_score")
        if not np.allclose(
            *(np.array(x[key] if x[key] is not None else -9.0, float) for x in (one, other)),
            rtol=0, atol=1e-9,
        )
    }  # fmt: skip
    if defect in UNSEEN:
        assert not changed
    elif defect == "layer_on_test":
        assert changed == {"selection_score"}
    elif defect.startswith("ceiling"):
        assert changed == {"ceiling"}
    elif defect == "quarter_sampled":
        assert changed == {"map_spearman_quarter"}
    else:
        assert "r" in changed
        assert "ceiling" not in changed


def test_a_layer_is_chosen_without_the_scored_image(net, model, recording):
    results = run(model, recording)
    given = activations(net)
    for layer in ("0", "4"):
        expected = reference.selection(given[layer], recording.spatial().maps, N_COMPONENTS)
        found = [row["selection_score"] for row in scores(results, layer)]
        assert_allclose(found, expected, rtol=0, atol=SCORE)
        assert len(set(found)) == N_IMAGES


def test_the_released_choice_of_a_layer_is_its_score(model, recording):
    for protocol in ("linsley2023_release", "defect_layer_on_test"):
        found = scores(run(model, recording, protocol=protocol), "0")
        mean = np.mean([row["score"] for row in found])
        assert_allclose([row["selection_score"] for row in found], mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_that_was_planted_wins(net, model, layer):
    rng = np.random.default_rng(1)
    maps = reference.features(activations(net)[layer], SIDE, ())
    flat = maps.reshape(-1, maps.shape[-1])
    flat = flat - flat.mean(0)
    _, _, vectors = np.linalg.svd(flat, full_matrices=False)
    signal = flat @ vectors[:3].T
    signal = signal / signal.std(0) @ rng.standard_normal((3, N_CHANNELS))
    noisy = signal / signal.std(0) + 0.3 * rng.standard_normal(signal.shape)
    planted = SpatialMaps(
        noisy.reshape(N_IMAGES, SIDE, SIDE, -1), PHOTOS.ids, tuple(map(str, range(N_CHANNELS)))
    )
    results = run(model, SpatialRecording("it", PHOTOS.name, planted))
    means = {
        one: {
            key: np.mean([row[key] for row in scores(results, one)])
            for key in ("score", "selection_score", "map_spearman_full")
        }
        for one in LAYERS
    }
    for key in ("score", "selection_score"):
        assert max(LAYERS, key=lambda one: means[one][key]) == layer


def test_layers_without_positions_are_left_out(model, recording):
    _, trials, _, _ = planned(model, recording, layers=["0", "5", "6", "logits"])
    assert [trial.layer for trial in trials] == ["0"]
    with pytest.raises(Refusal, match=r"layer '6' gives .* no maps over positions"):
        planned(model, recording, layers="6")


def test_its_companion_estimates_the_recordings_ceilings(model, recording):
    section, _, inputs, _ = planned(model, recording)
    (companion,) = section.companions(inputs)
    assert isinstance(companion, Ceilings)
    trials = companion.trials(Candidate(), inputs, 0)
    assert {t.protocol for t in trials} == {"max_pairwise_target", "splithalf_spearman_brown"}
    (whole,) = (r for r in companion.run(trials, Workbench(inputs, Candidate())) if r.trial.protocol == "max_pairwise_target")  # fmt: skip
    expected = [row["ceiling"] for row in scores(run(model, recording, layers="0"), "0")]
    assert whole.rows["ceilings"][0]["ceiling"] == pytest.approx(np.mean(expected), rel=1e-12)


def test_a_layer_that_cannot_be_averaged_fails_alone(model, recording, monkeypatch):
    monkeypatch.setattr("zoo_eval.numerics.spatial_released.MOST_FEATURES", 6)
    results = run(model, recording, protocol="linsley2023_release")
    errors = {r.trial.layer: r.error for r in results}
    assert "its 7 features are more than 6" in str(errors["0"])
    assert errors["2"] is None
    assert errors["4"] is None


def test_a_layer_of_nan_fails_alone(model, recording, net):
    weight = net[2].weight.data
    kept = weight[0, 0, 0, 0].clone()
    weight[0, 0, 0, 0] = torch.nan
    try:
        errors = {r.trial.layer: r.error for r in run(model, recording)}
    finally:
        weight[0, 0, 0, 0] = kept
    assert "layer 2 of local/planted has non-finite activations" in str(errors["2"])
    assert errors["0"] is None


def test_what_it_takes_is_planned_and_held_to_the_budget(model, recording):
    section, trials, inputs, candidate = planned(model, recording)
    (request,) = section.requests(trials, candidate, inputs)
    n_positions = SIDE * SIDE
    sizes = (n_positions, 606, N_CHANNELS, N_COMPONENTS)
    folds = without_each(N_IMAGES), without_pairs(N_IMAGES)
    fits = sum(fit_bytes(training, *sizes) for training in folds)
    need = request.within(2**30)
    assert need.n_images == N_IMAGES
    maps = 4 * N_IMAGES * n_positions * 606
    assert fits + maps <= need.peak_bytes <= 1.1 * (fits + maps)
    with pytest.raises(
        Refusal, match=r"maps of 5 images at 9 x 9 positions of up to 606 features take"
    ):
        request.within(need.peak_bytes - 1)


def test_no_room_on_the_disk_is_a_refusal(model, recording, monkeypatch):
    def full(n_bytes):
        raise Refusal("no room")

    monkeypatch.setattr(position_maps, "check_room", full)
    with pytest.raises(Refusal, match="no room"):
        run(model, recording)


def test_images_are_resized_whole_or_as_the_model_has_it(model, recording):
    _, squashed, _, _ = planned(model, recording)
    _, own, _, _ = planned(model, recording, resize="own")
    assert {t.parameters["resize"] for t in (*squashed, *own)} == {"squash", "own"}
    cropped = Transform(PX, 2 * PX, "bilinear", tuple(MEAN), tuple(STD))
    whole = cropped.squashed()
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    from PIL import Image

    expected = Image.fromarray(image).resize((PX, PX), Image.Resampling.BILINEAR)
    assert np.array_equal(whole.seen(image), np.asarray(expected))


def test_a_mean_of_zero_cannot_be_divided_by(net, recording):
    plain = opened(net, input_px=PX)
    with pytest.raises(Refusal, match=r"images of local/planted are normalised by mean \[0.0"):
        planned(plain, recording, protocol="linsley2023_release")
    assert planned(plain, recording)[1]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"n_components": 243}, "leave 243 rows to fit 243 components to; lower n_components"),
        ({"n_components": 324, "selection": False}, "leave 324 rows"),
    ],
)
def test_too_many_components_are_refused_at_planning(model, recording, choices, said):
    with pytest.raises(BadInput, match=said):
        planned(model, recording, **choices)


def test_pairs_of_many_images_are_refused_at_planning(model, recording, monkeypatch):
    monkeypatch.setattr("zoo_eval.evaluations.spatial_fit.MOST_SELECTING", 4)
    with pytest.raises(BadInput, match="for each pair of 5 images; set selection = false"):
        planned(model, recording)
    assert planned(model, recording, selection=False)[1]


def test_folds_leave_out_each_image_and_each_pair_once():
    assert (~without_each(4)).nonzero().tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    pairs = [tuple(row.nonzero()[:, 0].tolist()) for row in ~without_pairs(4)]
    assert pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_a_recording_of_responses_is_refused_at_planning(model):
    other = ResponseRecording("it", PHOTOS.name, np.zeros((N_IMAGES, 1, 1)), ("t",))
    with pytest.raises(BadInput, match="'it' holds no maps over positions"):
        planned(model, other)


def test_an_unknown_protocol_offers_the_nearest():
    with pytest.raises(ValidationError, match="unknown protocol 'linsley2023'; nearest: linsley2023_release"):  # fmt: skip
        SpatialFit(recording="it", protocol="linsley2023")
