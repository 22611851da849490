"""The card files in zoo/ name what exists, once, with a source; so do the patterns in docs/zoos.md."""

import re
import tomllib
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch

from zoo_eval.sources import open_clip, timm, torchvision
from zoo_eval.sources.registry import source_of
from zoo_eval.sweep import toml
from zoo_eval.sweep.cards import CardFile
from zoo_eval.weights import fitting, key_mappings
from zoo_eval.weights.wrappers import Chosen

HERE = Path(__file__).parents[1]
FILES = sorted((HERE / "zoo").glob("*.toml"))
PAGE = (HERE / "docs" / "zoos.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

MODELS = [model for file in FILES for model in toml.read(file, CardFile, file.parent).models]
CARDS = [model.card() for model in MODELS]
RADII = {"l2": "0.01 0.03 0.05 0.1 0.25 0.5 1 3 5", "linf": "0.5 1.0 2.0 4.0 8.0"}
# The robust models in the results of the 2025 release.
RELEASED = [
    f"{net}_{norm}_eps{radius}"
    for net in ("resnet18", "resnet50", "wide_resnet50_2")
    for norm, radii in RADII.items()
    for radius in radii.split()
]


def test_every_file_is_tested():
    assert [file.name for file in FILES] == ["adversarial.toml"]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_has_an_address_a_digest_and_an_architecture_that_exists(card):
    assert card.unavailable is None
    assert card.url is not None
    assert card.url.startswith("https://")
    assert card.name == f"local/{Path(urlsplit(card.url).path).stem}"
    assert card.family == "resnet"
    assert None not in (card.transform, card.published_top1, card.objective, card.licence)
    assert source_of(card.architecture).skeleton(card.architecture).state_dict()


def test_no_name_address_or_digest_stands_twice():
    for values in zip(*((card.name, card.url, card.sha256) for card in CARDS)):
        assert len(set(values)) == len(CARDS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_entry_stands_below_the_page_its_digest_was_read_from(file):
    lines = file.read_text().splitlines()
    above = [line for line, below in pairwise(lines) if below == "[[models]]"]
    for line, model in zip(above, toml.read(file, CardFile, file.parent).models, strict=True):
        assert re.fullmatch(r"# https://\S+", line)
        assert line.endswith(f"/{Path(urlsplit(model.url).path).name}")


@pytest.mark.parametrize("keys", sorted({str(model.keys) for model in MODELS}))
def test_a_key_mapping_exists(keys):
    assert keys.endswith(".") or keys in key_mappings.MAPPINGS


def wrapped(net):
    """A state dict as the `robustness` package saves it: names of attacker.py, in DataParallel."""
    mean = {"new_mean": torch.zeros(3, 1, 1), "new_std": torch.ones(3, 1, 1)}
    parts = {
        "normalizer": mean,
        "model": net.state_dict(),
        "attacker.normalize": mean,
        "attacker.model": net.state_dict(),
    }
    return {
        f"module.{part}.{key}": tensor
        for part, state in parts.items()
        for key, tensor in state.items()
    }


@pytest.mark.parametrize(
    "architecture", sorted({c.architecture for c in CARDS if c.keys == "robustness"})
)
def test_the_robustness_packages_names_fit(architecture):
    net = source_of(architecture).skeleton(architecture)
    found = Chosen(wrapped(net), "model", "model")
    fitting.fitted(found, net, Path("as_robustness_saves_it.ckpt"), "robustness")


def test_every_robust_model_of_the_release_is_in_a_file_or_on_the_page():
    present = {model.name for model in MODELS}
    missing = set(re.findall(r"`([\w.]+_eps[\d.]+)`", PAGE.partition("## Not included")[2]))
    assert len(RELEASED) == 42
    assert present | missing == set(RELEASED)
    assert not present & missing
    assert f"{len(present)} of the 42" in PAGE


def patterns():
    sections = (tomllib.loads(block).get("models") for block in BLOCKS)
    return [p for section in sections if isinstance(section, dict) for p in section["include"]]


def test_every_pattern_on_the_page_fits_a_model():
    names = {card.name for source in (timm, torchvision, open_clip) for card in source.cards()}
    names |= {card.name for card in CARDS}
    assert len(patterns()) > 50
    assert [p for p in patterns() if not any(fnmatchcase(name, p) for name in names)] == []


def test_the_card_files_on_the_page_exist_and_its_templates_can_be_read(tmp_path):
    named = re.findall(r"zoo/\w+\.toml", PAGE)
    assert {HERE / name for name in named} == set(FILES)
    templates = [block for block in BLOCKS if block.startswith("[[models]]")]
    assert len(templates) == 2
    for block in templates:
        file = tmp_path / "mine.toml"
        file.write_text(block)
        assert len(toml.read(file, CardFile, file.parent).models) == 1
