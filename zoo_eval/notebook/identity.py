"""The identity of a live module: its tensors, the text of own code, and what the rest was made with.

Two modules of one identity give the same numbers. Where something that may change the numbers cannot
be told, such as code without its text, the identity is a new one each time.
"""

import enum
import functools
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor, nn

from zoo_eval.digests import bytes_digest, canonical_json, digest, file_digest
from zoo_eval.errors import BadInput
from zoo_eval.notebook import own_code

PLAIN = (
    *(type(None), bool, int, str, bytes, complex, range, slice, re.Pattern, PurePath),
    *(torch.dtype, torch.device),
)
NAMED = (type, FunctionType, BuiltinFunctionType, ModuleType)
# What every module has, told otherwise or without bearing on its numbers in evaluation mode.
OF_EVERY_MODULE = frozenset(vars(nn.Module())) | {"__annotations__"}
OF_EVERY_CLASS = frozenset(
    {"__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__annotate_func__"}
    | {"__annotations_cache__", "__firstlineno__", "__static_attributes__", "__orig_bases__"}
    | {"__parameters__", "__abstractmethods__", "_abc_impl", "__dataclass_fields__"}
    | {"__dataclass_params__", "__match_args__"}
)
HOOKS = tuple(name for name in vars(nn.Module()) if name.endswith("_hooks"))
GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")


@dataclass(frozen=True)
class Identity:
    """The digest of a module, and why it is a new one each time; empty where it is not."""

    digest: str
    untold: tuple[str, ...] = ()


def identity(net: nn.Module) -> Identity:
    """What a module is: equal for modules that give the same numbers, now and in other processes.

    Raises:
        BadInput: it has hooks or is compiled, or a tensor of it has no values.
    """
    described: dict[str, Any] = {"tensors": _tensors_digest(net)}
    _refuse_hooks(net)
    reader = _Description()
    described["modules"] = reader.module(net)
    untold = tuple(dict.fromkeys(reader.untold))
    if untold:
        described["fresh"] = uuid4().hex
    return Identity(digest(described), untold)


def _refuse_hooks(net: nn.Module) -> None:
    if hasattr(net, "_orig_mod") or isinstance(net, torch.jit.ScriptModule):
        raise BadInput(
            f"{type(net).__name__} is compiled, and its own code cannot be told; give the module "
            "that it was compiled from"
        )
    for name, module in net.named_modules():
        if any(getattr(module, hooks, None) for hooks in HOOKS):
            raise BadInput(
                f"module {name or type(net).__name__!r} has hooks, which no identity covers; remove "
                "them (handle.remove()), or do in its forward what they do"
            )
    for hooks in GLOBAL_HOOKS:
        if getattr(nn.modules.module, hooks, None):
            raise BadInput(
                "a hook is registered for all modules of this process, which no identity covers; "
                "remove it (handle.remove())"
            )


def _tensors_digest(net: nn.Module) -> str:
    """The digest of all parameters and buffers, those that no checkpoint keeps too."""
    parts: list[bytes | memoryview] = []
    named: Iterable[tuple[str, Tensor]] = [
        *net.named_parameters(remove_duplicate=False),
        *net.named_buffers(remove_duplicate=False),
    ]
    for name, tensor in named:
        parts.append(canonical_json([name, str(tensor.dtype), _shape(name, tensor)]).encode())
        parts.append(_bytes(tensor))
    return bytes_digest(parts)


def _shape(name: str, tensor: Tensor) -> list[int]:
    if nn.parameter.is_lazy(tensor) or tensor.is_meta:
        raise BadInput(
            f"tensor {name!r} has no values yet; run the module once, or load its weights"
        )
    return list(tensor.shape)


def _bytes(tensor: Tensor) -> memoryview:
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return dense.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


