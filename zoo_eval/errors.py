"""The exceptions a user meets: each message is one line that ends with the next step."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches


class ZooEvalError(Exception):
    """Anything this package raises on purpose."""


class BadInput(ZooEvalError):
    """The command, the sweep file or a path is wrong: nothing was run (exit code 2)."""


class Refusal(ZooEvalError):
    """One model, stimulus set or recording cannot be used: its trials are refused, the rest run."""


class StoreError(ZooEvalError):
    """The store cannot take the rows; whatever was committed before stays committed."""


def nearest(name: str, known: Iterable[str], *, n: int = 3, by: Callable[[str], str] = str) -> str:
    """The known names closest to a mistyped one, as the tail of an error message.

    `by` gives what of a name is compared.
    """
    choices = list(known)
    compared = {by(one): one for one in reversed(choices)}
    if close := get_close_matches(by(name), compared, n=n, cutoff=0.5):
        return "nearest: " + ", ".join(compared[one] for one in close)
    return "known: " + ", ".join(choices[:12]) if choices else "none are known"


def one_line(error: BaseException) -> str:
    """An exception's message on one line, with its class where the message says too little."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ZooEvalError) else f"{type(error).__name__}: {text}"
