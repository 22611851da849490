"""Which axes of an activation are rows, columns and features; tokens are laid out as the image was cut."""

import pytest
import torch

from zoo_eval.errors import Refusal
from zoo_eval.networks.positions import layout

SQUARE = (224, 224)


@pytest.mark.parametrize(
    ("shape", "size", "prefix", "expected"),
    [
        ((256, 56, 56), SQUARE, 0, ("features_first", 56, 56, 256)),
        ((7, 7, 768), SQUARE, 0, ("features_last", 7, 7, 768)),
        ((7, 7, 7), SQUARE, 0, ("features_first", 7, 7, 7)),
        ((197, 384), SQUARE, 1, ("tokens", 14, 14, 384)),
        ((196, 384), SQUARE, 1, ("tokens", 14, 14, 384)),
        ((261, 384), SQUARE, 5, ("tokens", 16, 16, 384)),
        ((64, 8, 16), (128, 256), 0, ("features_first", 8, 16, 64)),
        ((8, 16, 64), (128, 256), 0, ("features_last", 8, 16, 64)),
        ((129, 64), (128, 256), 1, ("tokens", 8, 16, 64)),
    ],
)
def test_rows_and_columns_are_shaped_as_the_input(shape, size, prefix, expected):
    found = layout("blocks.1", shape, size, prefix)
    assert (found.order, found.n_rows, found.n_columns, found.n_features) == expected


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        ("fc", (1000,), "no maps over positions; choose one before the pooling"),
        ("blocks.1:cls", (384,), "no maps over positions"),
        ("blocks.1:mean", (197, 384), "no maps over positions"),
        ("attn", (12, 64, 32), "not to be told"),
        ("tokens", (200, 384), "not to be told"),
    ],
)
def test_what_has_no_positions_is_refused_on_one_line(layer, shape, said):
    with pytest.raises(Refusal, match=said) as refusal:
        layout(layer, shape, SQUARE, 1)
    assert "\n" not in str(refusal.value)


def test_maps_are_views_with_features_last():
    first = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4)
    maps = layout("x", (3, 4, 4), SQUARE, 0).maps(first)
    assert maps[1, 2, 3, 0] == first[1, 0, 2, 3]
    last = torch.arange(2 * 4 * 4 * 5).view(2, 4, 4, 5)
    assert torch.equal(layout("x", (4, 4, 5), SQUARE, 0).maps(last), last)
    tokens = torch.arange(2 * 17 * 6).view(2, 17, 6)
    maps = layout("x", (17, 6), SQUARE, 1).maps(tokens)
    # The class token is dropped, and patches go on row by row.
    assert torch.equal(maps[1, 2, 3], tokens[1, 1 + 2 * 4 + 3])
