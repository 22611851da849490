"""Measuring an anatomy: a network runs once, on the meta device, where tensors have only shapes."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from zoo_eval.errors import Refusal
from zoo_eval.networks.anatomy import Anatomy, Size
from zoo_eval.networks.blocks import blocks, feature_info, stages
from zoo_eval.networks.runs import Layer
from zoo_eval.networks.tracing import Trace, does_not_run, trace


def position(layer: str, modules: Sequence[str]) -> int:
    """The position of a layer's last module among the network's modules, in network order."""
    return max(i for i, m in enumerate(modules) if m == layer or m.startswith(layer + "."))


def module_names(net: nn.Module) -> tuple[str, ...]:
    """Names of a network's modules, itself left out, in network order."""
    return tuple(name for name, _ in net.named_modules() if name)


def measure(net: nn.Module, size: Size) -> Anatomy:
    """The anatomy of a network in evaluation mode, which runs once, on one image.

    Raises:
        Refusal: it does not run on that input size, returns no logits (image, class), or what it
            makes of an image depends on the others in its batch.
    """
    _check_alone(net)
    traced = trace(net, size)
    logits, flops, activation_bytes = _traced(net.requires_grad_(False), size)
    known = getattr(net, "num_classes", None)
    return Anatomy(
        n_params=sum(p.numel() for p in net.parameters()),
        n_classes=known if isinstance(known, int) else logits.shape[1],
        zero_shot=bool(getattr(net, "zero_shot", False)),
        flops=flops,
        activation_bytes=activation_bytes,
        n_modules=len(module_names(net)),
        **layers_of(net, traced),
    )


def _check_alone(net: nn.Module) -> None:
    """Refuses a network that normalises by the batch even when it evaluates."""
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise Refusal(
                f"module {name!r} has no running statistics, and so normalises each image by its batch: "
                "every number would depend on the batch size; build it with track_running_stats=True"
            )


def layers_of(net: nn.Module, traced: Trace) -> dict[str, Any]:
    """The anatomy's facts about layers."""
    modules = module_names(net)

    def layers(names: Iterable[str]) -> tuple[Layer, ...]:
        return tuple(
            Layer(name, position(name, modules), prod(traced.shapes[name][1:])) for name in names
        )

    return {
        "n_captured": len(traced.shapes),
        "stages": tuple(map(layers, stages(blocks(net, traced), traced))),
        "feature_info": layers(feature_info(net, traced)),
        "pooled": traced.pooled,
    }


def _traced(net: nn.Module, size: Size) -> tuple[Tensor, int, int]:
    """Logits (1, class), FLOPs, and bytes kept for the backward pass, of one image."""
    tensors = [*net.parameters(), *net.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    pixels = torch.zeros(1, 3, *size, device=device, requires_grad=True)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    try:
        # With gradients: fused inference kernels would hide what is multiplied.
        with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda t: t):
            # A copy: a network may work in place on what it is given.
            logits = net(pixels.clone())
    except Exception as error:
        raise does_not_run(net, size, error) from error
    # A network without a head may return what it likes: nobody takes it for classes.
    headless = getattr(net, "num_classes", None) == 0
    if not isinstance(logits, Tensor) or (logits.ndim != 2 and not headless):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise Refusal(f"it returns {shape}, not logits (image, class)")
    own = {tensor.untyped_storage()._cdata for tensor in tensors}
    storages = {s._cdata: s for s in (tensor.untyped_storage() for tensor in kept)}
    n_bytes = sum(s.nbytes() for place, s in storages.items() if place not in own)
    return logits, counter.get_total_flops(), n_bytes
