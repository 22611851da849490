"""human_alignment from pixels to rows: equal to SciPy on gradients written out, 1 where planted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from scipy.stats import spearmanr
from torch import nn

from tests.planted_nets import noise, opened, pixels
from tests.rounding import float32_products, float32_rho
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.human_alignment import HumanAlignment
from zoo_eval.importance.maps import of_stimuli
from zoo_eval.importance.preparation import Preparation
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.alignment import REDUCTIONS
from zoo_eval.representations.representations import Representations
from zoo_eval.tables import ALIGNMENT

N, PX, N_CLASSES = 5, 8, 1000
# Of pixels ranked by a gradient that goes back through 40 and 1000 terms.
ROUNDING = float32_rho(PX * PX, float32_products(40 + 1000))
AS_IT_IS = Preparation(canvas_px=PX, blur=None)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * PX * PX, 40), nn.Tanh(), nn.Linear(40, N_CLASSES))  # fmt: skip


@pytest.fixture(scope="module")
def shown():
    return replace(noise(N, px=PX), labels=(3, 1, 4, 1, 5))


def maps_of(shown, raw, **more):
    return of_stimuli("people", shown, list(raw), AS_IT_IS, human_ceiling=more.get("ceiling"))


def random_maps(shown, **more):
    return maps_of(shown, np.random.default_rng(7).random((N, PX, PX)).astype(np.float32), **more)


def gradients(net, shown):
    """Those of the true logits (image, channel, row, column), by autograd alone."""
    view = pixels(shown).requires_grad_()
    chosen = net(view)[torch.arange(N), torch.tensor(shown.labels)].sum()
    return torch.autograd.grad(chosen, view)[0]


def parts(net, shown, maps, **choices):
    model = opened(net, input_px=choices.pop("input_px", PX))
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    candidate = Candidate(model.card, replace(model.blueprint, anatomy=anatomy))
    inputs = Inputs({shown.name: shown}, {}, {maps.name: maps})
    evaluation = HumanAlignment(stimuli=shown.name, importance=maps.name, **choices)
    return evaluation, candidate, Workbench(inputs, candidate, model, Representations(model, 2**28))


def rows(net, shown, maps, **choices):
    evaluation, candidate, bench = parts(net, shown, maps, **choices)
    trials = evaluation.trials(candidate, bench.inputs, 0)
    results = list(evaluation.run(trials, bench))
    assert [result.error for result in results] == [None] * len(trials)
    found = [row for result in results for row in result.rows["alignment"]]
    own = {"trial_id": "t", "model": "m", "commit_id": "c"}
    ALIGNMENT.arrow([{**row, **own} for row in found])
    return found


def test_rows_equal_scipy_on_autograds_gradients(net, shown):
    maps = random_maps(shown, ceiling=0.6)
    found = rows(net, shown, maps)
    assert len(found) == N * 3
    signed = gradients(net, shown)
    for row in found:
        i = shown.ids.index(row["stimulus_id"])
        one = REDUCTIONS[row["channel_reduction"]](signed)[i].numpy().ravel()
        rho = [spearmanr(one, m.ravel()).statistic for m in maps.maps]
        assert row["spearman"] == pytest.approx(rho.pop(i), rel=0, abs=ROUNDING)
        assert row["null_spearman"] == pytest.approx(np.mean(rho), rel=0, abs=ROUNDING)
        interval = np.quantile(rho, [0.025, 0.975])
        assert_allclose([row["null_low"], row["null_high"]], interval, rtol=0, atol=ROUNDING)
        assert (row["n_null"], row["human_ceiling"], row["reason"]) == (N - 1, 0.6, None)
        assert (row["method"], row["importance"]) == ("input_gradient", "people")
        assert row["published_reduction"] == (row["channel_reduction"] == "abs_max")


@pytest.mark.parametrize("reduction", ["abs_of_mean", "abs_max", "l2"])
def test_maps_that_are_the_gradient_agree_fully(net, shown, reduction):
    maps = maps_of(shown, REDUCTIONS[reduction](gradients(net, shown)).float().numpy())
    found = rows(net, shown, maps, channel_reductions=[reduction])
    assert [row["spearman"] for row in found] == [pytest.approx(1, rel=0, abs=ROUNDING)] * N
    assert all(abs(row["null_spearman"]) < 0.5 for row in found)


def test_integrated_gradients_and_smooth_grad_are_their_integrals(net, shown):
    """Both written out as sums over gradients of autograd, with many points."""
    n, noise_scale = 3000, 0.2
    options = {"integrated_gradients": {"n_steps": 40},
               "smooth_grad": {"n_samples": n, "noise": noise_scale}}  # fmt: skip
    methods = ["integrated_gradients", "smooth_grad"]
    view = pixels(shown)
    maps = random_maps(shown)
    found = rows(net, shown, maps, methods=methods, options=options, channel_reductions=["l2"])
    by_method = {m: [r["spearman"] for r in found if r["method"] == m] for m in methods}

    def gradient(at):
        at = at.clone().requires_grad_()
        chosen = net(at)[torch.arange(N), torch.tensor(shown.labels)].sum()
        return torch.autograd.grad(chosen, at)[0]

    integral = view * sum(gradient(view * (k + 0.5) / 500) for k in range(500)) / 500
    torch.manual_seed(1)
    smooth = sum(gradient(view + noise_scale * torch.randn_like(view)) for _ in range(n)) / n
    # Midpoints of 40 steps, and two means of 3000 draws each, whose noise of a few hundredths of the
    # gradient moves a correlation over 64 pixels by an eighth of that; five times as much.
    for method, expected, tolerance in (
        ("integrated_gradients", integral, 1e-3), ("smooth_grad", smooth, 0.05),
    ):  # fmt: skip
        rho = [spearmanr(e.norm(dim=0).ravel(), m.ravel()).statistic
               for e, m in zip(expected, maps.maps)]  # fmt: skip
        assert_allclose(by_method[method], rho, atol=tolerance)


def test_a_constant_or_ill_shaped_map_is_undefined_with_its_reason(net, shown):
    raw = list(np.random.default_rng(7).random((N, PX, PX)).astype(np.float32))
    raw[1], raw[3] = np.ones((PX, PX), np.float32), np.ones((PX, 2 * PX), np.float32)
    found = rows(net, shown, maps_of(shown, raw), channel_reductions=["l2"])
    assert [row["spearman"] is None for row in found] == [False, True, False, True, False]
    assert [row["reason"] for row in found] == [
        None, "the human map is constant", None,
        "the human map is 16 x 8 px, its image 8 x 8: other proportions", None,
    ]  # fmt: skip
    # Maps without a ranking are in nobody's null either.
    assert [row["n_null"] for row in found] == [2, 3, 2, 3, 2]


def test_a_flat_gradient_is_undefined_with_its_reason(shown):
    class Flat(nn.Module):
        def forward(self, x):
            return x.mean((1, 2, 3))[:, None].expand(-1, N_CLASSES)

    found = rows(Flat(), shown, random_maps(shown), channel_reductions=["l2"])
    assert {row["reason"] for row in found} == {"the attribution is constant"}
    assert {row["spearman"] for row in found} == {None}


def test_on_a_canvas_the_models_resize_is_inside_the_gradient(shown):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, N_CLASSES))
    maps = random_maps(shown)
    found = rows(net, shown, maps, input_px=4, canvas=PX + 24, channel_reductions=["abs_max"])
    model = opened(net, input_px=4)
    view = model.transform.at(PX + 24).view_images(shown.images, torch.device("cpu"))
    view.requires_grad_()
    chosen = model(view)[torch.arange(N), torch.tensor(shown.labels)].sum()
    (signed,) = torch.autograd.grad(chosen, view)
    assert signed.shape[-1] == PX + 24
    seen = maps.seen_through(model.transform.at(PX + 24), shown)
    for row, one, human in zip(found, signed, seen.maps, strict=True):
        expected = spearmanr(one.abs().amax(0).ravel(), human.ravel()).statistic
        bound = float32_rho(one[0].numel(), float32_products(48 + 1000))
        assert row["spearman"] == pytest.approx(expected, rel=0, abs=bound)


def test_a_batch_changes_nothing(net, shown):
    maps = random_maps(shown)
    methods = ["input_gradient", "smooth_grad"]
    options = {"smooth_grad": {"n_samples": 3}}
    together = rows(net, shown, maps, methods=methods, options=options)
    evaluation, candidate, bench = parts(net, shown, maps, methods=methods, options=options)
    bench.model.batch_size = 1
    trials = evaluation.trials(candidate, bench.inputs, 0)
    alone = [row for r in evaluation.run(trials, bench) for row in r.rows["alignment"]]

    def key(row):
        return row["method"], row["stimulus_id"], row["channel_reduction"]

    for one, other in zip(sorted(together, key=key), sorted(alone, key=key), strict=True):
        assert key(one) == key(other)
        assert one["spearman"] == pytest.approx(other["spearman"], rel=0, abs=ROUNDING)


def test_a_trials_identity_holds_maps_preparation_ceiling_and_method(net, shown):
    def ids(maps, **choices):
        evaluation, candidate, bench = parts(net, shown, maps, **choices)
        return [trial.id for trial in evaluation.trials(candidate, bench.inputs, 0)]

    plain = ids(random_maps(shown))
    assert plain == ids(random_maps(shown))
    assert plain == ids(replace(random_maps(shown), name="renamed"))
    others = [
        *ids(random_maps(shown, ceiling=0.6)),
        *ids(maps_of(shown, random_maps(shown).maps[::-1])),
        *ids(random_maps(shown), methods=["smooth_grad", "integrated_gradients"]),
        *ids(random_maps(shown), methods=["smooth_grad"], options={"smooth_grad": {"noise": 0.1}}),
        *ids(random_maps(shown), canvas=32),
    ]
    assert len({*plain, *others}) == 7


def test_planning_counts_forwards_and_backwards(net, shown):
    evaluation, candidate, bench = parts(
        net, shown, random_maps(shown), methods=["input_gradient", "smooth_grad"],
        options={"smooth_grad": {"n_samples": 4}},
    )  # fmt: skip
    trials = evaluation.trials(candidate, bench.inputs, 0)
    list(evaluation.run(trials, bench))
    assert bench.model.n_passes == evaluation.n_passes(trials, bench.inputs) == N * 2 * (1 + 4)


def test_wrong_inputs_are_refused_while_planning(net, shown):
    maps = random_maps(shown)
    evaluation, candidate, bench = parts(net, shown, maps)
    with pytest.raises(BadInput, match="unknown importance 'people'; nearest: peple"):
        evaluation.trials(candidate, replace(bench.inputs, importance={"peple": maps}), 0)
    other = replace(noise(N, px=PX, seed=3), labels=shown.labels, name=shown.name)
    with pytest.raises(BadInput, match="name the images that the maps were made for"):
        evaluation.trials(candidate, replace(bench.inputs, stimuli={shown.name: other}), 0)
    few = Candidate(candidate.card, replace(candidate.blueprint, anatomy=replace(candidate.blueprint.anatomy, n_classes=10)))  # fmt: skip
    with pytest.raises(Refusal, match="has 10 outputs"):
        evaluation.trials(few, bench.inputs, 0)
    squashed = replace(candidate.blueprint.transform, squash=True)
    oblong = replace(shown, images=tuple(np.zeros((8, 10, 3), np.uint8) for _ in range(N)))
    wide = of_stimuli("people", oblong, [np.zeros((8, 10), np.float32)] * N, AS_IT_IS, human_ceiling=None)  # fmt: skip
    whole = Candidate(candidate.card, replace(candidate.blueprint, transform=squashed))
    with pytest.raises(Refusal, match="sees the whole of '000'"):
        evaluation.trials(whole, Inputs({shown.name: oblong}, {}, {"people": wide}), 0)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"methods": ["gradient"]}, "unknown method 'gradient'; nearest: input_gradient"),
        ({"options": {"smooth_grad": {"steps": 1}}}, "options of smooth_grad: .*steps"),
        ({"options": {"smooth_grad": {"n_samples": 0}}}, "needs n_samples of 1 or more"),
        ({"channel_reductions": ["mean"]}, "abs_of_mean"),
        ({"methods": []}, "at least 1 item"),
    ],
)
def test_wrong_choices_are_refused_with_the_next_step(choices, said):
    with pytest.raises(ValidationError, match=said):
        HumanAlignment(stimuli="photos", importance="people", **choices)
