"""What a step with human maps costs beside a plain one, of a convolutional network and a transformer.

    python -m benchmarks.harmonizer [--quick]

Steps of either kind take turns, on the same images, and the fastest of each counts. Weights are untrained: a
step's cost does not hang on them. With --quick images are small. Then the memory that a step with maps was
told to take beside what a process of its own took of the machine for two of them, from before the network was
made to its peak (on a CPU).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import timm
import torch
from torch import nn

from zoo_eval.harmonizer import double_backward, memory, optimisation
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


def peak_bytes() -> int:
    """The most memory that this process had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def taken(name: str, n: int, side: int) -> None:
    """Prints what two steps with maps took of this process, and what one was told to take, in bytes."""
    # Libraries are loaded, and their threads begun, by a step of a network that takes nothing.
    small = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 5)).train()
    plain = Objective(Transform(8, 8, "bicubic", (0.5,) * 3, (0.5,) * 3), 1.0)
    few = Batch(torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8), torch.tensor([0, 1]), torch.ones(2))
    torch.autograd.backward(plain.of(small, few, torch.device("cpu"))[0])
    before = peak_bytes()
    net, batch = network(name, side), images(n, side)
    how = double_backward.of(net, batch.pixels[:2])
    objective = Objective(Transform(side, side, "bicubic", (0.5,) * 3, (0.5,) * 3), 1.0, how=how)
    parts = memory.Parts(n, (side, side))
    told = memory.of_step(net, objective, TrainingSection(), parts) - parts.ahead_bytes
    seconds(net, batch, [objective], 1)
    print(json.dumps({"taken": peak_bytes() - before, "told": told}))


def told_to_taken(name: str, n: int, side: int) -> float:
    """What a step is told to take as a share of what it took, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.harmonizer", "--taken", name, str(n), str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    share: float = found["told"] / found["taken"]
    print(
        f"{name:24} {n} images: told {found['told'] / 2**20:.0f} MiB, taken "
        f"{found['taken'] / 2**20:.0f} MiB, ratio {share:.2f}"
    )
    return share


def main() -> None:
    """Prints a table, and as its last line one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--taken", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.taken:
        name, many, of = given.taken
        taken(name, int(many), int(of))
        return
    quick = given.quick
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
    # Small images would tell of what libraries take, not of a step.
    memories = {f"memory_{name}": told_to_taken(name, 8, 224) for name in NETWORKS}
    print(json.dumps({"step_cost": max(costs.values()), **costs, **memories}))


if __name__ == "__main__":
    main()
