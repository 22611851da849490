"""Checkpoint files: safetensors, or pickles that hold nothing but tensors."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo_eval.errors import Refusal, one_line


def read(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by name, on the CPU; `state_dict` or `model` wrappers are opened.

    Raises:
        Refusal: the file is absent, damaged, or needs code to unpickle.
    """
    if not path.is_file():
        raise Refusal(f"checkpoint {path} does not exist; correct `checkpoint`")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Refusal(
            f"checkpoint {path} is damaged or needs code to load; save it as safetensors"
        ) from error
    except Exception as error:
        # An unpickler that is fed nonsense raises anything: KeyError, IndexError, AssertionError...
        raise Refusal(f"checkpoint {path} is damaged ({one_line(error)}); replace it") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise Refusal(f"checkpoint {path} holds a {type(content).__name__}, not named tensors")
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}


def check(state: dict[str, Tensor], net: nn.Module, path: Path) -> None:
    """Refuses tensors that do not fit a network (which may be on the meta device) name by name.

    Raises:
        Refusal: the first missing, unexpected or misshapen tensors are named.
    """
    wanted = net.state_dict()
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    shapes = [k for k in wanted if k in state and wanted[k].shape != state[k].shape]
    if not (missing or unexpected or shapes):
        return
    parts = [
        f"{len(keys)} {word} (first: {keys[0]})"
        for word, keys in (("missing", missing), ("unexpected", unexpected), ("misshapen", shapes))
        if keys
    ]
    raise Refusal(
        f"checkpoint {path} does not fit the architecture: {', '.join(parts)}; "
        "set `keys` or correct `architecture`"
    )
