"""Every family of every source against that source's own network and preprocessing.

    python -m benchmarks.zoo [--quick]

The smallest member of each, untrained, is opened as a sweep opens it. A full run writes docs/zoo.md.
"""

import gc
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
import torchvision
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.measurement import quick, report
from zoo_eval import paths
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal, one_line
from zoo_eval.models.blueprint import LOGITS, anatomy_of
from zoo_eval.models.open_model import OpenModel, open_model
from zoo_eval.representations.representations import Representations
from zoo_eval.sources import open_clip as open_clip_source
from zoo_eval.sources import timm as timm_source
from zoo_eval.sources import torchvision as torchvision_source
from zoo_eval.sources.registry import cards, source_of
from zoo_eval.sources.zero_shot import ZeroShot
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet

PAGE = Path(__file__).parent.parent / "docs" / "zoo.md"
CPU = torch.device("cpu")
TOLERANCE = 1e-4
PHOTO_SIZES = ((640, 480), (560, 560), (500, 700))
BUDGET_BYTES = 2**30
NOISE = 0.1
# Below it, a parameter's spread is that of a deliberately small initialisation.
HARDLY = 1e-3
# Of the logits' scale: below, rounding would be compared with rounding.
MIN_SPREAD = 1e-3
TORCHVISION_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": False, "transform_input": True, "init_weights": True},
    "inception_v3": {"aux_logits": False, "transform_input": True, "init_weights": True},
}
INTRODUCTION = """\
# Families

Written by `python -m benchmarks.zoo` with {libraries}.

The smallest member of every family is opened untrained, as a sweep opens it, and compared with its
source's own network and preprocessing. It passes if each block is captured, the logits equal the
source's within 1e-4, resized photos are the source's bit for bit, a gradient
reaches the pixels, and the logits depend neither on the other images of the batch nor on the call.
Differences are relative to how much the logits vary between images. A timm family is the module
that defines the architecture; open_clip's image towers from timm are grouped by it. Zeros and other
near-constants among the parameters are replaced by noise, and batch normalisation gets the statistics of
the photos: otherwise untrained logits are constants, which agree whatever the network does.
"""
QUICK = (
    "timm/convit", "timm/efficientformer_v2", "timm/ghostnet", "timm/lcnetv2", "timm/mobilevit",
    "timm/pit", "timm/repvit", "timm/shvit", "open_clip/modified_resnet", "torchvision/squeezenet",
    "torchvision/alexnet",
)  # fmt: skip


@dataclass(frozen=True)
class Own:
    """A source's own network, normalised pixels in and logits out, and its own preprocessing."""

    logits: Callable[[Tensor], Tensor]
    preprocess: Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Row:
    """What came of one family; `reason` is empty where everything holds.

    `difference` and `resized` are of logits, relative to their scale: on images already at the
    network's size, and on larger photos, which are resized.
    """

    family: str
    member: str
    n_params: int = 0
    n_blocks: int = 0
    difference: float = float("nan")
    resized: float = float("nan")
    reason: str = ""


def families() -> dict[str, list[str]]:
    """Architectures by family, each named SOURCE/...; those that need `transformers` left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in timm.list_models():
        found[f"timm/{timm_source.family(name)}"].append(f"timm/{name}")
    for name in open_clip.list_models():
        if "hf_model_name" not in open_clip.get_model_config(name)["text_cfg"]:
            found[f"open_clip/{_tower(name)}"].append(f"open_clip/{name}")
    for name in torchvision.models.list_models(module=torchvision.models):
        found[f"torchvision/{torchvision_source.family(name)}"].append(f"torchvision/{name}")
    return dict(sorted(found.items()))


def _tower(name: str) -> str:
    """The type of image tower: open_clip's own two, with CoCa's pooling, or timm's families."""
    kind = open_clip_source.family(name)
    if "multimodal_cfg" in open_clip.get_model_config(name):
        return f"{kind} of CoCa"
    family = timm_source.family(kind)
    return f"timm {family}" if family else kind


def smallest(members: Sequence[str]) -> str:
    """The member with the fewest parameters, one that cannot be used included."""
    return min(members, key=_n_params)


def _n_params(architecture: str) -> int:
    source = source_of(architecture)
    try:
        size = source.transform(architecture, None).size
        return anatomy_of(source, architecture, size).n_params
    except Refusal:
        return sum(p.numel() for p in source.outline(architecture).parameters())
    finally:
        _forget()


def _forget() -> None:
    # Each is needed once: kept, their modules' Python objects would fill the memory.
    timm_source.skeleton.cache_clear()
    torchvision_source.skeleton.cache_clear()
    open_clip_source.outline.cache_clear()