@dataclass
class _Description:
    """A description in the making, of plain values only; what cannot be told is in `untold`."""

    untold: list[str] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    # What was seen stays alive, so that no other thing gets its place in memory.
    kept: list[Any] = field(default_factory=list)

    def module(self, net: nn.Module) -> Any:
        """A module, its attributes and its children."""
        return self._once(net, lambda: self._module(net))

    def _module(self, net: nn.Module) -> Any:
        found = {
            "class": self._class(type(net)),
            "made_with": net.extra_repr(),
            "attributes": self._attributes(net, OF_EVERY_MODULE),
            "children": [[name, self.module(child)] for name, child in _children(net)],
        }
        if isinstance(net, torch.fx.GraphModule):
            # Its class is made anew for its code.
            found["code"] = net.code
        return found

    def _once(self, thing: Any, describe: Any) -> Any:
        """The description, or where it stands already: things may hold each other in a round."""
        if id(thing) in self.seen:
            return ["seen", self.seen[id(thing)]]
        self.seen[id(thing)] = len(self.seen)
        self.kept.append(thing)
        return describe()

    def value(self, value: Any, where: str) -> Any:
        """Anything that an attribute, a global or a closure may hold."""
        if isinstance(value, float | np.floating | np.integer | np.bool_):
            return ["number", type(value).__name__, repr(value)]
        if isinstance(value, enum.Enum):
            return ["member", type(value).__qualname__, value.name, self.value(value.value, where)]
        if isinstance(value, PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, tuple):
            # Whether two equal ones are the same is up to Python.
            return [type(value).__name__, [self.value(one, where) for one in value]]
        return self._once(value, lambda: self._held(value, where))

    def _held(self, value: Any, where: str) -> Any:
        if isinstance(value, Tensor):
            return ["tensor", str(value.dtype), _shape(where, value), bytes_digest([_bytes(value)])]
        if isinstance(value, np.ndarray) and value.dtype != object:
            content = bytes_digest([np.ascontiguousarray(value).tobytes()])
            return ["array", str(value.dtype), list(value.shape), content]
        if isinstance(value, nn.Module):
            # No child, so its tensors are not among those of the whole.
            return [self._module(value), _tensors_digest(value)]
        if isinstance(value, Mapping):
            pairs = [[self.value(k, where), self.value(v, where)] for k, v in value.items()]
            return [type(value).__name__, pairs]
        if isinstance(value, list):
            return [type(value).__name__, [self.value(one, where) for one in value]]
        if isinstance(value, set | frozenset):
            return [
                type(value).__name__,
                sorted(canonical_json(self.value(v, where)) for v in value),
            ]
        return self._code(value, where) if _is_code(value) else self._object(value, where)

    def _code(self, value: Any, where: str) -> Any:
        if isinstance(value, type):
            return self._class_itself(value)
        if isinstance(value, ModuleType):
            return self._python_module(value)
        if isinstance(value, MethodType):
            of = self.value(value.__self__, where)
            return ["method", self.value(value.__func__, where), of]
        if isinstance(value, staticmethod | classmethod):
            return [type(value).__name__, self.value(value.__func__, where)]
        if isinstance(value, property):
            parts = (value.fget, value.fset, value.fdel)
            return ["property", [self.value(part, where) for part in parts]]
        if isinstance(value, functools.partial):
            given = (value.func, value.args, value.keywords)
            return ["partial", [self.value(part, where) for part in given]]
        return self._function(value)

    def _function(self, function: Any) -> Any:
        name = f"{function.__module__}.{function.__qualname__}"
        if not isinstance(function, FunctionType) or not own_code.is_own(function.__module__):
            return ["function", name]
        text = own_code.text_of(function)
        if text is None:
            self.untold.append(f"{function.__qualname__} has no source")
        used = own_code.names_used(function)
        return [
            "function",
            text,
            [[key, self.value(value, key)] for key, value in used.items()],
            [self.value(cell, name) for cell in _cells(function)],
            self.value(function.__defaults__, name),
            self.value(function.__kwdefaults__, name),
        ]

    def _python_module(self, module: ModuleType) -> Any:
        if not own_code.is_own(module.__name__):
            return ["module", module.__name__]
        files = own_code.files_of(module)
        if files is None:
            self.untold.append(f"module {module.__name__} has no file")
        return ["module", [file_digest(file) for file in files or ()]]

    def _class(self, of: type) -> Any:
        return self._once(of, lambda: self._class_itself(of))

    def _class_itself(self, of: type) -> Any:
        """A class by its name; an own one by all that stands in it, and by its bases."""
        own = own_code.is_own(of.__module__)
        described = [
            [name, self.value(value, f"{of.__qualname__}.{name}")]
            for name, value in sorted(vars(of).items())
            if (own and name not in OF_EVERY_CLASS and not _is_generated(of, value))
            # An own function in a class of a package was put there.
            or (not own and isinstance(value, FunctionType) and own_code.is_own(value.__module__))
        ]
        name = of.__qualname__ if own else f"{of.__module__}.{of.__qualname__}"
        return ["class", name, described, [self._class(base) for base in of.__bases__]]

    def _object(self, value: Any, where: str) -> Any:
        """Any other object, by its class and attributes."""
        slots = [name for of in type(value).__mro__ for name in _slots(of)]
        has_attributes = hasattr(value, "__dict__") or slots
        if not has_attributes or _has_more_than_attributes(value):
            self.untold.append(f"{where} is a {type(value).__name__}")
            return ["untold", type(value).__qualname__]
        held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        attributes = [[k, self.value(v, where)] for k, v in sorted(held.items())]
        return [self._class(type(value)), attributes, self._attributes(value, frozenset())]

    def _attributes(self, thing: Any, left_out: frozenset[str]) -> Any:
        held = vars(thing) if hasattr(thing, "__dict__") else {}
        name = type(thing).__name__
        return [
            [key, self.value(value, f"{name}.{key}")]
            for key, value in sorted(held.items())
            if key not in left_out
        ]


def _children(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    # `named_children` leaves out the second name of a module that has two.
    return ((name, child) for name, child in net._modules.items() if child is not None)


def _has_more_than_attributes(value: Any) -> bool:
    """Whether its class has a way of its own to be pickled, as those of C have."""
    ways = ("__reduce__", "__reduce_ex__")
    return any(getattr(type(value), way) is not getattr(object, way) for way in ways)


def _slots(of: type) -> Sequence[str]:
    slots = vars(of).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_code(value: Any) -> bool:
    wrapped = (staticmethod, classmethod, property, functools.partial, MethodType)
    return isinstance(value, (*NAMED, *wrapped)) or inspect.isroutine(value)


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            # Not filled yet.
            yield None


def _is_generated(of: type, value: Any) -> bool:
    """Whether a method was written by `dataclass`, from fields that the class's own text states."""
    code = getattr(inspect.unwrap(value), "__code__", None) if callable(value) else None
    return is_dataclass(of) and isinstance(code, CodeType) and code.co_filename == "<string>"
