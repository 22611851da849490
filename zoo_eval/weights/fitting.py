"""Fitting: a checkpoint's tensors under a network's names, or what does not fit, name by name."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo_eval.errors import Refusal
from zoo_eval.weights import key_mappings
from zoo_eval.weights.wrappers import Chosen

State = Mapping[str, Tensor]
# What wraps a network puts before all its names: DataParallel, torch.compile, Lightning modules.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
# How many batches normalisation has seen in training; nothing that is evaluated reads it.
COUNTER = "num_batches_tracked"
# How many weights torch's AveragedModel has averaged.
AVERAGED = "n_averaged"
NAMED_AT_MOST = 3


def fitted(
    found: Chosen,
    net: nn.Module,
    path: Path,
    keys: key_mappings.Keys = None,
    ignore: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The tensors of a network (which may be on the meta device), all of them and no others.

    Counters of batches that are absent are 0. Tensors that the network does not have are left out
    where a pattern of `ignore` names them.

    Raises:
        Refusal: the first missing, unexpected or misshapen tensors are named; or some hold
            integers in place of weights.
    """
    wanted = net.state_dict()
    state = key_mappings.apply(dict(found.state), keys, net)
    if keys is None:
        state = unprefixed(state, wanted)
    counters = {
        name: torch.zeros((), dtype=torch.int64)
        for name in wanted
        if name.rpartition(".")[2] == COUNTER and name not in state
    }
    state = {**state, **counters}
    extra = [name for name in state if name not in wanted]
    unexpected = [
        name for name in extra if not any(name == one or fnmatchcase(name, one) for one in ignore)
    ]
    _refuse_misfits(state, wanted, unexpected, path, found)
    state = {name: state[name] for name in wanted}
    _refuse_types(state, wanted, path)
    return state


def unprefixed(state: State, wanted: State) -> dict[str, Tensor]:
    """The same names without a prefix that all of them share and none of the network's has."""
    if AVERAGED in state and all(k.startswith("module.") for k in state if k != AVERAGED):
        state = {name: tensor for name, tensor in state.items() if name != AVERAGED}
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if (
                state
                and all(name.startswith(prefix) for name in state)
                and not any(name.startswith(prefix) for name in wanted)
            ):
                state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return dict(state)


def _refuse_misfits(
    state: State, wanted: State, unexpected: Sequence[str], path: Path, found: Chosen
) -> None:
    missing = [name for name in wanted if name not in state]
    shapes = [k for k in wanted if k in state and wanted[k].shape != state[k].shape]
    if not (missing or unexpected or shapes):
        return
    kinds = (("missing", missing), ("unexpected", unexpected), ("misshapen", shapes))
    parts = [f"{len(names)} {word} ({_first(names)})" for word, names in kinds if names]
    where = f"its {len(found.state)} tensors under {found.key!r}" if found.key else "it"
    if not (missing or shapes):
        advice = f'ignore = ["{unexpected[0]}", ...] leaves them out (patterns may be written)'
    else:
        advice = "set `keys` or correct `architecture`"
    raise Refusal(
        f"checkpoint {path} does not fit the architecture: {where} has {', '.join(parts)}; {advice}"
    )


def _first(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > NAMED_AT_MOST else ""
    return f"first: {', '.join(names[:NAMED_AT_MOST])}{more}"


def _refuse_types(state: State, wanted: State, path: Path) -> None:
    """Refuses tensors that cannot be weights by what they are stored as.

    NaN are not asked for: layers before them are fine, and those after them are refused by name.
    """
    for name, tensor in state.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if tensor.is_quantized or tensor.layout != torch.strided:
            raise Refusal(
                f"checkpoint {path}: {name} is {_stored(tensor)}, no plain tensor; save the network's "
                "float weights"
            )
        if not wanted[name].is_floating_point():
            continue
        if not tensor.is_floating_point():
            raise Refusal(
                f"checkpoint {path}: {name} holds {kind}, as a quantised network does, where the "
                "architecture has float weights; save the float weights"
            )


def _stored(tensor: Tensor) -> str:
    return "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
