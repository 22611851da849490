"""Alignment on a canvas is over the pixels that reach the model: a frame that it never sees moves nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from scipy.stats import spearmanr
from torch import nn

from tests.planted_nets import noise, opened
from tests.rounding import float32_products, float32_rho
from zoo_eval.errors import Refusal
from zoo_eval.evaluations import regions
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.human_alignment import HumanAlignment
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.evaluations.regions import Place, Region, common, seen, whole
from zoo_eval.importance.maps import of_stimuli
from zoo_eval.importance.preparation import Preparation
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.alignment import REDUCTIONS
from zoo_eval.representations.representations import Representations
from zoo_eval.tables import ALIGNMENT
from zoo_eval.transforms import Transform

N, CANVAS, SEEN_PX, N_CLASSES = 4, 32, 16, 1000
CROPPED = Transform(SEEN_PX, CANVAS, "bicubic", (0.0,) * 3, (1.0,) * 3)
INSIDE = Region(CANVAS, (8, 24), (8, 24))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SEEN_PX**2, 40), nn.Tanh(), nn.Linear(40, N_CLASSES))  # fmt: skip


@pytest.fixture(scope="module")
def shown(net):
    """Photos, called what the network calls them."""
    photos = noise(N, px=CANVAS)
    inner = torch.tensor(np.stack(photos.images)).permute(0, 3, 1, 2)[..., 8:24, 8:24] / 255
    return replace(photos, labels=tuple(net(inner).argmax(1).tolist()))


def maps_of(shown, raw, canvas=CANVAS):
    preparation = Preparation(canvas_px=canvas, blur=None)
    return of_stimuli("people", shown, list(np.float32(raw)), preparation, human_ceiling=None)


@pytest.fixture(scope="module")
def maps(shown):
    return maps_of(shown, np.random.default_rng(7).random((N, CANVAS, CANVAS)))


def rows(net, shown, maps, evaluation, *, transform=CROPPED, compared=()):
    model = opened(net, input_px=transform.input_px)
    model.transform = transform
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    plan = replace(model.blueprint, anatomy=anatomy, transform=transform)
    candidate = Candidate(model.card, plan)
    inputs = Inputs({shown.name: shown}, {}, {maps.name: maps}, compared)
    bench = Workbench(inputs, candidate, model, Representations(model, 2**28))
    trials = evaluation.trials(candidate, inputs, 0)
    (result,) = evaluation.run(trials, bench)
    assert result.error is None
    own = {"trial_id": "t", "model": "m", "commit_id": "c"}
    ALIGNMENT.arrow([{**row, **own} for row in result.rows["alignment"]])
    return trials[0], result.rows["alignment"]


def gradients(shown, maps, region="seen", **choices):
    return HumanAlignment(stimuli=shown.name, importance=maps.name, region=region,
                          **{"canvas": CANVAS, **choices})  # fmt: skip


@pytest.mark.parametrize(
    ("transform", "rows", "columns"),
    [
        (CROPPED, (8, 24), (8, 24)),
        (replace(CROPPED, input_px=CANVAS), (0, 32), (0, 32)),
        (replace(CROPPED, input_px=CANVAS, squash=True), (0, 32), (0, 32)),
        # Twice as large: a bilinear pixel takes half of one more canvas pixel at either side.
        (replace(CROPPED, input_px=32, resize_px=64, interpolation="bilinear"), (7, 25), (7, 25)),
        (replace(CROPPED, input_px=32, resize_px=64, interpolation="bicubic"), (6, 26), (6, 26)),
        # Half as large, antialiased: each seen pixel takes four.
        (replace(CROPPED, input_px=12, resize_px=16, interpolation="bilinear"), (3, 29), (3, 29)),
    ],
)
def test_what_reaches_the_model_is_what_its_resize_and_crop_take(transform, rows, columns):
    found = seen(transform, CANVAS)
    assert (found.rows, found.columns) == (rows, columns)
    # Checked by changing pixels: outside nothing moves, and each edge inside does.
    pixels = torch.full((1, 3, CANVAS, CANVAS), 0.5)
    before = transform.view(pixels)
    outside = pixels.clone() + 0.25
    found.of(outside).copy_(found.of(pixels))
    assert torch.equal(transform.view(outside), before)
    for row in (rows[0], rows[1] - 1):
        moved = pixels.clone()
        moved[..., row, columns[0] : columns[1]] += 0.25
        assert not torch.equal(transform.view(moved), before)


def test_rows_equal_scipy_over_the_seen_pixels(net, shown, maps):
    trial, found = rows(net, shown, maps, gradients(shown, maps))
    assert trial.parameters["region"] == "seen"
    inner = torch.tensor(np.stack(shown.images)).permute(0, 3, 1, 2)[..., 8:24, 8:24] / 255
    view = inner.requires_grad_()
    chosen = net(view)[torch.arange(N), torch.tensor(shown.labels)].sum()
    signed = torch.autograd.grad(chosen, view)[0]
    bound = float32_rho(SEEN_PX**2, float32_products(40 + 1000))
    for row in found:
        i = shown.ids.index(row["stimulus_id"])
        one = REDUCTIONS[row["channel_reduction"]](signed)[i].numpy().ravel()
        rho = [spearmanr(one, m[8:24, 8:24].ravel()).statistic for m in maps.maps]
        assert row["spearman"] == pytest.approx(rho.pop(i), rel=0, abs=bound)
        assert row["null_spearman"] == pytest.approx(np.mean(rho), rel=0, abs=bound)
        assert row["region"] == "seen"
        assert row["unseen_share"] == 1 - SEEN_PX**2 / CANVAS**2


def framed(values, width, fill):
    """Images or maps with a frame around them."""
    pads = [(width, width)] * 2 + [(0, 0)] * (np.ndim(values[0]) - 2)
    return [np.pad(one, pads, constant_values=fill) for one in values]


@pytest.mark.parametrize("kind", ["gradients", "attack"])
def test_a_frame_that_the_model_never_sees_changes_nothing(net, shown, maps, kind):
    def of(photos, looked_at, canvas, region="seen"):
        about = {"stimuli": photos.name, "importance": looked_at.name, "canvas": canvas, "region": region}  # fmt: skip
        wanted = HumanAlignment(**about) if kind == "gradients" else MinimalAttack(attacks=["ddn"], **about)  # fmt: skip
        transform = replace(CROPPED, resize_px=canvas)
        found = rows(net, photos, looked_at, wanted, transform=transform)[1]
        return [[row[c] for c in ("spearman", "null_spearman")] for row in found]

    wide = CANVAS + 12
    larger = replace(shown, images=tuple(framed(shown.images, 6, 127)))
    around = maps_of(larger, framed(maps.maps, 6, 0.5), canvas=wide)
    assert_allclose(of(larger, around, wide), of(shown, maps, CANVAS), rtol=0, atol=1e-6)
    defect = "defect_unseen_frame"
    moved = np.abs(np.subtract(of(larger, around, wide, defect), of(shown, maps, CANVAS, defect)))
    assert moved.max() > 0.01


def test_models_can_be_compared_over_what_all_of_them_see(net, shown, maps):
    smaller = replace(CROPPED, input_px=8)
    trial, found = rows(net, shown, maps, gradients(shown, maps, "common"), compared=(CROPPED, smaller))  # fmt: skip
    assert trial.parameters["region"] == {"common": {"rows": [12, 20], "columns": [12, 20]}}
    assert {row["unseen_share"] for row in found} == {INSIDE.left_out}
    alone, same = rows(net, shown, maps, gradients(shown, maps, "common"), compared=(CROPPED,))
    _, seen_rows = rows(net, shown, maps, gradients(shown, maps))
    assert alone.id != trial.id
    assert [row["spearman"] for row in same] == [row["spearman"] for row in seen_rows]
    assert [row["spearman"] for row in found] != [row["spearman"] for row in same]


def test_no_common_pixel_is_refused_in_a_line(monkeypatch):
    apart = {8: Region(CANVAS, (0, 8), (0, 8)), 16: Region(CANVAS, (8, 24), (8, 24))}
    monkeypatch.setattr(regions, "seen", lambda transform, _: apart[transform.input_px])
    with pytest.raises(
        Refusal, match="no pixel of a canvas of 32 px reaches every model of the sw"
    ):
        common([CROPPED, replace(CROPPED, input_px=8)], CANVAS)
    assert common([], CANVAS) == whole(CANVAS)


def test_the_models_own_view_has_no_region_and_its_trials_keep_their_ids():
    place = Place.of(CROPPED, "own", "seen", ())
    assert (place.transform, place.region, place.unseen_share) == (CROPPED, None, 0.0)
    assert place.parameters == {}
    for section in (HumanAlignment, MinimalAttack):
        with pytest.raises(ValidationError, match=r'region = "common" is of a common canvas'):
            section(stimuli="s", importance="i", region="common")
    with pytest.raises(ValidationError, match="needs `importance`"):
        MinimalAttack(stimuli="s", canvas=CANVAS, region="common")


def test_a_resize_without_a_gradient_is_refused_on_a_canvas(net, shown, maps):
    transform = replace(CROPPED, resize_px=40, interpolation="lanczos")
    for wanted in (gradients(shown, maps), MinimalAttack(stimuli=shown.name, canvas=CANVAS)):
        with pytest.raises(Refusal, match=r'no gradient through it; set canvas = "own"'):
            rows(net, shown, maps, wanted, transform=transform)


def test_the_former_name_of_a_reduction_is_read_and_names_the_same_trial(net, shown, maps):
    trials = [
        rows(net, shown, maps, gradients(shown, maps, channel_reductions=[name]))
        for name in ("abs_mean", "abs_of_mean")
    ]
    assert trials[0] == trials[1]
    assert trials[0][0].parameters["channel_reductions"] == ["abs_mean"]
    assert {row["channel_reduction"] for row in trials[0][1]} == {"abs_of_mean"}
