"""Optimisation: which weights are trained and decay, by how much at each step, and their average."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zoo_eval.errors import BadInput
from zoo_eval.harmonizer.run_file import TrainingSection
from zoo_eval.networks.anatomy import Anatomy

# Weights that do not decay, by a part of their names, as in the released code.
UNDECAYED = ("norm", "bn", "embed", "class_token", "cls_token")


def trained_from(net: nn.Module, anatomy: Anatomy, last_stages: int | None) -> None:
    """Freezes all weights but those of the last stages and of what follows them; None freezes nothing.

    Raises:
        BadInput: the network has fewer stages than are to be trained.
    """
    net.requires_grad_(True)
    if last_stages is None:
        return
    ends = [blocks[-1].name for blocks in anatomy.stages]
    if last_stages >= len(ends):
        raise BadInput(
            f"last_stages = {last_stages}, but the network has {len(ends)} stages; choose fewer, or "
            "leave it out to train all of it"
        )
    names = [name for name, _ in net.named_parameters()]
    last_frozen = ends[-last_stages - 1] + "."
    end = max((i for i, name in enumerate(names) if name.startswith(last_frozen)), default=-1)
    for number, weights in enumerate(net.parameters()):
        weights.requires_grad_(number > end)


def train_mode(net: nn.Module, batch_norm: str) -> None:
    """Training mode; batch norms that are frozen, by choice or with all their weights, stay as they are."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            weights = list(module.parameters())
            is_frozen = bool(weights) and not any(one.requires_grad for one in weights)
            if batch_norm == "frozen" or is_frozen:
                module.eval()


def groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trained weights as groups of an optimiser: those that decay, and those that do not.

    Norms, embeddings and the class token do not.
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weights, is_norm in _weights(net):
        if weights.requires_grad:
            keeps = is_norm or any(part in name.lower() for part in UNDECAYED)
            (others if keeps else decayed).append(weights)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _weights(net: nn.Module) -> Iterator[tuple[str, nn.Parameter, bool]]:
    """Every weight once: its name, itself, and whether it is a norm's."""
    norms = {
        id(weights)
        for module in net.modules()
        if "norm" in type(module).__name__.lower()
        for weights in module.parameters(recurse=False)
    }
    for name, weights in net.named_parameters():
        yield name, weights, id(weights) in norms


def optimiser(net: nn.Module, how: TrainingSection) -> torch.optim.Optimizer:
    """The optimiser of the trained weights."""
    parts = groups(net, how.weight_decay)
    if how.optimiser == "adamw":
        return torch.optim.AdamW(parts, lr=how.learning_rate)
    return torch.optim.SGD(
        parts, lr=how.learning_rate, momentum=how.momentum, nesterov=how.momentum > 0
    )


def rate(how: TrainingSection, step: int, n_steps: int) -> float:
    """The learning rate of a step, counted from 0 over all epochs of `n_steps` each."""
    epoch = step // n_steps
    dropped = how.learning_rate * how.drop ** sum(epoch >= at for at in how.drop_epochs)
    n_warmup = how.warmup_epochs * n_steps
    return dropped * min(1.0, (step + 1) / n_warmup) if n_warmup else dropped


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """The moving average of a network's weights; of what else it keeps, the last values."""
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]  # torch
