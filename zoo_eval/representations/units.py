"""Units: a seeded draw of a layer's features, which are kept as they are while stimuli pass by."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo_eval.digests import seed_from
from zoo_eval.numerics.splits import Rows
from zoo_eval.representations.capture import Capture
from zoo_eval.representations.footprint import FLOAT32_BYTES
from zoo_eval.representations.scratch import Matrix, Scratch, check_room
from zoo_eval.stimuli.stimulus_set import StimulusSet


def drawn(layer: str, n_features: int, n_units: int, seed: int) -> Rows:
    """Numbers of the layer's flattened features that are drawn, ascending; all where there are few.

    They hang on nothing but the layer's name and size, how many are wanted, and the seed.
    """
    if n_features <= n_units:
        return np.arange(n_features)
    rng = np.random.default_rng(seed_from(f"{seed} {layer} {n_features}"))
    return np.sort(rng.choice(n_features, n_units, replace=False, shuffle=False))


@dataclass(frozen=True, eq=False)
class Units:
    """Some features of a layer: their numbers (unit,) and values, float32 (stimulus, unit)."""

    numbers: Rows
    values: Tensor


@dataclass(frozen=True, eq=False)
class KeptUnits:
    """`Units` whose values are on disk."""

    numbers: Rows
    values: Matrix

    def read(self) -> Units:
        return Units(self.numbers, self.values.read(0, self.values.n_rows))


class LayerUnits(Mapping[str, Units]):
    """Units by layer: each layer's are read from the disk when they are asked for, and not kept."""

    def __init__(self, found: Mapping[str, KeptUnits]) -> None:
        self._found = found

    def __getitem__(self, layer: str) -> Units:
        return self._found[layer].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def keep_units(
    capture: Capture, stimuli: StimulusSet, numbers: Mapping[str, Rows]
) -> Generator[None, None, dict[str, KeptUnits]]:
    """Shows all stimuli once, and keeps the features of these numbers, by layer, on disk.

    It yields after each batch, and returns them.

    Raises:
        Refusal: the disk has no room, or a layer is not one tensor per image.
    """
    n_stimuli, scratch = len(stimuli), Scratch()
    check_room(FLOAT32_BYTES * n_stimuli * sum(map(len, numbers.values())))
    kept = {
        layer: KeptUnits(own, scratch.matrix(n_stimuli, len(own), torch.float32))
        for layer, own in numbers.items()
    }

    def take(layer: str, activation: Tensor, _row: int) -> Tensor:
        # A copy: the next module may work in place on this very tensor.
        chosen = torch.from_numpy(numbers[layer]).to(activation.device)
        return activation.flatten(1).index_select(1, chosen).float().cpu()

    for row, found in capture.reduced(stimuli, list(numbers), take):
        for layer, values in found.items():
            kept[layer].values.write(row, values)
        yield
    return kept
