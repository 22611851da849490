"""A zero-shot ImageNet head: class embeddings from a text tower, computed once per model."""

from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from zoo_eval.digests import digest
from zoo_eval.errors import Refusal, one_line
from zoo_eval.paths import cache_folder, whole

N_CLASSES = 1000
SEED = 0


class ZeroShot(nn.Module):
    """Images (image, RGB, row, column), normalised -> logits (image, class).

    Cosine similarity with each class's embedding, times the model's own scale, plus its bias.
    """

    zero_shot = True
    embeddings: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, net: Any, embeddings: Tensor) -> None:
        super().__init__()
        self.visual: nn.Module = net.visual
        self.num_classes = len(embeddings)
        self.register_buffer("embeddings", embeddings)
        scale, bias = net.logit_scale, getattr(net, "logit_bias", None)
        self.register_buffer("scale", scale.detach().exp())
        self.register_buffer("bias", torch.zeros_like(scale) if bias is None else bias.detach())

    def forward(self, images: Tensor) -> Tensor:
        found = self.visual(images)
        # Towers that also return tokens return the pooled embedding first.
        pooled = found[0] if isinstance(found, tuple) else found
        cosine = functional.normalize(pooled, dim=-1) @ self.embeddings.T
        logits: Tensor = self.scale * cosine + self.bias
        return logits


@torch.no_grad()
def embeddings(
    net: Any,
    name: str,
    dimension: int,
    weights_digest: str | None,
    *,
    tokenizer: str | None = None,
) -> Tensor:
    """Unit class embeddings (class, dimension) of an open_clip model, cached by its weights.

    The mean over OpenAI's 80 templates of each of open_clip's 1000 class names (Radford et al.
    2021). An untrained model (no digest) has seeded random ones; one on the meta device, shapes.
    `tokenizer` is the name that open_clip knows the tokenizer by, if not the model's.

    Raises:
        Refusal: the model's tokenizer is not here.
    """
    if net.logit_scale.is_meta:
        return torch.empty(N_CLASSES, dimension, device="meta")
    if weights_digest is None:
        generator = torch.Generator().manual_seed(SEED)
        return functional.normalize(torch.randn(N_CLASSES, dimension, generator=generator), dim=-1)
    names, templates = open_clip.IMAGENET_CLASSNAMES, open_clip.OPENAI_IMAGENET_TEMPLATES
    texts = [[template(name) for template in templates] for name in names]
    kept = cache_folder("zero_shot") / f"{digest([weights_digest, name, texts])}.safetensors"
    if not kept.is_file():
        _keep(kept, _computed(net, tokenizer or name, names, templates))
    return load_file(kept)["embeddings"]


def _computed(net: Any, tokenizer_name: str, names: list[str], templates: list[Any]) -> Tensor:
    try:
        tokenizer = open_clip.get_tokenizer(tokenizer_name)
    except Exception as error:
        raise Refusal(
            f"the tokenizer of {tokenizer_name} cannot be had ({one_line(error)}); install `transformers` "
            "and check the network, or leave the model out"
        ) from error
    # 80,000 texts: seconds on a GPU, hours on a CPU for the larger text towers.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weights = open_clip.build_zero_shot_classifier(
        net.to(device), tokenizer, names, templates, device=device
    )
    net.to("cpu")
    found: Tensor = weights.T.float().cpu().contiguous()
    return found


def _keep(path: Path, values: Tensor) -> None:
    with whole(path) as aside:
        save_file({"embeddings": values}, aside)
