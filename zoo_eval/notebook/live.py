"""Live models: networks that exist as objects, with the transform by which images become their input."""

import copy
import re
from dataclasses import dataclass
from typing import Any

from torch import nn

from zoo_eval import pipelines
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


def model(net: nn.Module, transform: Transform | Any = None, name: str | None = None) -> LiveModel:
    """An own network, to be given to `zoo_eval.run(models=[...])` as `local/NAME`.

    It is taken when a run begins, as it is then: in evaluation mode, without gradients, a copy. Its
    identity covers its parameters and buffers, the text of its own classes and of what they use, and
    what the classes of packages were made with; only trials of an identity that the store does not
    have are run.

    Args:
        net: a `torch.nn.Module` from normalised pixels float32 (image, RGB, row, column) to logits
            (image, class).
        transform: a `zoo_eval.Transform`: resize, crop and normalisation; or the same as written for
            torchvision, timm or open_clip (`weights.transforms()`, a `Compose`), of which every bit
            is kept.
        name: by which tables call it, after `local/`; the name of its class where left out.

    Raises:
        BadInput: no module, no transform, or a name that is a pattern.
    """
    if not isinstance(net, nn.Module):
        raise BadInput(_no_module(net))
    called = type(net).__name__ if name is None else name
    if transform is None:
        raise BadInput(
            f"model {called!r} has no transform, so nobody knows what its input is; "
            f"write zoo_eval.model(net, zoo_eval.{EXAMPLE})"
        )
    if not isinstance(transform, Transform):
        try:
            transform = pipelines.read(transform)
        except pipelines.NotReadable as error:
            raise BadInput(
                f"model {called!r}: its {type(transform).__name__} is no Transform ({error}); "
                f"write zoo_eval.model(net, zoo_eval.{EXAMPLE})"
            ) from error
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
