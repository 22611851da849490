"""Numerics are what is asked for, read back, and afterwards what they were."""

import subprocess
import sys

import pytest
import torch

from tests.rounding import BFLOAT16, FLOAT32, OF_PRODUCTS, rounded_sum
from zoo_eval.numerics import precision
from zoo_eval.numerics.precision import NUMERICS, OtherNumerics, bfloat16_products
from zoo_eval.trial import NUMERICS as OF_TRIALS

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def as_before():
    """PyTorch is left as these tests find it."""
    with precision.using(NUMERICS["float32"]):
        yield


def factors(n=64, length=8192):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, length, generator=generator) for _ in range(2)]


def test_products_of_bfloat16_numbers_are_as_exact_as_any():
    x, y = (one.bfloat16() for one in factors())
    with bfloat16_products():
        found = x.float() @ y.float().T
    exact = x.double() @ y.double().T
    scale = x.double().norm(dim=1)[:, None] * y.double().norm(dim=1)
    assert float(((found - exact) / scale).abs().max()) < OF_PRODUCTS


@pytest.mark.parametrize("name", NUMERICS)
@pytest.mark.parametrize("block", [bfloat16_products, lambda: precision.exact(CPU)])
def test_a_block_leaves_numerics_as_before(name, block):
    precision.use(NUMERICS[name])
    with pytest.raises(ValueError, match="stop"), block():
        raise ValueError("stop")
    assert precision.found(NUMERICS[name]) == NUMERICS[name].key


@pytest.mark.parametrize("name", NUMERICS)
def test_numerics_are_set_whatever_was_set_before_and_restored(name):
    before = {unit: precision._get(unit) for unit in precision.UNITS}
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    with precision.using(NUMERICS[name]):
        assert precision.found(NUMERICS[name]) == NUMERICS[name].key
        assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark
    assert precision._get("cuda.matmul") == "tf32"
    torch.backends.cudnn.benchmark = False
    for unit, how in before.items():
        precision._set(unit, how)


def test_the_key_of_float32_is_that_of_trials_without_a_network():
    assert NUMERICS["float32"].key == OF_TRIALS
    assert len({str(one.key) for one in NUMERICS.values()}) == len(NUMERICS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True), "cuda.matmul is tf32"),
        (lambda: torch.set_float32_matmul_precision("high"), "cuda.matmul is tf32"),
        (lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "tf32"), "cudnn.conv is tf32"),
        (lambda: setattr(torch.backends.cudnn, "allow_tf32", True), "cudnn.conv is "),
        (lambda: setattr(torch.backends.cudnn, "benchmark", True), "chooses kernels by speed"),
        (
            lambda: setattr(torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", True),
            "allow_fp16_reduced_precision_reduction is on",
        ),
    ],
)  # fmt: skip
def test_what_own_code_changes_is_found(change, said):
    precision.use(NUMERICS["float32"])
    change()
    with pytest.raises(OtherNumerics, match=f"{said}.*remove that from it"):
        precision.found(NUMERICS["float32"])


@torch.no_grad()
def test_bf16_casts_factors_and_exact_blocks_do_not():
    x, y = factors()
    numerics = NUMERICS["bf16"]
    with numerics.cast(CPU):
        cast = x @ y.T
        with precision.exact(CPU):
            exact = x @ y.T
    assert cast.dtype == torch.bfloat16
    true = x.double() @ y.double().T
    sizes = x.double().abs() @ y.double().abs().T
    assert (exact - true).abs().max() <= rounded_sum(8192, FLOAT32) * sizes.max()
    # Two factors and the result are rounded.
    assert ((cast.double() - true).abs() <= 3 * BFLOAT16 * sizes).all()
    assert (cast - true).abs().max() > (exact - true).abs().max()


OLDER = """
import torch
from zoo_eval.numerics import precision
precision._has_one_precision_each = lambda: False
for name in ("tf32", "float32", "bf16"):
    torch.set_float32_matmul_precision("high")
    numerics = precision.NUMERICS[name]
    precision.use(numerics)
    assert precision.found(numerics) == numerics.key, name
    assert torch.backends.cudnn.allow_tf32 == (name == "tf32")
    before = torch.get_float32_matmul_precision()
    assert before == ("high" if name == "tf32" else "highest")
    with precision.bfloat16_products():
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == before
    with precision.exact(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == "highest"
    assert precision.found(numerics) == numerics.key, name
"""


def test_the_older_interface_says_the_same():
    # In a process of its own: newer versions of PyTorch raise where both are used.
    subprocess.run([sys.executable, "-c", OLDER], check=True, timeout=120)
