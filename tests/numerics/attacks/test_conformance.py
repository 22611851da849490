"""Every registered attack passes the suite, and the suite fails what it should."""

from dataclasses import replace

import pytest
import torch

from tests.numerics.attacks.planted import PlantedAttack
from tests.rounding import TIGHTENED
from zoo_eval.numerics.attacks import conformance
from zoo_eval.numerics.attacks.registry import ATTACKS, build, norms_of

ENDS = (0.1, 100.0)
OFFERED = [(name, norm) for name in ATTACKS for norm in norms_of(name)]


@pytest.mark.parametrize(("name", "norm"), OFFERED)
def test_every_offered_attack_passes_at_both_ends_of_the_logit_scales(name, norm):
    rows = conformance.check(build(name, {}, norm), scales=ENDS, n_images=4)
    assert [f"{row.problem} x{row.scale:g}: {row.reason}" for row in rows if not row.passed] == []
    worst = max(row.worst_ratio for row in rows if row.problem.startswith("two linear classes"))
    assert worst <= 1.05
    assert len({row.problem for row in rows}) == 19


def test_the_ensemble_is_held_to_a_hundredth_in_every_length():
    bounds = {norm: build("ensemble", {}, norm).bound for norm in norms_of("ensemble")}
    assert {norm for norm, bound in bounds.items() if bound == 1.01} == {"l2", "linf", "l1"}


def failures(attack, **options):
    rows = conformance.check(attack, scales=(1.0,), n_images=4, **options)
    return {row.problem: row.reason for row in rows if not row.passed}


def test_foolbox_fmn_fails():
    """Foolbox 3.3.4's L2FMNAttack: its projection ignores the radius."""
    attack = build("foolbox:L2FMNAttack", {"steps": 100})
    close_by, all_off = (
        conformance.judged(attack, problem, 1.0, conformance.TWO_CLASS_BOUND).reason
        for problem in conformance.problems(attack, 1.0, n_images=4)
        if problem.name in ("two linear classes, close by", "sum of ReLUs, all off")
    )
    assert "times the exact minimum, allowed 1.05" in close_by
    assert all_off == "solved 0% of the images"


def test_foolbox_carlini_wagner_solves_linear_problems():
    attack = build("foolbox:L2CarliniWagnerAttack", {"binary_search_steps": 6, "steps": 100})
    [problem] = [
        p for p in conformance.problems(attack, 1.0, n_images=3) if p.name == "3 linear classes"
    ]
    row = conformance.judged(attack, problem, 1.0, 1.2)
    assert row.passed, row.reason


def test_an_attack_that_does_nothing_solves_only_what_is_wrong_already():
    found = failures(PlantedAttack(lambda logits, images, labels: images.clone()))
    assert found["two linear classes"] == "solved 0% of the images"
    assert "already wrong" not in found
    assert "no boundary" not in found


def test_an_attack_that_goes_astride_is_too_far():
    ddn = build("ddn", {})

    def astride(logits, images, labels):
        delta = (ddn.perturb(logits, images, labels) - images).flatten(1)
        aside = (
            delta.flip(1)
            - (delta.flip(1) * delta).sum(1, keepdim=True)
            / delta.square().sum(1, keepdim=True)
            * delta
        )
        aside = aside / aside.norm(dim=1, keepdim=True) * delta.norm(dim=1, keepdim=True)
        return images + 2 * (delta + aside).reshape(images.shape)

    [problem] = [
        p for p in conformance.problems(ddn, 1.0, n_images=4) if p.name.endswith("close by")
    ]
    row = conformance.judged(PlantedAttack(astride), problem, 1.0, 1.05)
    assert row.solved_share == 1
    assert row.worst_ratio == pytest.approx(2**0.5, rel=TIGHTENED)
    assert "times the exact minimum, allowed 1.05" in row.reason


def test_an_attack_that_moves_images_already_wrong_is_told():
    def far(logits, images, labels):
        wrong = logits(images).argmax(1) != labels
        return torch.where(wrong[:, None, None, None], 1 - images, images)

    assert failures(PlantedAttack(far))["already wrong"] == "moved an image that was wrong already"


def test_an_attack_whose_draws_ignore_the_seed_is_told():
    calls = iter(range(10**6))

    def restless(logits, images, labels):
        generator = torch.Generator().manual_seed(next(calls))
        return torch.rand(images.shape, generator=generator)

    assert (
        failures(PlantedAttack(restless))["the same seed twice"] == "two runs with one seed differ"
    )


def test_an_attack_that_looks_at_its_neighbours_is_told():
    ddn = build("ddn", {})

    def crowded(logits, images, labels):
        candidates = ddn.perturb(logits, images, labels)
        return candidates if len(images) == 1 else (images > 0.5).float()

    found = failures(PlantedAttack(crowded))
    assert found["alone and in company"].startswith("distances differ by")


def test_a_minimum_that_is_too_large_is_noticed():
    attack = build("ddn", {})
    problem = next(conformance.problems(attack, 1.0, n_images=4))
    wrong = replace(problem, minimum=problem.minimum * 1.1)
    assert "one of the two is wrong" in conformance.judged(attack, wrong, 1.0, 1.05).reason


def test_a_success_where_none_is_possible_is_noticed():
    attack = build("ddn", {})
    problem = next(conformance.problems(attack, 1.0, n_images=4))
    impossible = replace(problem, minimum=torch.full_like(problem.minimum, torch.inf))
    reason = conformance.judged(attack, impossible, 1.0, 1.05).reason
    assert reason == "claims a success where no perturbation is enough"


def test_values_that_are_not_finite_are_noticed():
    found = failures(PlantedAttack(lambda logits, images, labels: images * torch.nan))
    assert set(found.values()) == {"left [0, 1] or gave a value that is not finite"} | {
        reason for reason in found.values() if "differ" in reason
    }
