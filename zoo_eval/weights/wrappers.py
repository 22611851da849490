"""Wrappers: under which key a checkpoint has the weights that are meant, beside all else that it holds."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from zoo_eval.errors import Refusal, nearest

# Where training code puts the weights as they were trained, the first that is there; the first two
# are timm's.
RAW = (
    "state_dict", "model", "model_state_dict", "model_state", "net", "network", "module", "params",
    "weights",
)  # fmt: skip
# Where it puts their moving average; the first two are timm's.
AVERAGED = (
    "state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema",
    "params_ema", "ema_params", "ema_weights", "net_ema", "network_ema", "teacher_ema",
)  # fmt: skip
# Of these nobody knows which of the two is meant.
PAIRED = ("teacher", "student", "target", "online")
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Chosen:
    """Tensors by name, and the key path in the file that they stand under ("" for the file itself).

    `plain` is the key path that would be taken without moving averages: where it is another one, the
    file holds both, and its digest alone does not tell which.
    """

    state: Mapping[str, Tensor]
    key: str
    plain: str
    is_said: bool = False

    @property
    def told(self) -> str | None:
        """The key, where somebody has to know it: it was said, or is of moving averages."""
        averaged = any(map(_is_averaged, self.key.split(".")))
        return self.key if self.is_said or averaged or self.key != self.plain else None


def chosen(content: Mapping[Any, Any], key: str | None) -> Chosen:
    """The weights of a checkpoint: those of a key path, or by default its moving averages.

    Args:
        content: what the file holds.
        key: keys joined by dots; the last may be a prefix of tensors' names.

    Raises:
        Refusal: nothing of that key, no named tensors, or several of which any may be meant; it says
            what there is.
    """
    if key is not None:
        state, path = _at(content, key)
        return Chosen(state, path, _plainly(content), is_said=True)
    default = _followed(content, averaged=True)
    if default is None:
        raise Refusal(
            f"it holds no named tensors, but {described(content)}; save the network's state_dict()"
        )
    return Chosen(_tensors(_inner(content, default)), default, _plainly(content))


def _plainly(content: Mapping[Any, Any]) -> str:
    """The key path without moving averages; "" where nobody can tell."""
    try:
        return _followed(content, averaged=False) or ""
    except Refusal:
        return ""


def described(content: Mapping[Any, Any]) -> str:
    """What a checkpoint holds, on one line: its keys, how many tensors under each, the first names."""
    groups = {str(key): _tensors(value) for key, value in content.items()}
    parts = [_counted(key, found) for key, found in groups.items() if found]
    own = _tensors(content)
    if own:
        parts.insert(0, _counted("", own))
    rest = [key for key, value in groups.items() if not value and not _is_tensor(content, key)]
    if rest:
        parts.append(_few(rest))
    return "; ".join(parts) or "nothing"


def _is_tensor(content: Mapping[Any, Any], key: str) -> bool:
    return isinstance(content.get(key), Tensor)


def _counted(key: str, found: Mapping[str, Tensor]) -> str:
    tensors = f"{len(found)} tensors ({_few(list(found))})"
    return f"{key!r}: {tensors}" if key else tensors


def _few(names: list[str]) -> str:
    more = ", ..." if len(names) > NAMED_AT_MOST else ""
    return ", ".join(map(str, names[:NAMED_AT_MOST])) + more


def _tensors(value: Any) -> dict[str, Tensor]:
    """The named tensors that stand directly in something."""
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _followed(content: Any, *, averaged: bool) -> str | None:
    """The key path to the weights, by rule; None where there are none.

    Raises:
        Refusal: several may be meant.
    """
    if not isinstance(content, Mapping):
        return None
    key = _next(content, averaged=averaged)
    if key is None:
        return "" if _tensors(content) else None
    rest = _followed(content[key], averaged=averaged)
    if rest is None:
        return None
    return f"{key}.{rest}" if rest else key


def _next(content: Mapping[Any, Any], *, averaged: bool) -> str | None:
    """The key that is opened; None where the tensors stand here."""
    holding = [key for key, value in content.items() if isinstance(key, str) and _holds(value)]
    means = [key for key in holding if _is_averaged(key)]
    if averaged:
        _refuse_unreadable(content)
        if means:
            return min(means, key=lambda key: _rank(key, AVERAGED))
    others = [key for key in holding if key not in means]
    if known := [key for key in RAW if key in others]:
        return known[0]
    if _tensors(content):
        return None
    # A file may hold nothing but its averages.
    others = others or means
    if len(others) > 1:
        raise Refusal(
            f"it holds weights under {_all(others)}, and any may be meant; write "
            f'weights_key = "{others[0]}", or another one'
        )
    return others[0] if others else None


def _rank(key: str, order: tuple[str, ...]) -> int:
    return order.index(key) if key in order else len(order)


def _all(keys: list[str]) -> str:
    return " and ".join(repr(key) for key in keys)


def _is_averaged(key: str) -> bool:
    return key in AVERAGED or "ema" in re.split(r"[_.\-]", key.lower())


def _holds(value: Any) -> bool:
    """Whether named tensors stand in something, or within it under a known key."""
    if not isinstance(value, Mapping):
        return False
    if _tensors(value):
        return True
    inside = (value[key] for key in value if key in (*RAW, *PAIRED) or _averaged_text(key))
    return any(map(_holds, inside))


def _averaged_text(key: Any) -> bool:
    return isinstance(key, str) and _is_averaged(key)


def _refuse_unreadable(content: Mapping[Any, Any]) -> None:
    """Moving averages are not passed over in silence where they have no names."""
    for key, value in content.items():
        if isinstance(value, Tensor) or not _averaged_text(key) or _holds(value):
            continue
        if next(_any_tensors(value), None) is not None:
            raw = next((one for one in RAW if _holds(content.get(one))), "KEY")
            raise Refusal(
                f"it holds moving averages under {key!r} that are no tensors by name; write "
                f'weights_key = "{raw}" to take the weights as they were trained'
            )


def _any_tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.ndim:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _any_tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _any_tensors(inner)


def _inner(content: Any, path: str) -> Any:
    """What stands under a key path; a key may itself hold dots."""
    if not path:
        return content
    if not isinstance(content, Mapping):
        return None
    for end in sorted((len(path), *(m.start() for m in re.finditer(r"\.", path))), reverse=True):
        if (key := path[:end]) in content:
            found = _inner(content[key], path[end + 1 :])
            if found is not None:
                return found
    return None


def _at(content: Mapping[Any, Any], path: str) -> tuple[dict[str, Tensor], str]:
    """The tensors under a key path, and the whole path to them."""
    found = _inner(content, path)
    if isinstance(found, Mapping):
        # What is named may be wrapped further: `teacher` with a `state_dict`.
        rest = _followed(found, averaged=False)
        if rest is not None:
            return _tensors(_inner(found, rest)), f"{path}.{rest}" if rest else path
    prefixed = _prefixed(content, path)
    if not prefixed:
        known = [str(key) for key in content if _holds(content[key])]
        advice = nearest(path, known) if known else "leave `weights_key` out"
        raise Refusal(
            f"it holds no weights under {path!r} (weights_key), but {described(content)}; {advice}"
        )
    return prefixed, path


def _prefixed(content: Mapping[Any, Any], path: str) -> dict[str, Tensor]:
    """Tensors whose names begin with what is left of a key path where its keys end."""
    ends = [m.start() for m in re.finditer(r"\.", path)]
    places = [("", path), *((path[:end], path[end + 1 :]) for end in ends)]
    for outer, prefix in places:
        found = _tensors(_inner(content, outer))
        within = {k.removeprefix(f"{prefix}."): v for k, v in found.items() if k.startswith(f"{prefix}.")}  # fmt: skip
        if within:
            return within
    return {}
