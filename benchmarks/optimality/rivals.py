"""The rivals by norm, with AttackBench's settings for ImageNet at 1,000 steps, from adv-lib and Foolbox.

With fewer steps each is shortened by the same share. Settings were read from `exp_configs/*_1000*.json` and the defaults of `attack_evaluation/attacks` in
github.com/attackbench/AttackBench. Where one is not theirs, `setting` says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import foolbox
import torch
from torch import Tensor

from benchmarks.rivals import AsModule, Perturb, adv_lib_attacks
from zoo_eval.numerics.attacks import foolbox_adapter
from zoo_eval.numerics.attacks.logits import Logits

INFINITE = float("inf")
STEPS = 1000
# adv-lib's word for each norm; of l0 it counts values.
ORDERS: Mapping[str, float] = {"l2": 2, "linf": INFINITE, "l1": 1, "l0_values": 0}
# Radii that the searches of AttackBench begin with.
FIRST_RADII = {"l2": 1.0, "linf": 1 / 255, "l1": 10.0}
SEARCH_STEPS = 10
# DeepFool and FAB take the gradient of each class in every step: of ImageNet's thousand, the budget
# is spent after two. They are given the likeliest only.
CLASSES = 10
ALL_CLASSES = f"the {CLASSES} likeliest classes only (AttackBench: all)"
Attack = Callable[..., Tensor]


@dataclass(frozen=True)
class Rival:
    """An attack of another library in one norm, and what its settings are.

    `on_imagenet`: one of those that AttackBench ran on ImageNet, its record holder among them.
    """

    name: str
    norm: str
    perturb: Perturb
    setting: str
    on_imagenet: bool = False


def rivals(norm: str, steps: int = STEPS) -> list[Rival]:
    """Those that search in this norm, shortened to `steps`, AttackBench's on ImageNet first."""
    if norm not in _IN_NORM:
        return []
    on_imagenet, others = _IN_NORM[norm](lambda n: max(1, n * steps // STEPS))
    return [*(replace(one, on_imagenet=True) for one in on_imagenet), *others]


def _of_adv_lib(name: str, norm: str, attack: Attack, /, **options: Any) -> Rival:
    """`options` are those of the attack's own function."""

    def perturb(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return attack(AsModule(logits), images, labels, **options).detach()

    return Rival(f"adv-lib: {name}", norm, perturb, _said(options))


def _of_foolbox(name: str, norm: str, kind: str, /, **options: Any) -> Rival:
    attack = getattr(foolbox.attacks, kind)(**options)

    def perturb(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return foolbox_adapter.run(attack, logits, images, labels)

    return Rival(f"foolbox: {name}", norm, perturb, _said(options))


def _said(options: Mapping[str, Any], note: str = "") -> str:
    """Options in words."""
    told = ", ".join(f"{name} {value}" for name, value in options.items())
    return "; ".join(part for part in (told, note) if part)


Lists = tuple[list[Rival], list[Rival]]
# Steps of a full run -> of this one.
Shortened = Callable[[int], int]


def _l2(n: Shortened) -> Lists:
    a, steps = adv_lib_attacks(), n(STEPS)
    return [
        _of_adv_lib("ddn", "l2", a.ddn, steps=steps, init_norm=1.0, levels=None),
        _of_adv_lib("fmn", "l2", a.fmn, norm=2, steps=steps, α_init=1, γ_init=0.05),
        _targeted_apgd("l2", n(20)),
        _apgd("l2", n(98)),
        _of_foolbox("ddn", "l2", "DDNAttack", steps=steps, init_epsilon=1.0, gamma=0.05),
    ], [
        _of_adv_lib("pdgd", "l2", a.pdgd, num_steps=steps),
        _of_adv_lib("pdpgd", "l2", a.pdpgd, norm=2, num_steps=steps),
        _of_adv_lib("ddn, 8 bits", "l2", a.ddn, steps=steps, init_norm=1.0, levels=256),
        _among_classes("superdeepfool", "l2", a.sdf, steps=steps),
        _of_foolbox("deepfool", "l2", "L2DeepFoolAttack", steps=n(111), candidates=CLASSES),
        _of_adv_lib(
            "c&w", "l2", a.carlini_wagner_l2, binary_search_steps=9, max_iterations=n(111),
            learning_rate=0.01, initial_const=0.001, abort_early=True,
        ),
        _of_adv_lib("trust region", "l2", a.tr, p=2, iter=n(663), eps=0.001, c=9),
        _of_adv_lib("trust region, adaptive", "l2", a.tr, p=2, iter=n(497), adaptive=True, c=9),
        _among_classes("fab", "l2", a.fab, norm=2, n_iter=n(180)),
        _of_adv_lib(
            "alma", "l2", a.alma, distance="l2", num_steps=steps, α=0.9, init_lr_distance=0.1
        ),
    ]  # fmt: skip


def _linf(n: Shortened) -> Lists:
    a, steps = adv_lib_attacks(), n(STEPS)
    region = {"p": INFINITE, "iter": steps, "eps": 0.001, "c": 9}
    return [
        _targeted_apgd("linf", n(20)),
        _of_adv_lib("fmn", "linf", a.fmn, norm=INFINITE, steps=steps, α_init=10, γ_init=0.05),
        _apgd("linf", n(98)),
        _of_adv_lib("pdpgd", "linf", a.pdpgd, norm=INFINITE, num_steps=steps),
        _of_foolbox("fmn", "linf", "LInfFMNAttack", steps=steps, max_stepsize=10.0),
    ], [
        _of_foolbox("deepfool", "linf", "LinfDeepFoolAttack", steps=steps, candidates=CLASSES),
        _of_adv_lib("trust region", "linf", a.tr, **region),
        _of_adv_lib("trust region, adaptive", "linf", a.tr, adaptive=True, **region),
        _of_adv_lib("c&w", "linf", a.carlini_wagner_linf, max_iterations=n(40)),
        _among_classes("fab", "linf", a.fab, norm=INFINITE, n_iter=n(181)),
    ]


def _l1(n: Shortened) -> Lists:
    a, steps = adv_lib_attacks(), n(STEPS)
    return [
        _apgd("l1", n(96)),
        _targeted_apgd("l1", n(19)),
        _of_adv_lib("fmn", "l1", a.fmn, norm=1, steps=steps, α_init=1, γ_init=0.05),
        _of_adv_lib("pdpgd", "l1", a.pdpgd, norm=1, num_steps=steps),
        _of_foolbox("ead", "l1", "EADAttack", steps=n(74), binary_search_steps=9),
        _of_adv_lib(
            "alma", "l1", a.alma, distance="l1", num_steps=steps, α=0.9, init_lr_distance=0.5
        ),
        _of_foolbox("fmn", "l1", "L1FMNAttack", steps=steps),
    ], [
        _among_classes("fab", "l1", a.fab, norm=1, n_iter=n(180)),
    ]  # fmt: skip


def _l0(n: Shortened) -> Lists:
    a, steps = adv_lib_attacks(), n(STEPS)
    return [
        _of_adv_lib("sigma-zero", "l0_values", a.sigma_zero, num_steps=steps),
        _of_adv_lib("fmn", "l0_values", a.fmn, norm=0, steps=steps, α_init=1, γ_init=0.05),
        _of_adv_lib(
            "pdpgd", "l0_values", a.pdpgd, norm=0, num_steps=steps, proximal_operator=23
        ),
        _of_adv_lib("vfga", "l0_values", a.vfga, targeted=False, max_iter=n(90), n_samples=10),
    ], []  # fmt: skip


_IN_NORM: Mapping[str, Callable[[Shortened], Lists]] = {
    "l2": _l2, "linf": _linf, "l1": _l1, "l0_values": _l0,
}  # fmt: skip
# What AttackBench has and neither library can run here.
UNAVAILABLE: Mapping[str, str] = {
    "foolbox: brendel & bethge": "needs numba, which is not in requirements.lock",
    "original code of apgd, apgd_t, fmn, fab, trust region": "in no installed package; adv-lib's stand in",
}


def _apgd(norm: str, steps: int) -> Rival:
    """APGD whose radius is searched; in l1 with its three phases of larger radii (APGD-l1)."""
    options = {"n_iter": steps, **_phases(norm)}
    run = partial(adv_lib_attacks().apgd, norm=ORDERS[norm], **options)
    name = "apgd-l1, minimal" if norm == "l1" else "apgd, minimal"
    return _searched(name, norm, run, options)


def _targeted_apgd(norm: str, steps: int) -> Rival:
    options = {"n_iter": steps, "num_targets": 5, **_phases(norm)}
    run = partial(adv_lib_attacks().apgd_targeted, norm=ORDERS[norm], **options)
    return _searched("apgd_t, minimal", norm, run, options)


def _phases(norm: str) -> dict[str, Any]:
    return {"use_large_reps": True} if norm == "l1" else {}


def _searched(name: str, norm: str, run: Attack, options: Mapping[str, Any]) -> Rival:
    first = FIRST_RADII[norm]

    def perturb(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return least_radius(partial(run, AsModule(logits)), logits, images, labels, first)

    told = _said(options, f"{SEARCH_STEPS} radii, the first {first:.4g}")
    return Rival(f"adv-lib: {name}", norm, perturb, told)


def least_radius(
    run: Attack, logits: Logits, images: Tensor, labels: Tensor, first: float
) -> Tensor:
    """The candidates of an attack with a fixed budget at the least of ten radii that succeeds.

    The radius doubles until one succeeds, then the gap to the largest that failed is halved:
    AttackBench's way to make a minimal attack of one with a fixed budget. For one image.
    """
    low, high, radius, best = 0.0, INFINITE, first, images
    for _ in range(SEARCH_STEPS):
        candidates = run(images, labels, eps=radius)
        with torch.no_grad():
            changed = bool((logits(candidates).argmax(1) != labels).all())
        if changed:
            high, best = radius, candidates
        else:
            low = radius
        radius = 2 * radius if high == INFINITE else (low + high) / 2
    return best


def _among_classes(name: str, norm: str, attack: Attack, /, **options: Any) -> Rival:
    """An attack that asks for each class's gradient, among the likeliest of one image, the label first."""
    found = _of_adv_lib(name, norm, attack, **options)

    def perturb(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            values = logits(images).scatter(1, labels[:, None], torch.inf)
        classes = values.topk(min(CLASSES, values.shape[1])).indices[0]
        return found.perturb(
            lambda batch: logits(batch)[:, classes], images, torch.zeros_like(labels)
        )

    return replace(found, perturb=perturb, setting=f"{found.setting}; {ALL_CLASSES}")


def versions() -> dict[str, str]:
    """Of the libraries whose attacks run here."""
    return {name: version(name) for name in ("adv-lib", "foolbox", "torch")}
