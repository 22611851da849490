"""Small planted networks as open models, and photos of noise to show them."""

import numpy as np
import torch
from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.models.blueprint import Blueprint
from zoo_eval.models.open_model import OpenModel
from zoo_eval.networks.anatomy import Anatomy
from zoo_eval.networks.measuring import module_names
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform


class Sine(nn.Module):
    """What makes a layer more than a projection of the one before."""

    def forward(self, x):
        return x.sin()


def opened(net: nn.Module, *, input_px: int = 8) -> OpenModel:
    """The network as an open model on the CPU that sees `input_px` pixels, not normalised."""
    plan = Blueprint(
        architecture="planted",
        weights_digest="planted",
        transform=Transform(input_px, input_px, "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        # Nothing is planned with it, and some planted networks count how often they run.
        anatomy=Anatomy(0, 0, False, 0, 0, n_modules=len(module_names(net))),
    )
    card = ModelCard("local/planted", "local", "planted", weights="untrained")
    return OpenModel(card, plan, net, torch.device("cpu"))


def noise(n: int, *, px: int = 8, seed: int = 0) -> StimulusSet:
    """`n` photos of uniform noise."""
    rng = np.random.default_rng(seed)
    images = tuple(rng.integers(0, 256, (n, px, px, 3), dtype=np.uint8))
    ids = tuple(f"{i:03d}" for i in range(n))
    return StimulusSet(f"noise {seed}", ids, images, groups=ids)


def pixels(stimuli: StimulusSet) -> torch.Tensor:
    """The photos as the planted models see them, (stimulus, RGB, row, column) in [0, 1]."""
    return torch.tensor(np.stack(stimuli.images)).permute(0, 3, 1, 2).float() / 255
