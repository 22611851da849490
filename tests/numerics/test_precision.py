"""Products of bfloat16 numbers lose nothing where factors may be rounded to bfloat16."""

import pytest
import torch

from tests.rounding import OF_PRODUCTS
from zoo_eval.numerics.precision import bfloat16_products


def test_products_of_bfloat16_numbers_are_as_exact_as_any():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(64, 8192, generator=generator).bfloat16() for _ in range(2))
    with bfloat16_products():
        found = x.float() @ y.float().T
    exact = x.double() @ y.double().T
    scale = x.double().norm(dim=1)[:, None] * y.double().norm(dim=1)
    assert float(((found - exact) / scale).abs().max()) < OF_PRODUCTS


def test_the_precision_of_others_products_is_as_before():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ValueError, match="stop"), bfloat16_products():
        raise ValueError("stop")
    assert torch.get_float32_matmul_precision() == before
