"""Tracing: what a network's modules read and return, from one run on two images of no content."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from zoo_eval.errors import Refusal, one_line
from zoo_eval.networks.activations import one_per_image, tensors, vector_per_image
from zoo_eval.networks.anatomy import POOLED, Pooled, Size, pixels_text

# More than one, so that a row per image can be told from one for all.
N_PROBED = 2


@dataclass
class Trace:
    """What passed by, by module; of one that runs several times, the last time.

    `shapes` (image, ...), in network order, of what is one tensor with a row per image. `reads`
    and `returns`: identities of the tensors that went in and came out. `adding`: modules that
    changed in place what one inside them had returned, as a residual sum does.
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    reads: dict[str, frozenset[int]] = field(default_factory=dict)
    returns: dict[str, frozenset[int]] = field(default_factory=dict)
    adding: set[str] = field(default_factory=set)
    pooled: Pooled | None = None

    @property
    def captured(self) -> dict[str, tuple[int, ...]]:
        """Shapes (image, ...) of every layer but the logits: modules, then the pooled features."""
        if self.pooled is None:
            return self.shapes
        return {**self.shapes, POOLED: (N_PROBED, self.pooled.n_features)}

    def holds_head(self, name: str) -> bool:
        """Whether a module holds the classifier, or is it."""
        pooled = self.pooled
        if pooled is None or pooled.end == "output":
            return False
        return f"{pooled.module}.".startswith(f"{name}.")

    def is_pooled(self, name: str) -> bool:
        """Whether the very tensor that a module returns is what the classifier reads."""
        pooled = self.pooled
        if pooled is None or pooled.end == "output":
            return False
        return bool(self.returns[name] & self.reads[pooled.module])


def trace(net: nn.Module, size: Size) -> Trace:
    """Runs a network in evaluation mode once.

    Raises:
        Refusal: the network does not run on that input size.
    """
    tracer = _Tracer()
    modules = [(name, module) for name, module in net.named_modules() if name]
    handles = [
        module.register_forward_hook(tracer.noting(name), with_kwargs=True)
        for name, module in modules
    ]
    device = next(net.parameters(), torch.empty(0)).device
    try:
        with torch.no_grad():
            logits = net(torch.zeros(N_PROBED, 3, *size, device=device))
    except Exception as error:
        raise does_not_run(net, size, error) from error
    finally:
        for handle in handles:
            handle.remove()
    found = tracer.found
    found.shapes = {name: found.shapes[name] for name, _ in modules if name in found.shapes}
    found.pooled = tracer.pooled(net, logits)
    return found


def does_not_run(net: nn.Module, size: Size, error: Exception) -> Refusal:
    """What is said of a network that raises on float32 pixels of that size."""
    said = f"it does not run on {pixels_text(size)} px ({one_line(error)})"
    dtypes = {p.dtype for p in net.parameters() if p.is_floating_point()} - {torch.float32}
    if not dtypes:
        return Refusal(said)
    held = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
    return Refusal(
        f"{said}; it gets float32 pixels, but has parameters in {held}: give net.float(), and choose "
        "a precision by `numerics`"
    )


@dataclass(frozen=True)
class _Weighted:
    """A module with weights that ran: the features that it read and returned, 0 if not a vector."""

    name: str
    n_read: int
    n_returned: int
    is_product: bool
    storages: frozenset[int]


@dataclass
class _Tracer:
    """A trace in the making."""

    found: Trace = field(default_factory=Trace)
    weighted: list[_Weighted] = field(default_factory=list)
    vectors: dict[str, int] = field(default_factory=dict)
    # As long as a tensor is kept, no other has its identity.
    kept: list[Tensor] = field(default_factory=list)
    # By identity: who returned a tensor last, and how often it had been changed by then.
    versions: dict[int, tuple[str, int]] = field(default_factory=dict)

    def noting(self, name: str) -> Callable[[nn.Module, Any, Any, Any], None]:
        def hook(module: nn.Module, given: Any, named: Any, output: Any) -> None:
            if (alone := one_per_image(output, N_PROBED)) is not None:
                self.found.shapes[name] = tuple(alone.shape)
            self.found.reads[name] = self._identities((given, named))
            self.found.returns[name] = self._identities(output)
            for one in tensors(output):
                inner, version = self.versions.get(id(one), ("", 0))
                if inner.startswith(f"{name}.") and one._version > version:
                    self.found.adding.add(name)
                self.versions[id(one)] = name, one._version
            self.vectors[name] = _n_features(output)
            if next(module.parameters(), None) is not None and not any(module.children()):
                product = isinstance(module, nn.Linear | nn.Conv2d)
                sizes = _n_features(given), self.vectors[name]
                self.weighted.append(_Weighted(name, *sizes, product, _storages(output)))

        return hook

    def _identities(self, value: Any) -> frozenset[int]:
        passed = list(tensors(value))
        self.kept += passed
        return frozenset(map(id, passed))

    def pooled(self, net: nn.Module, logits: Any) -> Pooled | None:
        """What the classifier reads, where that is a vector per image.

        The classifier is the last product, whose outputs are the logits; where the network says how
        many classes it has, these may be made of them (two heads' mean). A zero-shot head reads what
        its tower returns; a network without a head returns it.
        """
        n_classes = _n_features(logits)
        if getattr(net, "num_classes", None) == 0:
            return Pooled("", "output", n_classes) if n_classes else None
        if getattr(net, "zero_shot", False):
            tower = [name for name, _ in net.named_children() if self.vectors.get(name)][-1]
            return Pooled(tower, "output", self.vectors[tower])
        says_so = getattr(net, "num_classes", None) == n_classes
        for one in reversed(self.weighted):
            if not one.is_product:
                break
            are_logits = says_so or bool(one.storages & _storages(logits))
            if one.n_read and one.n_returned == n_classes and are_logits:
                return Pooled(one.name, "input", one.n_read)
        return None


def _n_features(value: Any) -> int:
    """The length of the vector per image in what a module reads or returns; 0 if it is none."""
    vector = vector_per_image(value, N_PROBED)
    return 0 if vector is None else vector.shape[1]


def _storages(value: Any) -> frozenset[int]:
    return frozenset(one.untyped_storage()._cdata for one in tensors(value))
