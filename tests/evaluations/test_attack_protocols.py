"""Published protocols from pixels to rows: what the released code reports, and the truth beside it."""

from dataclasses import replace

import foolbox
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from tests.planted_nets import noise, opened, pixels
from tests.rounding import STORED, float32_products
from zoo_eval.evaluations.attack_protocols import PROTOCOLS
from zoo_eval.evaluations.attack_run import NO_RANGE, NOT_FINITE
from zoo_eval.evaluations.evaluation import Candidate, Workbench
from zoo_eval.evaluations.minimal_attack import MinimalAttack
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.alignment import REDUCTIONS
from zoo_eval.numerics.attacks.decisions import N_ANIMATE
from zoo_eval.representations.representations import Representations

N, N_CLASSES = 13, 1000
# Of a length of 192 values in float32.
LENGTH = float32_products(192)
MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.25, 0.5)
RELEASED = ["linsley2023_paper", "linsley2023_release", "feng2025_release"]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))


def model_of(net, batch_size=32):
    model = opened(net)
    transform = replace(model.transform, mean=MEAN, std=STD)
    anatomy = replace(model.blueprint.anatomy, n_classes=N_CLASSES)
    model.blueprint = replace(model.blueprint, anatomy=anatomy, transform=transform)
    model.transform, model.batch_size = transform, batch_size
    return model


def labelled(net, values):
    """Noise, each image labelled as the network sees `values` of it (image, RGB, row, column)."""
    plain = noise(N)
    with torch.no_grad():
        labels = net(values(pixels(plain))).argmax(1).tolist()
    return replace(plain, labels=tuple(labels))


def rows(net, shown, protocol, *, batch_size=32):
    model = model_of(net, batch_size)
    candidate = Candidate(model.card, model.blueprint)
    given = Inputs({shown.name: shown})
    evaluation = MinimalAttack(stimuli=shown.name, protocol=protocol, save_perturbations=True)
    (trial,) = evaluation.trials(candidate, given, 0)
    assert trial.protocol == protocol
    assert trial.attack == PROTOCOLS[protocol].attack_name
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    (result,) = evaluation.run([trial], bench)
    assert result.error is None
    return result.rows["attacks"], result.rows.get("perturbations", [])


