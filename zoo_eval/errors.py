"""The exceptions a user meets: each message is one line that ends with the next step."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from zoo_eval.privacy.addresses import in_text


class ZooEvalError(Exception):
    """Anything this package raises on purpose; what is secret in its message is not kept."""

    def __init__(self, *said: object) -> None:
        super().__init__(*(in_text(one) if isinstance(one, str) else one for one in said))


class BadInput(ZooEvalError):
    """The command, the sweep file or a path is wrong: nothing was run (exit code 2)."""


class WrongSweep(BadInput):
    """The sweep or the call is wrong itself, whatever its files hold: never one input's refusal."""


class Refusal(ZooEvalError):
    """One model, stimulus set or recording cannot be used: its trials are refused, the rest run."""


class Unreachable(Refusal):
    """A refusal for what may pass: a host that does not answer, or is too busy."""


class StoreError(ZooEvalError):
    """The store cannot take the rows; whatever was committed before stays committed."""


class Cancelled(ZooEvalError):
    """The sweep was asked to end; whatever was committed before stays committed."""


def nearest(name: str, known: Iterable[str], *, n: int = 3, by: Callable[[str], str] = str) -> str:
    """The known names closest to a mistyped one, as the tail of an error message.

    `by` gives what of a name is compared.
    """
    choices = list(known)
    compared = {by(one): one for one in reversed(choices)}
    if close := get_close_matches(by(name), compared, n=n, cutoff=0.5):
        return "nearest: " + ", ".join(compared[one] for one in close)
    return "known: " + ", ".join(choices[:12]) if choices else "none are known"


def refusal_of(error: BaseException, what: str) -> Refusal:
    """What one model, recording or map raised, as its own refusal: whatever it is, the rest runs."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ZooEvalError):
        return Refusal(str(error))
    return Refusal(f"{what} raised {one_line(error)}; correct it, or leave it out")


def one_line(error: BaseException) -> str:
    """An exception's message on one line, with its class where the message says too little."""
    text = as_line(str(error))
    return text if isinstance(error, ZooEvalError) else f"{type(error).__name__}: {text}"


def as_line(text: str) -> str:
    """A text on one line, its addresses as they may be shown."""
    return in_text(" ".join(text.split()))
