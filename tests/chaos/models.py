"""Models that do what their flag says, once: how a real one can be slow, hang, or fail for its machine."""

import os
import time
from pathlib import Path
from typing import Any

import ray
import timm
import torch

from zoo_eval.transforms import Transform

FLAGS = "ZOO_EVAL_CHAOS_FLAGS"
TRANSFORM = Transform(160, 160, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
HANGS_S = 3600.0
SLOW_S = 6.0


def _misbehave(module: torch.nn.Module, arguments: Any) -> None:
    """Does what a flag says, if one can be taken down: whoever does it first is the only one."""
    folder = os.environ.get(FLAGS)
    # Whether it runs at all is tried with an image or two, and what does not is refused.
    is_at_work = len(arguments[0]) > 2 and _is_slot()
    for name, act in ACTS.items() if folder and is_at_work else ():
        try:
            Path(folder or "", name).unlink()
        except FileNotFoundError:
            continue
        act()


def _is_slot() -> bool:
    """Whether a sweep's slot runs it: a plan refuses what does not run, and says so."""
    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None


def _raise(error: Exception) -> None:
    raise error


ACTS = {
    "hang": lambda: time.sleep(HANGS_S),
    "slow": lambda: time.sleep(SLOW_S),
    "gpu memory": lambda: _raise(torch.OutOfMemoryError("CUDA out of memory (planted)")),
    "gpu": lambda: _raise(RuntimeError("CUDA error: an illegal memory access (planted)")),
    "host memory": lambda: _raise(MemoryError("planted")),
    "network": lambda: _raise(ConnectionResetError("planted")),
    "disk": lambda: _raise(OSError(28, "No space left on device (planted)")),
}


def build(number: int) -> tuple[torch.nn.Module, Transform]:
    """A small network with weights of its own, and what it is shown."""
    with torch.random.fork_rng():
        torch.manual_seed(number)
        model = timm.create_model("test_vit" if number % 2 else "test_efficientnet")
    model.register_forward_pre_hook(_misbehave)
    return model, TRANSFORM


def __getattr__(name: str) -> Any:
    """`build_3`: a factory has no arguments."""
    stem, _, number = name.partition("_")
    if stem != "build" or not number.isdecimal():
        raise AttributeError(name)
    return lambda: build(int(number))
