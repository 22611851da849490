"""Double backward: whether a network's gradient to its pixels has a gradient of its own.

The fused kernels of attention have none; the same attention written out has one.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zoo_eval.errors import Refusal, one_line

Attention = Literal["as_it_is", "written_out"]


@dataclass(frozen=True)
class DoubleBackward:
    """How a network is run so that it has one: `attention` says which kernels were switched off."""

    attention: Attention = "as_it_is"

    def running(self) -> AbstractContextManager[None]:
        """For the block, attention is computed by kernels that can be differentiated twice."""
        return sdpa_kernel(SDPBackend.MATH) if self.attention == "written_out" else nullcontext()


AS_IT_IS = DoubleBackward()


def of(net: nn.Module, pixels: Tensor) -> DoubleBackward:
    """The least that must be switched off for this network to be differentiable twice.

    Args:
        net: in the mode and on the device that it is trained in; its buffers are left as they were.
        pixels: what it is tried on (image, channel, row, column).

    Raises:
        Refusal: there is no double backward whatever is switched off; the first layer without is named.
    """
    error: RuntimeError | None = None
    for tried in (AS_IT_IS, DoubleBackward("written_out")):
        try:
            with _untouched(net), tried.running():
                _twice(net, pixels)
        except RuntimeError as found:
            error = found
        else:
            return tried
    assert error is not None
    layer = _first_without(net, pixels)
    raise Refusal(
        f"the network has no double backward at {layer} ({one_line(error)}); replace that layer by one "
        "made of ordinary operations, or train with lambda = 0"
    )


def _twice(net: nn.Module, pixels: Tensor) -> None:
    shown = pixels.detach().clone().requires_grad_()
    made = net(shown)
    (gradient,) = torch.autograd.grad(made.square().sum(), shown, create_graph=True)
    # Its square, not its sum: of what is linear that would have no gradient. To every leaf, as in
    # training: what is asked for some alone passes over steps that would fail.
    torch.autograd.backward(gradient.square().sum())


@contextmanager
def _untouched(net: nn.Module) -> Iterator[None]:
    """Keeps the running statistics of batch norms, which a network in training mode changes."""
    before = [one.clone() for one in net.buffers()]
    try:
        yield
    finally:
        net.zero_grad()
        with torch.no_grad():
            for buffer, one in zip(net.buffers(), before, strict=True):
                buffer.copy_(one)


def _first_without(net: nn.Module, pixels: Tensor) -> str:
    """The first of the innermost modules, in the order in which they run, that fails alone."""
    seen: dict[str, tuple[nn.Module, Tensor]] = {}
    leaves = {name: one for name, one in net.named_modules() if not list(one.children())}

    def remember(name: str, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if name not in seen and len(given) == 1 and isinstance(given[0], Tensor):
            seen[name] = module, given[0].detach()

    hooks = [
        one.register_forward_pre_hook(
            lambda module, given, name=name: remember(name, module, given)
        )
        for name, one in leaves.items()
    ]
    try:
        with _untouched(net), torch.no_grad():
            net(pixels)
            for hook in hooks:
                hook.remove()
        for name, (module, given) in seen.items():
            if given.is_floating_point() and _fails(module, given):
                return f"layer {name!r} ({type(module).__name__})"
    finally:
        for hook in hooks:
            hook.remove()
    return "a step between its layers"


def _fails(module: nn.Module, given: Tensor) -> bool:
    shown = given.clone().requires_grad_()
    try:
        with _untouched(module), sdpa_kernel(SDPBackend.MATH):
            (gradient,) = torch.autograd.grad(
                module(shown).square().sum(), shown, create_graph=True, allow_unused=True
            )
            if gradient is not None and gradient.requires_grad:
                torch.autograd.backward(gradient.square().sum())
    except RuntimeError:
        return True
    return False
