"""minimal_attack with human maps: alignment rows equal SciPy on what is stored, pictures are kept."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import nn

from tests.planted_nets import noise, opened, pixels
from tests.rounding import FLOAT32, float32_rho, float64_correlation
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.importance.maps import of_stimuli
from zoo_eval.importance.preparation import Preparation
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.alignment import REDUCTIONS
from zoo_eval.representations.representations import Representations
from zoo_eval.tables import TABLES
from zoo_eval.trial import Trial

N, PX, N_CLASSES = 5, 8, 1000
ROUNDING = float64_correlation(PX * PX)
AS_IT_IS = Preparation(canvas_px=PX, blur=None)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * PX * PX, N_CLASSES))


@pytest.fixture(scope="module")
def shown(net):
    """Grey noise, each labelled as the network sees it but the last."""
    plain = noise(N, px=PX)
    images = tuple((110 + image // 8).astype(np.uint8) for image in plain.images)
    grey = replace(plain, images=images)
    with torch.no_grad():
        labels = net(pixels(grey)).argmax(1).tolist()
    return replace(grey, labels=(*labels[:-1], (labels[-1] + 1) % N_CLASSES))


def maps_of(shown, raw, ceiling=0.65):
    return of_stimuli("people", shown, list(raw), AS_IT_IS, human_ceiling=ceiling)


@pytest.fixture(scope="module")
def maps(shown):
    return maps_of(shown, np.random.default_rng(7).random((N, PX, PX)).astype(np.float32))


def parts(net, shown, maps, **choices):
    model = opened(net, input_px=PX)
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    candidate = Candidate(model.card, replace(model.blueprint, anatomy=anatomy))
    inputs = Inputs({shown.name: shown}, {}, {"people": maps})
    given = {"attacks": ["ddn"], "importance": "people", "save_perturbations": True, **choices}
    if "protocol" in given:
        del given["attacks"]
    evaluation = MinimalAttack(stimuli=shown.name, **given)
    return evaluation, candidate, Workbench(inputs, candidate, model, Representations(model, 2**28))


def tables(net, shown, maps, **choices):
    evaluation, candidate, bench = parts(net, shown, maps, **choices)
    trials = evaluation.trials(candidate, bench.inputs, 0)
    (result,) = evaluation.run(trials, bench)
    assert result.error is None
    for name, rows in result.rows.items():
        own = {"trial_id": "t", "model": "m", "commit_id": "c"}
        TABLES[name].arrow([{**row, **own} for row in rows])
    return result.rows


def stored(rows):
    return {
        row["stimulus_id"]: torch.from_numpy(row["perturbation"]).reshape(row["shape"])
        for row in rows["perturbations"]
    }


def test_rows_equal_scipy_on_the_stored_perturbations(net, shown, maps):
    found = tables(net, shown, maps)
    perturbations = stored(found)
    assert len(perturbations) == N - 1
    assert len(found["alignment"]) == 3 * N
    for row in found["alignment"]:
        assert (row["method"], row["importance"], row["human_ceiling"]) == ("ddn", "people", 0.65)
        if row["stimulus_id"] == shown.ids[-1]:
            assert row.get("spearman") is None
            assert row["reason"] == "the image is not classified correctly"
            continue
        reduced = REDUCTIONS[row["channel_reduction"]](perturbations[row["stimulus_id"]][None])[0]
        rho = [spearmanr(reduced.ravel(), human.ravel()).statistic for human in maps.maps]
        own = rho.pop(shown.ids.index(row["stimulus_id"]))
        assert row["spearman"] == pytest.approx(own, rel=0, abs=ROUNDING)
        assert row["null_spearman"] == pytest.approx(np.mean(rho), rel=0, abs=ROUNDING)
        assert row["null_high"] == pytest.approx(np.quantile(rho, 0.975), rel=0, abs=ROUNDING)
        assert row["reason"] is None


def test_maps_that_are_the_perturbation_agree_fully(net, shown, maps):
    perturbations = stored(tables(net, shown, maps))
    raw = [
        REDUCTIONS["abs_of_mean"](perturbations[i][None])[0].float().numpy()
        if i in perturbations
        else np.eye(PX, dtype=np.float32)
        for i in shown.ids
    ]
    found = tables(net, shown, maps_of(shown, raw))["alignment"]
    mine = {row["stimulus_id"]: row.get("spearman") for row in found
            if row["channel_reduction"] == "abs_of_mean"}  # fmt: skip
    assert mine.pop(shown.ids[-1]) is None
    assert list(mine.values()) == [pytest.approx(1, rel=0, abs=float32_rho(PX * PX, FLOAT32))] * (
        N - 1
    )


def test_every_image_that_has_no_perturbation_says_why(shown, maps):
    class Deaf(nn.Module):
        """Says the last labels whatever it sees, with a gradient that leads nowhere."""

        def forward(self, x):
            wanted = torch.zeros(len(x), N_CLASSES)
            wanted[:, shown.labels[0]] = 10
            return wanted + 1e-9 * x.mean((1, 2, 3))[:, None]

    found = tables(Deaf(), shown, maps)
    assert "perturbations" not in found
    said = {row["stimulus_id"]: row["reason"] for row in found["alignment"]}
    statuses = {row["stimulus_id"]: row["status"] for row in found["attacks"]}
    assert "found" not in statuses.values()
    assert statuses[shown.ids[0]] in ("bound_hit", "error")
    assert said[shown.ids[-1]] == "the image is not classified correctly"
    assert said[shown.ids[0]].startswith(("no perturbation was found", "the attack failed: "))
    assert all(row.get("spearman") is None for row in found["alignment"])


def test_pictures_are_what_was_attacked_and_the_map_there(net, shown, maps):
    found = tables(net, shown, maps)
    for row in found["perturbations"]:
        number = shown.ids.index(row["stimulus_id"])
        photo = np.asarray(Image.open(io.BytesIO(row["photo"])))
        assert np.array_equal(photo, shown.images[number])
        human = np.asarray(Image.open(io.BytesIO(row["human_map"])))
        assert np.abs(human / 255 - maps.maps[number]).max() <= 0.5 / 255 + 1e-6


def test_without_maps_there_are_no_alignment_rows_and_the_photo_is_kept(net, shown, maps):
    found = tables(net, shown, maps, importance=None)
    assert "alignment" not in found
    assert {row["human_map"] for row in found["perturbations"]} == {None}
    assert all(row["photo"].startswith(b"\x89PNG") for row in found["perturbations"])


@pytest.mark.parametrize(
    ("protocol", "reductions"),
    [
        ("linsley2023_paper", {"abs_of_mean", "abs_max", "l2"}),
        ("linsley2023_release", {"abs_of_mean", "abs_max", "l2"}),
        ("feng2025_release", {"abs_of_mean", "abs_max", "l2", "abs_of_max"}),
    ],
)
def test_published_protocols_are_aligned_by_their_own_reduction_too(net, protocol, reductions):
    # Of full contrast, which rescaling to [0, 1] leaves as it is.
    plain = noise(N, px=PX)
    with torch.no_grad():
        shown = replace(plain, labels=tuple(net(pixels(plain)).argmax(1).tolist()))
    maps = maps_of(shown, np.random.default_rng(7).random((N, PX, PX)).astype(np.float32))
    found = tables(net, shown, maps, protocol=protocol)
    assert {row["channel_reduction"] for row in found["alignment"]} == reductions
    published = {r["channel_reduction"] for r in found["alignment"] if r["published_reduction"]}
    assert published == {"abs_of_max" if protocol == "feng2025_release" else "abs_of_mean"}
    perturbations = stored(found)
    assert perturbations
    for row in found["alignment"]:
        if row["stimulus_id"] not in perturbations:
            continue
        reduced = REDUCTIONS[row["channel_reduction"]](perturbations[row["stimulus_id"]][None])[0]
        human = maps.maps[shown.ids.index(row["stimulus_id"])]
        expected = spearmanr(reduced.ravel(), human.ravel()).statistic
        assert row["spearman"] == pytest.approx(expected, rel=0, abs=ROUNDING)


def test_maps_are_part_of_a_trial_and_no_maps_leave_it_as_it_was(net, shown, maps):
    def one(maps, **choices):
        evaluation, candidate, bench = parts(net, shown, maps, **choices)
        (trial,) = evaluation.trials(candidate, bench.inputs, 0)
        return trial

    with_maps, without = one(maps), one(maps, importance=None)
    assert (with_maps.importance, with_maps.importance_digest) == ("people", maps.digest)
    assert (without.importance, without.importance_digest) == (None, None)
    assert "importance" not in without.parameters
    others = [without, one(maps_of(shown, maps.maps[::-1])), one(maps_of(shown, maps.maps, None))]
    assert len({with_maps.id, *(other.id for other in others)}) == 4


def test_maps_of_other_images_or_views_are_refused_while_planning(net, shown, maps):
    evaluation, candidate, bench = parts(net, shown, maps)
    other = replace(noise(N, px=PX, seed=3), labels=shown.labels, name=shown.name)
    with pytest.raises(BadInput, match="name the images that the maps were made for"):
        evaluation.trials(candidate, replace(bench.inputs, stimuli={shown.name: other}), 0)
    oblong = replace(shown, images=tuple(np.zeros((8, 10, 3), np.uint8) for _ in range(N)))
    wide = maps_of(oblong, [np.zeros((8, 10), np.float32)] * N)
    whole = replace(
        candidate.blueprint, transform=replace(candidate.blueprint.transform, squash=True)
    )
    inputs = Inputs({shown.name: oblong}, {}, {"people": wide})
    with pytest.raises(Refusal, match="sees the whole of '000'"):
        evaluation.trials(Candidate(candidate.card, whole), inputs, 0)


def test_a_trial_without_maps_has_the_id_that_it_had_before_there_were_maps():
    one = Trial(
        "accuracy", 1, "standard", model="local/m", weights_digest="w", stimuli="photos",
        stimuli_digest="p", seed=3,
    )  # fmt: skip
    assert one.id == "614851632c52bafc22eb620104ec83ca"