@torch.no_grad()
def unsettle(net: nn.Module, view: Tensor) -> None:
    """Makes an untrained network's logits depend on the image, and on each of its layers.

    Parameters with hardly more than one value get seeded noise, for a zero or 1e-6 hides what comes
    before it; batch normalisation gets the statistics of some images, without which deep networks
    tend to constants.
    """
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        value = parameter.flatten()[0]
        if bool(((parameter - value).abs() < HARDLY).all()):
            noise = NOISE * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise + (value if value.abs() > NOISE else 0))
    normalising = [m for m in net.modules() if isinstance(m, _BatchNorm)]
    momenta = [module.momentum for module in normalising]
    for module in normalising:
        module.train().momentum = 1.0
    net(view)
    for module, momentum in zip(normalising, momenta, strict=True):
        module.eval().momentum = momentum


def own_timm(architecture: str, model: OpenModel) -> Own:
    """Timm's `create_model` and `create_transform`, with the opened model's weights."""
    net = timm.create_model(architecture.removeprefix("timm/")).eval()
    net.load_state_dict(model.net.state_dict())
    config = resolve_model_data_config(net)  # type: ignore[no-untyped-call]  # timm
    return Own(net, create_transform(**config, is_training=False))


def own_open_clip(architecture: str, model: OpenModel) -> Own:
    """Open_clip's `encode_image` and preprocessing; cosine similarities times its scale plus bias."""
    clip = open_clip.create_model(architecture.removeprefix("open_clip/")).eval()
    head = model.net
    assert isinstance(head, ZeroShot)
    clip.visual.load_state_dict(head.visual.state_dict())
    bias = 0 if clip.logit_bias is None else clip.logit_bias

    def logits(images: Tensor) -> Tensor:
        seen = clip.encode_image(images, normalize=True)
        cosine = torch.einsum("id,cd->ic", seen, head.embeddings)
        found: Tensor = clip.logit_scale.exp() * cosine + bias
        return found

    preprocess = image_transform_v2(PreprocessCfg(**clip.visual.preprocess_cfg), is_train=False)
    return Own(logits, preprocess)


def own_torchvision(architecture: str, model: OpenModel) -> Own:
    """Torchvision's builder, as it leaves a network when it loads weights, and their transform."""
    name = architecture.removeprefix("torchvision/")
    options = TORCHVISION_OPTIONS.get(name, {})
    net = torchvision.models.get_model(name, weights=None, **options).eval()
    net.load_state_dict(model.net.state_dict())
    return Own(net, torchvision.models.get_model_weights(name).DEFAULT.transforms())


OWN: Mapping[str, Callable[[str, OpenModel], Own]] = {
    "timm": own_timm,
    "open_clip": own_open_clip,
    "torchvision": own_torchvision,
}


def photos() -> list[Pixels]:
    """Photos of several proportions, larger than most networks' input."""
    folder = paths.resolve("package:foolbox/data", Path.cwd())
    found = read_folder("photos", folder, include=["imagenet_*.jpg"], limit=len(PHOTO_SIZES))
    return [_resized(image, size) for image, size in zip(found.images, PHOTO_SIZES, strict=True)]