def normalised(view):
    return (view - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def rescaled(values):
    """By the least and largest value of ten images, the first ten and then the others."""
    parts = [values[:10], values[10:]]
    return torch.cat([(part - part.min()) / (part - part.min()).max() for part in parts])


def by_itself(view):
    low, high = view.amin((1, 2, 3), keepdim=True), view.amax((1, 2, 3), keepdim=True)
    return (view - low) / (high - low)


def deltas(kept):
    return torch.stack(
        [torch.from_numpy(one["perturbation"]).double().reshape(one["shape"]) for one in kept]
    )


def test_the_paper_reports_the_length_of_what_is_stored(net):
    shown = labelled(net, normalised)
    attacked, kept = rows(net, shown, "linsley2023_paper")
    assert {row["status"] for row in attacked} == {"found"}
    for row, delta in zip(attacked, deltas(kept), strict=True):
        assert row["l2"] == pytest.approx(float(delta.norm()), rel=LENGTH)
        assert row["distance"] == pytest.approx(row["l2"], rel=STORED)
        assert row["flags"] == [flag for flag in row["flags"] if flag == "beaten_by_noise"]


def test_the_2023_release_attacks_rescaled_values_and_reports_their_distance(net):
    shown = labelled(net, lambda view: rescaled(normalised(view)))
    attacked, kept = rows(net, shown, "linsley2023_release", batch_size=4)
    own = rescaled(normalised(pixels(shown)))
    # What the network is given, in pixels: nowhere near the photo.
    photos = own * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    found = [place for place, row in enumerate(attacked) if row["status"] == "found"]
    assert len(found) > N // 2
    for place, delta in zip(found, deltas(kept), strict=True):
        row = attacked[place]
        steps = delta / torch.tensor(STD).double()[:, None, None]
        assert row["distance"] == pytest.approx(float(steps.norm()), rel=STORED)
        assert row["l2"] == pytest.approx(float(delta.norm()), rel=LENGTH)
        assert row["relative_l2"] == pytest.approx(
            row["l2"] / float(photos[place].double().norm()), rel=LENGTH
        )
        with torch.no_grad():
            seen = net(normalised(photos[place] + delta.float())[None]).argmax(1)
        assert int(seen) == row["adversarial_prediction"] != row["label"]
        assert row["flags"][-3:] == [
            "constant_radius", "drifting_projection", "rescaled_after_normalisation",
        ]  # fmt: skip
        # Radius 1, and three steps that all start from where the last one ended.
        assert 1 < row["distance"] <= 4.5


def test_rescaling_by_ten_images_does_not_depend_on_the_batch_size(net):
    shown = labelled(net, lambda view: rescaled(normalised(view)))
    for row, other in zip(
        rows(net, shown, "linsley2023_release", batch_size=3)[0],
        rows(net, shown, "linsley2023_release", batch_size=32)[0],
        strict=True,
    ):
        assert row["status"] == other["status"]
        assert row.get("distance") == pytest.approx(other.get("distance"), rel=30 * LENGTH)


def test_what_a_release_leaves_out_is_a_row_with_the_reason():
    """Logits so flat that radius 1, and for the last class even 10, is not enough."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))
    net[1].weight.data *= 1e-3
    net[1].bias.data.zero_()
    net[1].bias.data[7] = 0.5
    shown = replace(noise(3), labels=(7, 7, 8))
    for protocol in ("linsley2023_paper", "linsley2023_release"):
        attacked, kept = rows(net, shown, protocol)
        assert [row["status"] for row in attacked] == ["bound_hit"] * 2 + ["already_wrong"]
        assert attacked[0]["reason"].startswith("fails at radius 10")
        assert attacked[0].get("distance") is None
        assert kept == []


def test_a_loss_without_a_gradient_is_an_error_with_its_reason(net):
    steep = nn.Sequential(nn.Flatten(), nn.Linear(192, N_CLASSES))
    steep[1].load_state_dict({name: 1e5 * value for name, value in net[1].state_dict().items()})
    attacked, _ = rows(steep, labelled(steep, normalised), "linsley2023_paper")
    errors = [row for row in attacked if row["status"] == "error"]
    assert errors
    assert {row["reason"] for row in errors} == {NOT_FINITE}


def test_an_image_of_one_colour_cannot_be_rescaled(net):
    shown = labelled(net, lambda view: normalised(by_itself(view)))
    images = (np.full_like(shown.images[0], 128), *shown.images[1:])
    attacked, _ = rows(net, replace(shown, images=images), "feng2025_release")
    assert (attacked[0]["status"], attacked[0]["reason"]) == ("error", NO_RANGE)


def test_the_2025_release_is_foolboxs_attack_on_each_rescaled_photo(net):
    shown = labelled(net, lambda view: normalised(by_itself(view)))
    attacked, kept = rows(net, shown, "feng2025_release")
    photos = by_itself(pixels(shown))

    class TwoGroups(nn.Module):
        def forward(self, batch):
            values = net(normalised(batch))
            return torch.stack([values[:, :N_ANIMATE].amax(1), values[:, N_ANIMATE:].amax(1)], 1)

    options = torch.tensor([int(label >= N_ANIMATE) for label in shown.labels])
    theirs, _, success = foolbox.attacks.L2FMNAttack(
        steps=1000, max_stepsize=1, min_stepsize=1e-5, gamma=10
    )(foolbox.PyTorchModel(TwoGroups().eval(), (0, 1), device="cpu"), photos, options,
      epsilons=None)  # fmt: skip
    resized = [
        functional.interpolate(batch, size=(224, 224), mode="bicubic", align_corners=False)
        for batch in (theirs, photos)
    ]
    norms = torch.norm(resized[0] - resized[1], p=2, dim=(1, 2, 3))
    assert success.all()
    assert {row["status"] for row in attacked} == {"found"}
    for row, norm, delta in zip(attacked, norms, deltas(kept), strict=True):
        assert row["distance"] == pytest.approx(float(norm), rel=STORED)
        assert row["l2"] == pytest.approx(float(delta.norm()), rel=LENGTH)
        assert (row["adversarial_prediction"] < N_ANIMATE) != (row["label"] < N_ANIMATE)
        assert row["flags"][-2:] == ["radius_ignored", "rescaled_image"]


@pytest.mark.parametrize("protocol", RELEASED)
def test_a_protocol_decides_what_is_its_own(protocol):
    for choice in (
        {"attacks": ["ddn"]}, {"norm": "l2"}, {"canvas": 64}, {"decision": "animate"},
        {"options": {}}, {"target": 3}, {"top_k": 3},
    ):  # fmt: skip
        (name,) = choice
        with pytest.raises(ValidationError, match=f"protocol {protocol} decides `{name}`"):
            MinimalAttack(stimuli="photos", protocol=protocol, **choice)
    assert PROTOCOLS[protocol].channel_reduction in REDUCTIONS


def test_protocols_are_different_trials(net):
    model = model_of(net)
    shown = labelled(net, normalised)
    candidate, given = Candidate(model.card, model.blueprint), Inputs({shown.name: shown})
    trials = [
        MinimalAttack(stimuli=shown.name, attacks=["ddn"]).trials(candidate, given, 0)[0],
        *(
            MinimalAttack(stimuli=shown.name, protocol=name).trials(candidate, given, 0)[0]
            for name in RELEASED
        ),
    ]
    assert [trial.protocol for trial in trials] == ["corrected", *RELEASED]
    assert len({trial.id for trial in trials}) == 4


@pytest.mark.parametrize(
    "choices", [{"attacks": ["ddn"]}, {"attacks": ["ensemble"], "decision": "animate"},
                *({"protocol": name} for name in RELEASED)],
)  # fmt: skip
def test_no_more_passes_are_made_than_were_planned(net, choices):
    model, shown = model_of(net), labelled(net, normalised)
    candidate, given = Candidate(model.card, model.blueprint), Inputs({shown.name: shown})
    evaluation = MinimalAttack(stimuli=shown.name, **choices)
    trials = evaluation.trials(candidate, given, 0)
    bench = Workbench(given, candidate, model, Representations(model, 2**28))
    assert all(result.error is None for result in evaluation.run(trials, bench))
    assert 0 < model.n_passes <= evaluation.n_passes(trials, given)


# What the network sees of the pixels, where it is not just normalised.
SEEN = {
    "defect_rescaled_after_normalisation": lambda view: rescaled(normalised(view)),
    "defect_rescaled_image": lambda view: normalised(by_itself(view)),
}
SINGLE = [name for name in PROTOCOLS if name.startswith("defect_")]


def test_every_defect_of_a_release_is_also_a_protocol_alone():
    of_releases = {defect for name in RELEASED for defect in PROTOCOLS[name].defects}
    assert {f"defect_{defect}" for defect in of_releases} == set(SINGLE)


@pytest.mark.parametrize("protocol", SINGLE)
def test_a_defect_alone_is_flagged_and_what_is_stored_is_true(net, protocol):
    shown = labelled(net, SEEN.get(protocol, normalised))
    attacked, kept = rows(net, shown, protocol)
    assert {row["status"] for row in attacked} <= {"found", "bound_hit"}
    found = [row for row in attacked if row["status"] == "found"]
    assert len(found) == len(kept) > N // 2
    for row, delta in zip(found, deltas(kept), strict=True):
        assert row["flags"][-1] == protocol.removeprefix("defect_")
        assert row["l2"] == pytest.approx(float(delta.norm()), rel=LENGTH)
        assert row["adversarial_prediction"] != row["label"]


def test_each_defect_moves_the_distances_its_own_way(net):
    plain = labelled(net, normalised)
    paper, drifting, constant = (
        np.array([row["distance"] for row in rows(net, plain, protocol)[0]])
        for protocol in (
            "linsley2023_paper", "defect_drifting_projection", "defect_constant_radius",
        )
    )  # fmt: skip
    # Three steps that all start from where the last one ended are up to three radii long.
    assert (drifting >= paper * 0.999).all()
    assert np.median(drifting / paper) > 1.2
    # Nothing is bisected: radius 1, but for what the box cuts off.
    assert (constant <= 1.001).all()
    assert np.median(constant) > 0.9
    assert (constant >= paper * 0.999).all()
    broken, correct = (
        np.array(
            [
                row["l2"]
                for row in rows(net, labelled(net, SEEN.get(protocol, normalised)), protocol)[0]
            ]
        )
        for protocol in ("defect_radius_ignored", "defect_rescaled_image")
    )
    assert np.median(broken) > 1.5 * np.median(correct)


def test_the_broken_attack_is_refused_but_for_the_protocol_that_used_it():
    with pytest.raises(ValidationError, match='use fmn, or protocol = "feng2025_release"'):
        MinimalAttack(stimuli="photos", attacks=["foolbox:L2FMNAttack"])


def test_an_unknown_protocol_gives_the_nearest():
    said = "unknown protocol 'linsley2023'; nearest: linsley2023_"
    with pytest.raises(ValidationError, match=said):
        MinimalAttack(stimuli="photos", protocol="linsley2023")
