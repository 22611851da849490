"""What a step with human maps costs beside a plain one, of a convolutional network and a transformer.

    python -m benchmarks.harmonizer [--quick]

Steps of either kind take turns, on the same images, and the fastest of each counts. Weights are untrained: a
step's cost does not hang on them. With --quick images are small.
"""

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import timm
import torch
from torch import nn

from zoo_eval.harmonizer import double_backward, optimisation
from zoo_eval.harmonizer.objective import Objective
from zoo_eval.harmonizer.run_file import TrainingSection
from zoo_eval.harmonizer.samples import Batch
from zoo_eval.transforms import Transform

NETWORKS = ("resnet50", "vit_small_patch16_224")


def network(name: str, side: int) -> nn.Module:
    """An untrained network of that name, for square images of that side."""
    torch.manual_seed(0)
    size: dict[str, Any] = {"img_size": side} if name.startswith("vit") else {}
    return timm.create_model(name, **size).train()


def images(n: int, side: int) -> Batch:
    """Noise with maps of noise."""
    torch.manual_seed(1)
    labels, maps = torch.randint(1000, (n,)), torch.rand(n, side, side)
    return Batch(torch.rand(n, 3, side, side), maps, labels, torch.ones(n, dtype=torch.bool))


def seconds(net: nn.Module, batch: Batch, objectives: list[Objective], turns: int) -> list[float]:
    """The fastest step by each objective."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device)
    optimiser = optimisation.optimiser(net, TrainingSection())
    best = [float("inf")] * len(objectives)
    # The first turn warms up.
    for turn in range(turns + 1):
        for number, objective in enumerate(objectives):
            began = time.perf_counter()
            optimiser.zero_grad()
            torch.autograd.backward(objective.of(net, batch, device)[0])
            optimiser.step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                best[number] = min(best[number], time.perf_counter() - began)
    return best


def main() -> None:
    """Prints a table, and as its last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    n, side, turns = (4, 64, 5) if quick else (16, 224, 5)
    costs = {}
    print(f"{n} images of {side} px; seconds a step")
    for name in NETWORKS:
        net, batch = network(name, side), images(n, side)
        plain = Objective(Transform(side, side, "bicubic", (0.5,) * 3, (0.5,) * 3), 0.0)
        how = double_backward.of(net, batch.pixels[:2])
        harmonized = replace(plain, weight=1.0, how=how)
        of_plain, of_harmonized = seconds(net, batch, [plain, harmonized], turns)
        costs[name] = of_harmonized / of_plain
        print(
            f"{name:24} plain {of_plain:.3f}  harmonized {of_harmonized:.3f}  "
            f"ratio {costs[name]:.2f}  attention {how.attention}"
        )
    print(json.dumps({"step_cost": max(costs.values()), **costs}))


if __name__ == "__main__":
    main()
