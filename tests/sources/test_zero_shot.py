"""Class embeddings are open_clip's own, computed once for each model's weights."""

from types import SimpleNamespace

import open_clip as open_clip_library
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.rounding import float32_network, float32_products
from zoo_eval.errors import Refusal
from zoo_eval.sources import zero_shot
from zoo_eval.sources.zero_shot import ZeroShot, embeddings

WIDTH = 16
CONFIG = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
# Any architecture whose tokenizer is open_clip's own.
NAME = "ViT-S-32-alt"


def tiny(seed):
    torch.manual_seed(seed)
    return open_clip_library.CLIP(**CONFIG).eval()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path))
    return tmp_path / "zero_shot"


@pytest.fixture
def few(monkeypatch):
    """Fewer texts than 80,000."""
    monkeypatch.setattr(open_clip_library, "IMAGENET_CLASSNAMES", ["cat", "dog", "axolotl"])


def test_there_are_a_thousand_class_names_and_eighty_templates():
    assert len(open_clip_library.IMAGENET_CLASSNAMES) == zero_shot.N_CLASSES == 1000
    assert len(open_clip_library.OPENAI_IMAGENET_TEMPLATES) == 80


@torch.no_grad()
def test_an_embedding_is_the_normalised_mean_over_the_templates(few):
    clip = tiny(0)
    found = embeddings(clip, NAME, WIDTH, "digest")
    tokenizer = open_clip_library.SimpleTokenizer()
    for label, embedding in zip(open_clip_library.IMAGENET_CLASSNAMES, found, strict=True):
        texts = [template(label) for template in open_clip_library.OPENAI_IMAGENET_TEMPLATES]
        each = functional.normalize(clip.encode_text(tokenizer(texts)), dim=1)
        expected = functional.normalize(each.mean(0), dim=0)
        bound = float32_network(clip, float(expected.abs().max()))
        assert (embedding - expected).abs().max() <= bound


def counted(monkeypatch):
    build, calls = open_clip_library.build_zero_shot_classifier, []

    def counting(*arguments, **options):
        calls.append(arguments)
        return build(*arguments, **options)

    monkeypatch.setattr(open_clip_library, "build_zero_shot_classifier", counting)
    return calls


def test_they_are_computed_once_for_each_weights_name_and_texts(few, cache, monkeypatch):
    calls = counted(monkeypatch)
    first = embeddings(tiny(0), NAME, WIDTH, "one")
    assert torch.equal(embeddings(tiny(0), NAME, WIDTH, "one"), first)
    assert len(calls) == len(list(cache.iterdir())) == 1
    second = embeddings(tiny(1), NAME, WIDTH, "two")
    assert not torch.allclose(first, second)
    embeddings(tiny(0), "ViT-S-16-alt", WIDTH, "one")
    assert len(calls) == 3
    monkeypatch.setattr(open_clip_library, "IMAGENET_CLASSNAMES", ["cat", "dog", "frog"])
    assert not torch.equal(embeddings(tiny(0), NAME, WIDTH, "one")[2], first[2])
    assert len(calls) == len(list(cache.iterdir())) == 4


def test_untrained_embeddings_are_seeded_and_of_unit_length(cache):
    torch.manual_seed(1)
    one = embeddings(tiny(0), NAME, WIDTH, None)
    torch.manual_seed(2)
    assert torch.equal(embeddings(tiny(0), NAME, WIDTH, None), one)
    assert (one.norm(dim=1) - 1).abs().max() <= float32_products(2 * WIDTH)
    assert not cache.exists()


def test_a_tokenizer_that_is_not_here_is_refused(few, cache, monkeypatch):
    def absent(name):
        raise OSError(f"no tokenizer\nfor {name}")

    monkeypatch.setattr(open_clip_library, "get_tokenizer", absent)
    with pytest.raises(Refusal, match=f"tokenizer of {NAME} cannot be had .*no tokenizer for") as refusal:  # fmt: skip
        embeddings(tiny(0), NAME, WIDTH, "digest")
    assert "\n" not in str(refusal.value)
    assert not cache.exists()


class Tower(nn.Module):
    """Planted: embeds an image as its mean colour, with its tokens if wanted."""

    def __init__(self, *, with_tokens):
        super().__init__()
        self.with_tokens = with_tokens

    def forward(self, images):
        pooled = images.mean((2, 3))
        return (pooled, images.flatten(2)) if self.with_tokens else pooled


@pytest.mark.parametrize("with_tokens", [False, True])
@pytest.mark.parametrize("bias", [None, torch.tensor(-10.0)])
def test_logits_are_scaled_cosines_plus_bias(with_tokens, bias):
    model = SimpleNamespace(
        visual=Tower(with_tokens=with_tokens), logit_scale=torch.tensor(2.0).log(), logit_bias=bias
    )
    net = ZeroShot(model, torch.eye(3)[:2])
    images = torch.tensor([3.0, 4.0, 0.0]).view(1, 3, 1, 1).expand(2, 3, 5, 5)
    # Cosines of (3, 4, 0) with the first two axes are 0.6 and 0.8.
    expected = torch.tensor([[1.2, 1.6]] * 2) + (0 if bias is None else bias)
    assert (net(images) - expected).abs().max() <= float32_products(8, float(expected.abs().max()))
    assert (net.num_classes, net.zero_shot) == (2, True)