def _resized(image: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def checked(family: str, architecture: str, larger: Sequence[Pixels]) -> Row:
    """One member's row: its reason is empty if everything holds."""
    try:
        return _compared(family, architecture, larger)
    except Exception as error:  # noqa: BLE001  # whatever goes wrong is the row's result
        return Row(family, architecture, reason=one_line(error))


def _compared(family: str, architecture: str, larger: Sequence[Pixels]) -> Row:
    card = ModelCard(architecture, "local", architecture, weights="untrained")
    model = open_model(card, CPU)
    side = model.transform.resize_px
    # At the size that both resize to, neither does: what is left is the network's own.
    images = [_resized(image, (side, side)) for image in larger]
    unsettle(model.net, model.transform.normalise(model.view(images)))
    own = OWN[architecture.partition("/")[0]](architecture, model)
    expected, found = _own_logits(own, images), model.predict(images)
    blocks = [name for name in model.blueprint.layers("blocks") if name != LOGITS]
    spread = float((expected - expected.mean(0)).abs().max())
    difference = float((found - expected).abs().max()) / spread
    resized = float((model.predict(larger) - _own_logits(own, larger)).abs().max()) / spread
    failures = {
        "no blocks": not blocks,
        "a block is not captured": not _captured(model, images, blocks),
        "logits do not depend on the image": spread < MIN_SPREAD * float(expected.abs().max()),
        "logits differ from the source's": not max(difference, resized) <= TOLERANCE,
        "resized pixels differ from the source's": not _same_pixels(model, own, larger),
        "no gradient reaches the pixels": not _has_gradient(model, images),
        "logits depend on the batch": not _batch_difference(model, images, found) <= TOLERANCE * spread,
        "a second call differs": not torch.equal(model.predict(images), found),
    }  # fmt: skip
    reason = "; ".join(reason for reason, failed in failures.items() if failed)
    n_params = model.blueprint.anatomy.n_params
    return Row(family, architecture, n_params, len(blocks), difference, resized, reason)


@torch.no_grad()
def _own_logits(own: Own, images: Sequence[Pixels]) -> Tensor:
    return own.logits(torch.stack([own.preprocess(Image.fromarray(image)) for image in images]))


def _same_pixels(model: OpenModel, own: Own, images: Sequence[Pixels]) -> bool:
    """Whether the source's own preprocessing gives the same, bit for bit."""
    expected = torch.stack([own.preprocess(Image.fromarray(image)) for image in images])
    return torch.equal(model.transform.normalise(model.view(images)), expected)


def _captured(model: OpenModel, images: Sequence[Pixels], blocks: Sequence[str]) -> bool:
    """Whether every block gives finite features, one row per image, as many as its shape says."""
    ids = tuple(f"{i}" for i in range(len(images)))
    shown = StimulusSet("photos", ids, tuple(images), groups=ids)
    representations = Representations(model, BUDGET_BYTES)
    shapes = representations.shapes(shown, blocks)
    n_features = {block: torch.Size(shapes[block]).numel() for block in blocks}
    n_seen = 0
    for batch in representations.features(shown, blocks):
        n_seen += len(next(iter(batch.values())))
        for block, features in batch.items():
            if features.shape[1] != n_features[block] or not features.isfinite().all():
                return False
    return n_seen == len(images)


def _has_gradient(model: OpenModel, images: Sequence[Pixels]) -> bool:
    view = model.view(images[:1]).requires_grad_()
    logits = model.logits(view)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((logits * direction).sum(), view)
    return bool(gradient.isfinite().all()) and bool(gradient.any())


def _batch_difference(model: OpenModel, images: Sequence[Pixels], together: Tensor) -> float:
    alone = torch.cat([model.predict([image]) for image in images])
    return float((alone - together).abs().max())


def rows(wanted: Callable[[str], bool]) -> Iterator[Row]:
    """A row for every wanted family, as soon as it is known."""
    larger = photos()
    for family, members in families().items():
        if wanted(family):
            start = time.perf_counter()
            row = checked(family, smallest(members), larger)
            _forget()
            gc.collect()
            said = row.reason or "passed"
            print(f"{row.member}: {said} ({time.perf_counter() - start:.0f} s)", flush=True)
            yield row


HEADER = ["family", "smallest member", "parameters", "blocks", "logit difference",
          "after resizing", "result"]  # fmt: skip


def _cells(row: Row) -> list[str]:
    return [
        row.family, row.member.partition("/")[2], f"{row.n_params:,}", str(row.n_blocks),
        f"{row.difference:.1e}", f"{row.resized:.1e}", row.reason or "passed",
    ]  # fmt: skip


def page(found: Sequence[Row]) -> str:
    """The page docs/zoo.md."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("timm", "open_clip_torch", "torchvision", "torch")
    )
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADER, *map(_cells, found))]
    lines.insert(1, "|---|---|---:|---:|---:|---:|---|")
    return f"{INTRODUCTION.format(libraries=libraries)}\n{chr(10).join(lines)}\n"


def summary(found: Sequence[Row]) -> dict[str, Any]:
    """The benchmark's result: how many families of each source pass, and why others do not."""
    counts = {}
    for source, name in (
        ("timm", "families"), ("open_clip", "open_clip_types"), ("torchvision", "torchvision"),
    ):  # fmt: skip
        own = [row for row in found if row.family.startswith(f"{source}/")]
        counts[f"{name}_passed"] = sum(not row.reason for row in own)
        counts[name] = len(own)
    failures = [f"{row.family}: {row.reason}" for row in found if row.reason]
    return {**counts, "models_listed": len(cards(["*"])), "failures": failures}


def main() -> None:
    """Prints the table and one JSON object; a full run writes the page."""
    small = quick(__doc__ or "")
    # Two threads on two cores wait for each other as soon as anything else runs.
    torch.set_num_threads(1)
    # Open_clip remarks that nothing was loaded: nothing is meant to be.
    logging.disable(logging.WARNING)
    found = list(rows(lambda family: family in QUICK or not small))
    if not small:
        PAGE.write_text(page(found))
    report(HEADER, [_cells(row) for row in found], summary(found))


if __name__ == "__main__":
    main()
