"""Precision: by which arithmetic networks run, and what of it PyTorch says when it is asked.

PyTorch's defaults let a GPU round the factors of float32 convolutions to TensorFloat-32, 10 of 23
bits. Nothing here is left to a default: it is set, and read back.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

NumericsName = Literal["float32", "tf32", "bf16"]
DEVICES = ("cpu", "cuda")
# Where PyTorch multiplies float32 matrices: each has a precision of its own.
# The CPU's first: the older word for it is the GPU's too.
UNITS = ("mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn", "cuda.matmul", "cudnn.conv", "cudnn.rnn")
# cuBLAS repeats its sums only with a workspace of its own, read when it is first used.
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
REDUCED_SUMS = (
    "allow_fp16_reduced_precision_reduction",
    "allow_bf16_reduced_precision_reduction",
    "allow_fp16_accumulation",
)


class OtherNumerics(RuntimeError):
    """PyTorch computes by other numerics than was asked for."""


@dataclass(frozen=True)
class Numerics:
    """How a network is run; `key` is what the identity of its numbers says of it.

    `products` of float32 factors on a GPU: as they are (`ieee`), or rounded to TensorFloat-32.
    `autocast` is the type that factors of products are cast to, weights and activations alike.
    """

    name: str
    products: Literal["ieee", "tf32"] = "ieee"
    autocast: torch.dtype | None = None

    @property
    def key(self) -> dict[str, Any]:
        amp = str(self.autocast).removeprefix("torch.") if self.autocast else False
        return {"dtype": "float32", "tf32": self.products == "tf32", "amp": amp}

    def cast(self, device: torch.device) -> AbstractContextManager[Any]:
        """For the block, products are of factors of the type `autocast`, if there is one."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.autocast)


FLOAT32 = Numerics("float32")
# For training alone, which scales its gradients: without that, small ones would be 0.
FLOAT16 = Numerics("fp16", autocast=torch.float16)
NUMERICS: Mapping[str, Numerics] = {
    one.name: one
    for one in (
        FLOAT32,
        Numerics("tf32", products="tf32"),
        Numerics("bf16", autocast=torch.bfloat16),
    )
}


def use(numerics: Numerics) -> None:
    """Networks of this process run by these numerics from now on, by kernels that repeat themselves."""
    for unit in UNITS:
        # A CPU has no TensorFloat-32.
        _set(unit, numerics.products if unit.startswith("cud") else "ieee")
    for name in REDUCED_SUMS:
        if hasattr(torch.backends.cuda.matmul, name):
            setattr(torch.backends.cuda.matmul, name, False)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if torch.cuda.is_available():
        os.environ.setdefault(*WORKSPACE)
        torch.use_deterministic_algorithms(True, warn_only=True)
        _fill_memory(False)
        # "Where they exist": what has no such kernel is run all the same.
        warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")


def found(numerics: Numerics) -> dict[str, Any]:
    """The `key` as PyTorch says that it computes now.

    Raises:
        OtherNumerics: its units do not agree, or with other numerics than these.
    """
    try:
        said = {unit: _get(unit) for unit in UNITS if unit.startswith("cud")}
        reduced = [n for n in REDUCED_SUMS if getattr(torch.backends.cuda.matmul, n, False)]
    except RuntimeError as error:
        raise OtherNumerics(f"PyTorch cannot say by which numerics it computes: {error}") from error
    other = [f"{unit} is {how}" for unit, how in said.items() if how != numerics.products]
    other += [f"cuda.matmul.{name} is on" for name in reduced]
    if torch.backends.cudnn.benchmark or not torch.backends.cudnn.deterministic:
        other.append("cudnn chooses kernels by speed")
    if other:
        raise OtherNumerics(
            f"the run asks for numerics {numerics.name!r}, but torch.backends.{other[0]}: the model's "
            "own code sets it while it runs; remove that from it"
        )
    return {**numerics.key, "tf32": "tf32" in said.values()}


def unchanged(numerics: Numerics) -> bool:
    """Whether PyTorch computes by these numerics now."""
    try:
        found(numerics)
    except OtherNumerics:
        return False
    return True


@contextmanager
def using(numerics: Numerics) -> Iterator[None]:
    """Within the block, networks run by these numerics; afterwards PyTorch is as it was."""
    restore = _kept()
    use(numerics)
    try:
        yield
    finally:
        restore()


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Within the block, products of float32 factors are of these, whatever networks run by."""
    with _multiplying(dict.fromkeys(UNITS, "ieee")), torch.autocast(device.type, enabled=False):
        yield


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """Within the block, factors of float32 products may be rounded to bfloat16 or TensorFloat-32.

    Sums are float32 all the same: where every factor is a bfloat16 number already, a product is as
    exact as any. Processors that have no such unit multiply as ever.
    """
    with _multiplying({"mkldnn.matmul": "bf16", "cuda.matmul": "tf32"}):
        yield


@contextmanager
def _multiplying(units: Mapping[str, str]) -> Iterator[None]:
    """Within the block, these units have these precisions, afterwards those that they had."""
    before = {unit: _get(unit) for unit in units}
    for unit, how in units.items():
        _set(unit, how)
    try:
        yield
    finally:
        for unit, how in before.items():
            _set(unit, how)


def _kept() -> Callable[[], None]:
    """What brings PyTorch back to what it computes by now."""
    units = {unit: _get(unit) for unit in UNITS}
    cublas = torch.backends.cuda.matmul
    sums = {name: getattr(cublas, name) for name in REDUCED_SUMS if hasattr(cublas, name)}
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    repeating = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]  # torch

    def restore() -> None:
        for unit, how in units.items():
            _set(unit, how)
        for name, value in sums.items():
            setattr(cublas, name, value)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.use_deterministic_algorithms(repeating, warn_only=warn_only)
        _fill_memory(filled)

    return restore


def _fill_memory(fill: bool) -> None:
    """Whether new tensors are filled where kernels repeat themselves, which costs time alone."""
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]  # torch


def _has_one_precision_each() -> bool:
    """Whether PyTorch has the newer interface: the older flags and these raise where both are used."""
    return hasattr(torch.backends.cuda.matmul, "fp32_precision")


def _get(unit: str) -> str:
    """The precision of a unit: `none` (the default), `ieee`, `tf32` or `bf16`."""
    library, operation = unit.split(".")
    if _has_one_precision_each():
        return str(getattr(getattr(torch.backends, library), operation).fp32_precision)
    if library == "cudnn":
        return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    # One word for matrix products anywhere: highest, high (TensorFloat-32) or medium (bfloat16).
    word = torch.get_float32_matmul_precision() if operation == "matmul" else "highest"
    if library == "cuda":
        return "ieee" if word == "highest" else "tf32"
    return "bf16" if word == "medium" else "ieee"


def _set(unit: str, how: str) -> None:
    library, operation = unit.split(".")
    if _has_one_precision_each():
        getattr(getattr(torch.backends, library), operation).fp32_precision = how
    elif library == "cudnn":
        torch.backends.cudnn.allow_tf32 = how == "tf32"
    elif unit == "mkldnn.matmul":
        torch.set_float32_matmul_precision("medium" if how == "bf16" else "highest")
    elif unit == "cuda.matmul" and (_get(unit) == "tf32") != (how == "tf32"):
        torch.set_float32_matmul_precision("high" if how == "tf32" else "highest")
