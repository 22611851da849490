"""Products of float32 matrices whose numbers are bfloat16's: several times as fast, nothing lost."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """Within the block, factors of float32 products may be rounded to bfloat16 or TensorFloat-32.

    Sums are float32 all the same: where every factor is a bfloat16 number already, a product is as
    exact as any. Processors that have no such unit multiply as ever.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
