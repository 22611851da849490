"""The layers of a network that have a name: its blocks, the ends of its stages, timm's features.

A block is found by structure and flow alone, so that one rule serves every library: modules of one
kind that hold several products each (convolutions, linear layers) and of which one reads what
another returned. What holds nothing but such a chain is a stage, and its blocks are looked for
inside; a residual, transformer or Inception block holds no such chain.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from torch import nn
from torch.nn.modules import activation

from zoo_eval.networks.tracing import Trace

PLAIN = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
ACTIVATIONS = tuple(
    kind
    for name in activation.__all__
    if not issubclass(kind := getattr(activation, name), nn.MultiheadAttention)
)


def blocks(net: nn.Module, trace: Trace) -> tuple[str, ...]:
    """Names of every block of every stage, in network order.

    A cell of another kind between two blocks, or in one list with them, is a block too (the first
    block of EfficientNet, Inception's reductions); stems, downsampling between stages and heads are
    not. In networks without blocks (AlexNet, VGG): the activation functions but that which gives
    the pooled features. Empty if there is none of these.
    """
    for by_flow in (True, False):
        if found := _Blocks(net, trace, by_flow).inside(""):
            return tuple(found)
    return tuple(
        name
        for name, module in net.named_modules()
        if isinstance(module, ACTIVATIONS) and name in trace.shapes and not trace.is_pooled(name)
    )


def stages(found: Sequence[str], trace: Trace) -> list[list[str]]:
    """Blocks by stage: one ends where the shape of what the blocks return changes."""
    return [list(alike) for _, alike in groupby(found, key=trace.shapes.__getitem__)]


def feature_info(net: nn.Module, trace: Trace) -> tuple[str, ...]:
    """What timm chose as features, of a network or of a tower inside it, in network order.

    Empty where there is none, or where it cannot be captured whole.
    """
    for name, module in net.named_modules():
        info = getattr(module, "feature_info", None)
        if isinstance(info, list) and info:
            named = {_joined(name, entry["module"]) for entry in info}
            if all(layer in trace.shapes for layer in named):
                return tuple(n for n, _ in net.named_modules() if n in named)
    return ()


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The search for blocks, by what modules read, or by their kinds alone.

    The second is for networks whose stages have a block each.
    """

    net: nn.Module
    trace: Trace
    by_flow: bool

    def inside(self, path: str) -> list[str]:
        """Blocks inside a module, in network order."""
        parts = self._parts(path)
        if not parts:
            # A wrapper around a whole network holds nothing but that and its head.
            names = (
                _joined(path, name) for name, _ in self.net.get_submodule(path).named_children()
            )
            return [
                block
                for name in names
                if self.trace.holds_head(name)
                for block in self.inside(name)
            ]
        chained = self._chained(parts)
        if not chained:
            return [block for part in parts for block in self.inside(part)]
        first, *_, last = (i for i, part in enumerate(parts) if self._kind(part) in chained)
        lists = {_list_of(part, path) for part in parts[first : last + 1]}
        return [
            block
            for i, part in enumerate(parts)
            for block in (
                self._made_of(part)
                if first <= i <= last or _list_of(part, path) in lists - {""}
                else self.inside(part)
            )
        ]

    def _made_of(self, part: str) -> list[str]:
        """The block itself, or those inside where it is a stage, or cannot be captured."""
        if self._kind(part) not in self._stages and part in self.trace.shapes:
            return [part]
        return self.inside(part) or [one for one in self._parts(part) if one in self.trace.shapes]

    def _parts(self, path: str) -> list[str]:
        """The modules inside one that hold several products, looked for in plain lists too."""
        return list(self._composite(self.net.get_submodule(path), path))

    def _composite(self, module: nn.Module, path: str) -> Iterator[str]:
        for name, child in module.named_children():
            full = _joined(path, name)
            inner = list(self._composite(child, full)) if type(child) in PLAIN else []
            if inner:
                yield from inner
            elif self._is_composite(full, child):
                yield full

    def _is_composite(self, name: str, module: nn.Module) -> bool:
        products = (m for m in module.modules() if any(p.ndim > 1 for p in m.parameters(False)))
        ran = name in self.trace.returns
        return ran and not self.trace.holds_head(name) and sum(1 for _ in products) > 1

    def _chained(self, parts: Sequence[str]) -> set[type]:
        """Kinds of modules that come twice or more in a chain, each reading what another returned."""
        if not self.by_flow:
            kinds = Counter(map(self._kind, parts))
            return {kind for kind, n in kinds.items() if n > 1}
        chain = dict(zip(parts, range(len(parts)), strict=True))
        for i, part in enumerate(parts):
            for other in parts[:i]:
                if self.trace.returns[other] & self.trace.reads[part]:
                    old, new = chain[part], chain[other]
                    chain = {one: new if c == old else c for one, c in chain.items()}
        counts = Counter((self._kind(part), chain[part]) for part in parts)
        return {kind for (kind, _), n in counts.items() if n > 1}

    @cached_property
    def _stages(self) -> set[type]:
        """Kinds of modules of which one holds a list of nothing but chained modules."""
        found: set[type] = set()
        for name, module in self.net.named_modules() if self.by_flow else ():
            if type(module) in {*PLAIN, *found} or name not in self.trace.returns:
                continue
            if name in self.trace.adding:
                continue
            parts = self._parts(name)
            chained = self._chained(parts)
            lists = {part.rpartition(".")[0] for part in parts if self._kind(part) in chained}
            beside = {self._kind(part) for part in parts if part.rpartition(".")[0] in lists}
            if chained and beside <= chained:
                found.add(type(module))
        return found

    def _kind(self, name: str) -> type:
        return type(self.net.get_submodule(name))


def _list_of(part: str, path: str) -> str:
    """The plain list directly inside `path` that a part is in; empty for a child of `path`."""
    first, inner, _ = part[len(path) + 1 if path else 0 :].partition(".")
    return first if inner else ""


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
