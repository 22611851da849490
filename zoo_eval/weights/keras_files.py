"""Keras files: the variables of an HDF5 file by layer, read without Keras and without running anything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_eval.errors import Refusal
from zoo_eval.files.names import printable

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Where a whole saved model has its weights, and what else may stand beside them.
WEIGHTS, OPTIMISERS = "model_weights", ("optimizer", "optimizer_weights")
# What Keras 3 puts around a layer's variables, which are numbered there.
AROUND = ("layers", "vars")
MOST_ITEMS, DEEPEST = 20_000, 12


def read(path: Path) -> dict[str, Tensor]:
    """A file's variables, named LAYER/VARIABLE, in Keras' own order of axes.

    Three kinds: a whole model (`model.save("x.h5")`), weights by the layers' names (Keras 2's
    `save_weights("x.h5")`), and Keras 3's `x.weights.h5`, which names layers by their class and
    number, and variables by their number: conv2d_3/0.

    Raises:
        Refusal: the file refers to other files, says more than it holds, or holds other things.
        Exception: whatever h5py raises of a damaged file.
    """
    # Imported here, as it takes a tenth of a second and few checkpoints need it.
    import h5py

    found: dict[str, Tensor] = {}
    room = path.stat().st_size
    with h5py.File(path, "r") as file:
        root = file[WEIGHTS] if _link(file, WEIGHTS, path) else file
        for name, item in _datasets(root, path):
            room -= item.size * item.dtype.itemsize
            _check(item, path, room)
            if name in found:
                raise Refusal(
                    f"checkpoint {path} names {printable(name)} twice; save a model that is not nested"
                )
            found[name] = torch.from_numpy(np.array(item[()], item.dtype.newbyteorder("=")))
    if not found:
        raise Refusal(
            f"checkpoint {path} is HDF5 and holds no weights of Keras; name the file that was meant"
        )
    return found


def _datasets(root: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Every dataset within a group, named by the last two parts of where it stands."""
    import h5py

    open_groups, n_items = [(root, ())], 0
    while open_groups:
        group, above = open_groups.pop()
        for name in group:
            n_items += 1
            if n_items > MOST_ITEMS or len(above) > DEEPEST:
                raise Refusal(
                    f"checkpoint {path} is HDF5 with more than {MOST_ITEMS} parts, or groups within "
                    "each other without end; no network is like that: fetch it again"
                )
            _link(group, name, path)
            if not above and name in OPTIMISERS:
                continue
            item, parts = group[name], (*above, *(() if name in AROUND else (name,)))
            if isinstance(item, h5py.Group):
                open_groups.append((item, parts))
            elif isinstance(item, h5py.Dataset):
                yield "/".join(parts[-2:]).removesuffix(":0"), item


def _link(group: Any, name: str, path: Path) -> bool:
    """Whether a group has something of that name, which is in this file.

    Raises:
        Refusal: it is in another file, or elsewhere in this one.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise Refusal(
            f"checkpoint {path} refers to what is kept elsewhere ({printable(name)}); save the weights "
            "themselves"
        )
    return link is not None


def _check(item: Any, path: Path, room: int) -> None:
    where = f"checkpoint {path}: {printable(item.name)}"
    if item.is_virtual or item.external:
        raise Refusal(f"{where} is kept in another file; save the weights themselves")
    if item.dtype.kind not in "fiu":
        raise Refusal(f"{where} holds {item.dtype}, no numbers; save the network's weights")
    if room < 0 or item.id.get_storage_size() < item.size * item.dtype.itemsize:
        raise Refusal(f"{where} says more numbers than the file holds; fetch it again")
