"""Checkpoint files: safetensors, pickles that hold nothing but tensors, or Keras' HDF5."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo_eval.errors import Refusal, one_line
from zoo_eval.files import foreign, pickled
from zoo_eval.weights import keras_files, wrappers
from zoo_eval.weights.wrappers import Chosen

# A safetensors file begins with the length of its header, which is JSON.
LENGTH_BYTES = 8
ARCHIVE = b"PK\x03\x04"


def read(path: Path, weights_key: str | None = None) -> dict[str, Tensor]:
    """A checkpoint's tensors by name, on the CPU: see `chosen`."""
    return dict(chosen(path, weights_key).state)


def chosen(path: Path, weights_key: str | None = None) -> Chosen:
    """A checkpoint's tensors by name, on the CPU, and the key that they stand under.

    Wrappers are opened, and moving averages preferred to the weights that they are of, unless
    `weights_key` says otherwise.

    Raises:
        Refusal: the file is absent, damaged, needs code to unpickle, or holds no such tensors.
    """
    content = _content(path)
    if not isinstance(content, Mapping):
        raise Refusal(
            f"checkpoint {path} holds a {type(content).__name__}, not named tensors; save the "
            "network's state_dict()"
        )
    try:
        return wrappers.chosen(content, weights_key)
    except Refusal as error:
        raise Refusal(f"checkpoint {path}: {error}") from error


def refuse_larger_than_file(path: Path) -> None:
    """Nothing, where a checkpoint takes no more memory than it has bytes.

    Raises:
        Refusal: it declares more.
    """
    try:
        pickled.check(path)
    except pickled.TooLarge as error:
        raise Refusal(
            f"checkpoint {path} is refused: {error}; save it again by torch.save or as safetensors"
        ) from error
    except OSError as error:
        raise Refusal(f"checkpoint {path} is damaged or none: {foreign.told(path)}") from error


def _content(path: Path) -> Any:
    if not path.is_file():
        raise Refusal(f"checkpoint {path} does not exist; correct `checkpoint`")
    try:
        if _is_hdf5(path):
            return keras_files.read(path)
        if _is_safetensors(path):
            return load_file(path)
        refuse_larger_than_file(path)
        # As a stream: by the file's name, PyTorch would choose a reader of its own.
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Refusal:
        raise
    except Exception as error:
        # An unpickler that is fed nonsense raises anything: KeyError, IndexError, AssertionError...
        raise _unreadable(path, error) from error


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(keras_files.SIGNATURE)) == keras_files.SIGNATURE


def _is_safetensors(path: Path) -> bool:
    """Whether a file's content is safetensors, whatever it is called; where it is neither, its name says."""
    with path.open("rb") as file:
        head = file.read(LENGTH_BYTES + 1)
    if head.startswith(ARCHIVE):
        return False
    is_header = head[LENGTH_BYTES:] == b"{"
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    return path.suffix == ".safetensors" or (is_header and length < path.stat().st_size)


def _unreadable(path: Path, error: Exception) -> Refusal:
    told = foreign.told(path)
    known_kind = not told.startswith("it is damaged")
    if isinstance(error, pickle.UnpicklingError) and not known_kind:
        return Refusal(
            f"checkpoint {path} is damaged or needs code to load; save it as safetensors"
        )
    said = "" if known_kind else f" ({one_line(error).split('. ')[0]})"
    return Refusal(f"checkpoint {path} is damaged or none{said}: {told}")
