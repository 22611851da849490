"""Live models: networks that exist as objects, with the transform by which images become their input."""

import copy
import re
from dataclasses import dataclass
from typing import Any

from torch import nn

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, one_line
from zoo_eval.notebook import identity as identities
from zoo_eval.sources.live import PREFIX, Live, Snapshot
from zoo_eval.sweep.cards import LOCAL
from zoo_eval.transforms import Transform

# What the column `source` of the table `models` says of them.
SOURCE, UNTOLD = "live", "live_untold"
EXAMPLE = (
    'Transform(input_px=224, resize_px=256, interpolation="bicubic", '
    "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))"
)


@dataclass(frozen=True, eq=False)
class LiveModel:
    """A network and its transform, not taken yet: a run takes it as it is when the run begins."""

    net: nn.Module
    transform: Transform
    name: str

    def __repr__(self) -> str:
        return f"<{LOCAL}{self.name}: {type(self.net).__name__}, {self.transform}>"

    def taken(self) -> "Taken":
        """The network as it is now, copied; itself, its mode and its gradients stay untouched.

        Raises:
            BadInput: it has hooks, is compiled, lacks values, or cannot be copied.
        """
        try:
            found = identities.identity(self.net)
        except BadInput as error:
            raise BadInput(f"model {self.name!r}: {error}") from error
        card = ModelCard(
            name=LOCAL + self.name,
            source=UNTOLD if found.untold else SOURCE,
            architecture=PREFIX + found.digest,
            transform=self.transform,
            family=type(self.net).__name__,
            live=Live(found.digest),
        )
        return Taken(card, found, Snapshot(self._copied(), card.family))

    def _copied(self) -> nn.Module:
        # Whatever the parts of a network raise while they are copied is its own fault.
        try:
            net = copy.deepcopy(self.net)
        except Exception as error:
            raise BadInput(
                f"model {self.name!r} cannot be copied ({one_line(error)}), and a run changes nothing "
                "that it is given; leave out of the module what is no part of the network"
            ) from error
        for parameter in net.parameters():
            parameter.grad = None
        return net.cpu().eval().requires_grad_(False)


@dataclass(frozen=True, eq=False)
class Taken:
    """A live model's card, its identity, and its network as it was taken."""

    card: ModelCard
    identity: identities.Identity
    snapshot: Snapshot

    @property
    def warning(self) -> str | None:
        """What to know of it, on one line; None where its identity is whole."""
        if not self.identity.untold:
            return None
        return (
            f"{self.card.name}: {self.identity.untold[0]}, so it cannot be told from another: it runs "
            f"again each time, and its source in the table `models` is {UNTOLD}; define it in a "
            "notebook cell or a file"
        )


def model(net: nn.Module, transform: Transform | None = None, name: str | None = None) -> LiveModel:
    """An own network, to be given to `zoo_eval.run(models=[...])` as `local/NAME`.

    It is taken when a run begins, as it is then: in evaluation mode, without gradients, a copy. Its
    identity covers its parameters and buffers, the text of its own classes and of what they use, and
    what the classes of packages were made with; only trials of an identity that the store does not
    have are run.

    Args:
        net: a `torch.nn.Module` from normalised pixels float32 (image, RGB, row, column) to logits
            (image, class).
        transform: a `zoo_eval.Transform`: resize, crop and normalisation, from pixels in [0, 1].
        name: by which tables call it, after `local/`; the name of its class where left out.

    Raises:
        BadInput: no module, no transform, or a name that is a pattern.
    """
    if not isinstance(net, nn.Module):
        raise BadInput(_no_module(net))
    called = type(net).__name__ if name is None else name
    if not isinstance(transform, Transform):
        raise BadInput(_no_transform(called, transform))
    if not re.fullmatch(r"[^\s*?\[\]/]+", called):
        raise BadInput(
            f"model name {called!r}: spaces, slashes, * ? [ ] have a meaning; leave them out"
        )
    return LiveModel(net, transform, called)


def _no_module(thing: Any) -> str:
    if callable(thing):
        name = getattr(thing, "__name__", "net")
        return (
            f"{name} is a {type(thing).__name__}, not a network: call it, "
            f'zoo_eval.model({name}(), transform, name="{name}")'
        )
    return f"expected a torch.nn.Module, got a {type(thing).__name__}; give the network itself"


def _no_transform(name: str, given: Any) -> str:
    """One line that shows how to write a transform, with the numbers of a given one where it has them."""
    if given is None:
        what = f"model {name!r} has no transform, so nobody knows what its input is"
    else:
        what = f"model {name!r}: a {type(given).__name__} is no Transform, and rounds as PIL does"
    return f"{what}; write zoo_eval.model(net, zoo_eval.{_suggestion(given)})"


def _suggestion(given: Any) -> str:
    """A Transform of the same sizes and colours as a torchvision preset, or as its steps."""
    steps = [given, *getattr(given, "transforms", ())]

    def said(*names: str) -> Any:
        found = (getattr(step, name, None) for name in names for step in steps)
        return next((value for value in found if value is not None), None)

    resize, crop = said("resize_size"), said("crop_size")
    for step in steps:
        kind = type(step).__name__
        resize = step.size if kind == "Resize" else resize
        crop = step.size if kind == "CenterCrop" else crop
    numbers = [_side(crop or resize), _side(resize or crop), said("mean"), said("std")]
    if any(number is None for number in numbers):
        return EXAMPLE
    input_px, resize_px, mean, std = numbers
    how = getattr(said("interpolation"), "value", "bilinear")
    return (
        f'Transform(input_px={input_px}, resize_px={resize_px}, interpolation="{how}", '
        f"mean={tuple(mean)}, std={tuple(std)})"
    )


def _side(size: Any) -> int | None:
    sides = {size} if isinstance(size, int) else set(size or ())
    return sides.pop() if len(sides) == 1 else None
