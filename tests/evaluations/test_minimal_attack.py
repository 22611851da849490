"""minimal_attack from pixels to rows, on a linear network whose smallest perturbations are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy.optimize import nnls
from torch import nn
from torch.nn import functional

from tests.planted_nets import noise, opened, pixels
from tests.rounding import TIGHTENED, float32_products
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.evaluations import attack_run
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.inputs import Inputs
from zoo_eval.models.open_model import open_model
from zoo_eval.numerics.attacks.decisions import N_ANIMATE, Argmax
from zoo_eval.numerics.attacks.procedures import Corrected
from zoo_eval.numerics.attacks.registry import build
from zoo_eval.representations.representations import Representations
from zoo_eval.tables import TABLES

N, N_CLASSES = 5, 1000
# Float32 logits place the boundary no better than this: 192 terms of at most 1 / 192^0.5, over a
# normal whose length is that of two such rows.
ROUNDING = 2 * float32_products(192, 192**0.5) / (2 / 3) ** 0.5


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))


@pytest.fixture(scope="module")
def shown(net):
    """Grey noise, so that the box does not matter, each labelled as the network sees it but the last."""
    plain = noise(N)
    images = tuple((110 + image // 8).astype(np.uint8) for image in plain.images)
    grey = replace(plain, images=images)
    with torch.no_grad():
        labels = net(pixels(grey)).argmax(1).tolist()
    labels[-1] = (labels[-1] + 1) % N_CLASSES
    return replace(grey, labels=tuple(labels))


def rows(net, shown, **choices):
    model = opened(net)
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    candidate = Candidate(model.card, replace(model.blueprint, anatomy=anatomy))
    given = Inputs({shown.name: shown})
    evaluation = MinimalAttack(stimuli=shown.name, save_perturbations=True, **choices)
    trials = evaluation.trials(candidate, given, 0)
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    (result,) = evaluation.run(trials, bench)
    assert result.error is None
    return result.rows["attacks"], result.rows.get("perturbations", [])


def exact(net, shown, norm, outside):
    """The smallest perturbations without a box, over the classes that `outside` allows (image,)."""
    layer, images, labels = net[1], pixels(shown).flatten(1).double(), torch.tensor(shown.labels)
    weights, bias = layer.weight.detach().double(), layer.bias.detach().double()
    logits = images @ weights.T + bias
    found = []
    for values, label in zip(logits, labels):
        away = (weights[label] - weights).norm(dim=1) if norm == "l2" else (
            weights[label] - weights
        ).abs().sum(1)  # fmt: skip
        distance = (values[label] - values) / away
        found.append(float(distance[outside(label)].min()))
    return found


def others(label):
    return torch.arange(N_CLASSES) != label


@pytest.mark.parametrize(
    ("attack", "norm", "bound"),
    [
        ("ddn", "l2", 1.1),
        ("fmn", "l2", 1.1),
        ("deepfool", "linf", 1.2),
        ("perpendicular", "l2", 1.2),
        ("ensemble", "l2", 1.01),
        ("ensemble", "linf", 1.01),
        ("foolbox:L2DeepFoolAttack", "l2", 1.2),
    ],
)
def test_distances_are_near_the_exact_ones_and_those_of_what_is_stored(
    net, shown, attack, norm, bound
):
    attacked, kept = rows(net, shown, attacks=[attack], norm=norm)
    assert [row["status"] for row in attacked] == ["found"] * (N - 1) + ["already_wrong"]
    assert len(kept) == N - 1
    images = pixels(shown)
    for row, stored, image, minimum in zip(
        attacked, kept, images, exact(net, shown, norm, others), strict=False
    ):
        assert minimum - ROUNDING <= row["distance"] <= bound * minimum + ROUNDING
        assert stored["perturbation"].dtype == np.float16
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        assert row["l2"] == pytest.approx(float(delta.double().norm()), rel=float32_products(192))
        assert row["linf"] == pytest.approx(float(delta.abs().max()), rel=0)
        assert row["distance"] == row[norm]
        with torch.no_grad():
            assert int(net((image + delta)[None]).argmax()) == row["adversarial_prediction"]
        assert row["adversarial_prediction"] != row["label"]
        assert row["n_backwards"] > 0
        assert row["n_forwards"] >= row["n_backwards"]


def test_on_a_common_canvas_the_models_resize_is_inside_the_attack(net):
    big = noise(3, px=40)
    grey = replace(big, images=tuple((110 + image // 8).astype(np.uint8) for image in big.images))
    # The canvas is made by Pillow; the model's own resize of it is a tensor's.
    made = [Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC) for one in grey.images]
    canvas = pixels(replace(grey, images=tuple(map(np.asarray, made))))

    def resized(values):
        return functional.interpolate(
            values, (8, 8), mode="bicubic", antialias=True, align_corners=False
        )

    with torch.no_grad():
        labels = net(resized(canvas)).argmax(1).tolist()
    shown = replace(grey, labels=tuple(labels))
    attacked, kept = rows(net, shown, attacks=["perpendicular"], canvas=32)
    # The resize is linear far from the box: its matrix makes the network one of canvas pixels.
    down = resized(torch.eye(1024).reshape(1024, 1, 32, 32)).reshape(1024, 64).double()
    weights = net[1].weight.detach().double().reshape(N_CLASSES, 3, 64)
    weights = torch.einsum("kcs,ps->kcp", weights, down).flatten(1)
    logits = canvas.flatten(1).double() @ weights.T + net[1].bias.detach().double()
    for row, stored, image, values, label in zip(attacked, kept, canvas, logits, labels):
        assert (row["status"], row["canvas_px"]) == ("found", 32)
        assert stored["shape"] == [3, 32, 32]
        distances = (values[label] - values) / (weights[label] - weights).norm(dim=1)
        minimum = float(distances[others(label)].min())
        assert minimum - ROUNDING <= row["l2"] <= 1.2 * minimum + ROUNDING
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(3, 32, 32)
        with torch.no_grad():
            seen = int(net(resized((image + delta)[None])).argmax())
        assert seen == row["adversarial_prediction"] != label


def test_the_canvas_and_the_sweeps_seed_are_part_of_the_trial(net, shown):
    model = opened(net)
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    candidate = Candidate(model.card, replace(model.blueprint, anatomy=anatomy))
    given = Inputs({shown.name: shown})
    ids = {
        MinimalAttack(stimuli=shown.name, attacks=["ddn"], canvas=canvas)
        .trials(candidate, given, seed)[0]
        .id
        for canvas in ("own", 32)
        for seed in (0, 1)
    }
    assert len(ids) == 4


def test_draws_are_the_trials_own_unless_the_sweep_gives_a_seed(net, shown):
    def seeds(**choices):
        drawn = []
        real = MinimalAttack._attack

        def noted(self, name, **more):
            drawn.append(more.get("seed"))
            return real(self, name, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MinimalAttack, "_attack", noted)
            rows(net, shown, attacks=["ddn"], **choices)
        return set(drawn) - {None}

    assert len(seeds()) == 1
    assert seeds(options={"ddn": {"seed": 3}}) == set()


def test_an_ensemble_says_who_won_and_others_do_not(net, shown):
    together, _ = rows(net, shown, attacks=["ensemble"])
    assert {row.get("winner") for row in together[:-1]} <= {
        "perpendicular", "ddn", "fmn", "deepfool",
    }  # fmt: skip
    alone, _ = rows(net, shown, attacks=["ddn"], options={"ddn": {"steps": 5}})
    assert {row.get("winner") for row in alone} == {None}


def test_only_crossing_to_the_other_group_changes_whether_it_is_animate(net, shown):
    attacked, _ = rows(net, shown, attacks=["perpendicular"], decision="animate")
    animate = torch.arange(N_CLASSES) < N_ANIMATE

    def other_group(label):
        return animate != animate[label]

    for row, label in zip(attacked, shown.labels):
        if row["status"] == "found":
            assert (row["adversarial_prediction"] < N_ANIMATE) != (label < N_ANIMATE)
    # Never nearer than losing the class; the nearest boundary with the other group is a way out,
    # unless a third class of the label's own group is above both there.
    plain = exact(net, shown, "l2", others)
    grouped = exact(net, shown, "l2", other_group)
    for row, near, far in zip(attacked[:-1], plain, grouped, strict=False):
        assert near - ROUNDING <= row["distance"] <= 1.5 * far


def test_leaving_the_first_five_takes_more_than_losing_the_first(net, shown):
    first, _ = rows(net, shown, attacks=["perpendicular"])
    five, kept = rows(net, shown, attacks=["perpendicular"], decision="top_k", top_k=5)
    for one, many, stored, image, label in zip(
        first, five, kept, pixels(shown), shown.labels, strict=False
    ):
        assert many["distance"] > one["distance"]
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        with torch.no_grad():
            assert label not in net((image + delta)[None]).topk(5).indices[0]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"attacks": ["ddm"]}, "unknown attack 'ddm'; nearest: ddn"),
        ({"attacks": ["ddn"], "norm": "linf"}, "ddn has no linf form"),
        ({"attacks": ["foolbox:Nothing"]}, "has no attack Nothing"),
        ({"attacks": ["ddn"], "options": {"ddn": {"stepz": 1}}}, "options of ddn: .*stepz"),
        ({"attacks": ["ddn"], "options": {"fmn": {"steps": 0}}}, "options of fmn: fmn needs"),
        ({"decision": "target"}, "go together; give both or neither"),
        ({"target": 3}, "go together; give both or neither"),
        ({"decision": "target", "target": 1000}, "less than 1000"),
    ],
)
def test_wrong_choices_are_refused_with_the_next_step(choices, said):
    with pytest.raises(ValidationError, match=said):
        MinimalAttack(stimuli="photos", **choices)


def exact_target(net, image, target):
    """The shortest way to where `target` is the largest logit: a quadratic program.

    min |d| candidate to (w_t - w_j) . d >= z_j - z_t for all j, by Lawson and Hanson's reduction to
    nonnegative least squares.
    """
    weights, bias = net[1].weight.detach().double(), net[1].bias.detach().double()
    logits = image.flatten().double() @ weights.T + bias
    keep = others(target)
    normals, offsets = (weights[target] - weights[keep]), (logits[keep] - logits[target])
    system = torch.cat([normals, offsets[:, None]], 1).T.numpy()
    wanted = np.zeros(len(system))
    wanted[-1] = 1
    solution, _ = nnls(system, wanted)
    residual = system @ solution - wanted
    return float(np.linalg.norm(residual[:-1] / residual[-1]))


@pytest.mark.parametrize("target", [207, "least_likely"])
def test_a_targeted_attack_reaches_its_class_by_nearly_the_shortest_way(net, shown, target):
    attacked, kept = rows(net, shown, attacks=["ddn"], decision="target", target=target)
    assert [row["status"] for row in attacked] == ["found"] * (N - 1) + ["already_wrong"]
    for row, stored, image in zip(attacked, kept, pixels(shown), strict=False):
        with torch.no_grad():
            least = int(net(image[None]).argmin())
        assert row["target"] == (least if target == "least_likely" else target)
        assert row["adversarial_prediction"] == row["target"]
        shortest = exact_target(net, image, row["target"])
        assert shortest - ROUNDING <= row["distance"] <= 1.25 * shortest
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        with torch.no_grad():
            assert int(net((image + delta)[None]).argmax()) == row["target"]


def test_an_image_of_the_target_class_is_an_error_with_its_reason(net, shown):
    attacked, _ = rows(net, shown, attacks=["ddn"], decision="target", target=shown.labels[0])
    for row, label in zip(attacked[:-1], shown.labels, strict=False):
        own = label == shown.labels[0]
        assert row["status"] == ("error" if own else "found")
        assert row["reason"] == (attack_run.OWN_TARGET if own else None)


def test_survival_of_eight_bits_is_that_of_the_stored_perturbation(net, shown):
    attacked, kept = rows(net, shown, attacks=["fmn"])
    survived = []
    for row, stored, image in zip(attacked, kept, pixels(shown), strict=False):
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        with Image.fromarray(
            ((image + delta) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        ) as saved:
            read = torch.tensor(np.asarray(saved)).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            assert row["survives_8bit"] == (int(net(read[None]).argmax()) != row["label"])
        survived.append(row["survives_8bit"])
    assert attacked[-1].get("survives_8bit") is None


def test_rounding_to_eight_bits_undoes_a_perturbation_of_less_than_half_a_level(shown):
    """A gain of 1000 on one pixel: what suffices is far below 1 / 510."""
    steep = nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))
    steep[1].weight.data.zero_()
    steep[1].bias.data.zero_()
    steep[1].bias.data[2:] = -1e4
    steep[1].weight.data[1, 0] = 1000.0
    level = float(pixels(shown)[0, 0, 0, 0])
    steep[1].bias.data[1] = -1000 * (level + 1 / 1000)
    grey = replace(shown, images=(shown.images[0],) * N, ids=shown.ids, labels=(0,) * N)
    attacked, _ = rows(steep, grey, attacks=["ddn"])
    for row in attacked:
        assert row["distance"] == pytest.approx(1 / 1000, rel=TIGHTENED)
        assert row["survives_8bit"] is False


class Detached(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch):
        return self.net(batch).detach()


class Rounded(Detached):
    def forward(self, batch):
        return self.net((batch * 63).round() / 63)


def test_a_model_without_a_gradient_is_an_error_unless_the_attack_needs_none(net, shown):
    attacked, _ = rows(Detached(net), shown, attacks=["ddn"])
    assert [row["status"] for row in attacked] == ["error"] * (N - 1) + ["already_wrong"]
    assert {row["reason"] for row in attacked[:-1]} == {attack_run.NO_GRADIENT}
    decisions = rows(
        Detached(net), shown, attacks=["foolbox:L2RepeatedAdditiveGaussianNoiseAttack"],
        options={"foolbox:L2RepeatedAdditiveGaussianNoiseAttack": {"repeats": 5}},
    )[0]  # fmt: skip
    assert [row["status"] for row in decisions[:-1]] == ["found"] * (N - 1)


def test_rounded_pixels_are_flagged_as_a_zero_gradient(net, shown):
    attacked, _ = rows(Rounded(net), shown, attacks=["ddn"])
    flagged = [row for row in attacked if row["status"] in ("found", "bound_hit")]
    assert flagged
    assert all("zero_gradient" in row["flags"] for row in flagged)
    assert rows(net, shown, attacks=["ddn"])[0][0]["flags"] == []


def test_logits_that_are_not_finite_are_an_error_with_the_reason(net, shown):
    broken = nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))
    broken[1].weight.data.fill_(torch.nan)
    attacked, kept = rows(broken, shown, attacks=["ddn"])
    assert {(row["status"], row["reason"]) for row in attacked} == {("error", attack_run.NO_LOGITS)}
    assert kept == []


def test_an_image_outside_the_unit_interval_is_an_error_with_the_reason(net, shown):
    """No decoded image is: only a transform can put a border of another colour around it."""
    run = attack_run.AttackRun(
        Corrected(build("ddn", {})),
        net,
        lambda batch: pixels(shown)[: len(batch)] * torch.tensor([1.0, 9, 1])[:, None, None, None],
        lambda clean, labels: attack_run.Decided(Argmax()),
    )
    batch = [attack_run.Stimulus(0, label) for label in shown.labels[:3]]
    statuses = [(one.row["status"], one.row["reason"]) for one in run.on(batch)]
    assert statuses[1] == ("error", attack_run.OUTSIDE)
    assert statuses[0][0] == "found"


def test_rows_fit_the_declared_table(net, shown):
    for choices in ({"attacks": ["ensemble"]}, {"attacks": ["fmn"], "norm": "linf"}):
        attacked, kept = rows(net, shown, **choices)
        own = {"trial_id": "t", "model": "m", "commit_id": "c"}
        assert len(TABLES["attacks"].arrow([{**row, **own} for row in attacked])) == N
        assert len(TABLES["perturbations"].arrow([{**row, **own} for row in kept])) == N - 1


def test_labels_outside_the_head_are_refused_at_planning(net, shown):
    with pytest.raises(
        Refusal, match=r"label 1000, outside the 1000 ImageNet classes \(from 0\), at .* such"
    ):
        rows(net, replace(shown, labels=(1000,) * N), attacks=["ddn"])


def test_a_small_untrained_clip_is_attacked_at_its_zero_shot_head():
    """An open_clip model from its card, its 1000 zero-shot classes, its own transform."""
    card = ModelCard("open_clip/small", "open_clip", "open_clip/ViT-S-32-alt", weights="untrained")
    model = open_model(card, torch.device("cpu"))
    assert model.net.zero_shot
    plain = noise(1, px=224)
    with torch.no_grad():
        labels = model.predict(plain.images).argmax(1).tolist()
    shown = replace(plain, labels=tuple(labels))
    candidate, given = Candidate(card, model.blueprint), Inputs({shown.name: shown})
    evaluation = MinimalAttack(
        stimuli=shown.name, attacks=["ddn"], options={"ddn": {"steps": 10}}, save_perturbations=True
    )
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    (result,) = evaluation.run(evaluation.trials(candidate, given, 0), bench)
    view = model.view(shown.images)
    for row, stored, image in zip(
        result.rows["attacks"], result.rows["perturbations"], view, strict=True
    ):
        assert (row["status"], row["canvas_px"]) == ("found", 224)
        delta = torch.from_numpy(stored["perturbation"]).float().reshape(stored["shape"])
        with torch.no_grad():
            # The zero-shot rule itself: cosine with each class's embedding.
            features = model.net.visual(model.transform.normalise((image + delta)[None]))
            nearest = functional.cosine_similarity(features, model.net.embeddings).argmax()
        assert int(nearest) == row["adversarial_prediction"] != row["label"]
