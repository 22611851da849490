"""The rivals: how they are imported, and their attacks as functions of logits, images and labels."""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import foolbox
import torch
from torch import Tensor, nn

from zoo_eval.numerics.attacks import foolbox_adapter
from zoo_eval.numerics.attacks.logits import Logits

# DeepFool asks for each class's gradient: with ImageNet's thousand, a thousand in every step.
DEEPFOOL_CLASSES = 10
SEARCH_STEPS = 5

Perturb = Callable[[Logits, Tensor, Tensor], Tensor]


def adv_lib_attacks() -> ModuleType:
    """The module `adv_lib.attacks`.

    It imports visdom for live plots, which nobody asks for here and which builds with no current
    setuptools: an empty module stands in for it.
    """
    sys.modules.setdefault("visdom", ModuleType("visdom"))
    return import_module("adv_lib.attacks")


class AsModule(nn.Module):
    """Logits as the module that adv-lib calls."""

    def __init__(self, logits: Logits) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images)


def long_ddn(steps: int) -> tuple[str, Perturb]:
    """adv-lib's DDN as it comes, without rounding to 8 bits, which no other attack here does."""
    return f"adv-lib: ddn, {steps}", _adv_lib("ddn", steps=steps, levels=None)


def deepfools() -> list[tuple[str, Perturb]]:
    """Both libraries' DeepFool, image by image: in a batch Foolbox's goes on until all are done."""
    found = _foolbox("L2DeepFoolAttack", candidates=DEEPFOOL_CLASSES)
    return [
        ("adv-lib: deepfool", _one_by_one(_adv_lib_deepfool)),
        ("foolbox: DeepFool", _one_by_one(found)),
    ]


def strongest(steps: int) -> list[tuple[str, Perturb]]:
    """adv-lib's DDN as it comes and from a tenth of its first radius, and its FMN."""
    return [
        long_ddn(steps),
        (
            f"adv-lib: ddn from 0.1, {steps}",
            _adv_lib("ddn", steps=steps, levels=None, init_norm=0.1),
        ),
        (f"adv-lib: fmn, {steps}", _adv_lib("fmn", norm=2, steps=steps)),
    ]


def of_adv_lib(steps: int) -> list[tuple[str, Perturb]]:
    """adv-lib's other attacks with `steps` gradients."""
    each = steps // SEARCH_STEPS
    search = {"max_iterations": each, "binary_search_steps": SEARCH_STEPS, "abort_early": False}
    return [
        (f"adv-lib: alma, {steps}", _adv_lib("alma", num_steps=steps)),
        (f"adv-lib: c&w, {SEARCH_STEPS} x {each}", _adv_lib("carlini_wagner_l2", **search)),
    ]


def of_foolbox(steps: int) -> list[tuple[str, Perturb]]:
    """Foolbox's other attacks with `steps` gradients; its FMN fails the conformance suite."""
    each = steps // SEARCH_STEPS
    search = {"steps": each, "binary_search_steps": SEARCH_STEPS, "abort_early": False}
    return [
        (f"foolbox: DDN, {steps}", _foolbox("DDNAttack", steps=steps)),
        (f"foolbox: FMN, {steps}", _foolbox("L2FMNAttack", steps=steps)),
        (f"foolbox: C&W, {SEARCH_STEPS} x {each}", _foolbox("L2CarliniWagnerAttack", **search)),
    ]


def _adv_lib(name: str, **options: Any) -> Perturb:
    attack = getattr(adv_lib_attacks(), name)
    return lambda logits, images, labels: attack(
        AsModule(logits), images, labels, **options
    ).detach()


def _adv_lib_deepfool(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
    """Among the likeliest classes of one image, the label first."""
    with torch.no_grad():
        values = logits(images).scatter(1, labels[:, None], torch.inf)
    classes = values.topk(DEEPFOOL_CLASSES).indices[0]
    found: Tensor = adv_lib_attacks().df(
        AsModule(lambda batch: logits(batch)[:, classes]), images, torch.zeros_like(labels)
    )
    return found.detach()


def _foolbox(name: str, **options: Any) -> Perturb:
    attack = getattr(foolbox.attacks, name)(**options)
    return lambda logits, images, labels: foolbox_adapter.run(attack, logits, images, labels)


def _one_by_one(perturb: Perturb) -> Perturb:
    def found(logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        each = [slice(place, place + 1) for place in range(len(images))]
        return torch.cat([perturb(logits, images[one], labels[one]) for one in each])

    return found
