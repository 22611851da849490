"""OpenModel: weights on one device; [0, 1] pixels in, the model's own transform inside."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import seed_from
from zoo_eval.errors import Refusal
from zoo_eval.models import allocator, grading
from zoo_eval.models.blueprint import Blueprint, blueprint, own_checkpoint
from zoo_eval.numerics import precision
from zoo_eval.numerics.precision import DEVICES, FLOAT32, Numerics
from zoo_eval.sources.registry import source_of
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet
from zoo_eval.views.kept import ViewFolder
from zoo_eval.views.views import NO_FOLDER, Views
from zoo_eval.weights import checkpoints, fitting
from zoo_eval.weights.wrappers import Chosen

LARGEST_ON_GPU = 128
# Larger batches are no faster there.
LARGEST_ON_CPU = 32
CPU_ROOM_BYTES = 2**33
REDUCED = (torch.bfloat16, torch.float16)
# Some minutes of work at most: single photos take a CPU a quarter more time than ten together.
FLOPS_AT_A_TIME = {"cpu": 2e13, "cuda": 6e14}
# Fewer leave a device idle.
LEAST_AT_A_TIME = {"cpu": 1, "cuda": 16}
S = TypeVar("S")
T = TypeVar("T")


def _network(card: ModelCard, weights_digest: str) -> nn.Module:
    source = source_of(card.architecture)
    trained = card.weights != "untrained"
    if trained and card.checkpoint is None and card.url is None:
        net = source.pretrained(card.architecture)
    else:
        net = source.initial(card.architecture)
    if trained and (checkpoint := own_checkpoint(card)) is not None:
        found = checkpoints.chosen(checkpoint, card.weights_key)
        if card.url is not None and card.weights_key is None:
            _refuse_untold(found, card.url)
        state = fitting.fitted(found, net, checkpoint, card.keys, card.ignore)
        net.load_state_dict(state, strict=True)
    grading.grade(net, card.edits, seed=seed_from(weights_digest))
    return source.classifier(net, card.architecture, weights_digest if trained else None)


def _refuse_untold(found: Chosen, url: str) -> None:
    """Which weights of a file are meant is part of their identity, which is told before a download."""
    if found.key != found.plain:
        raise Refusal(
            f"{url} holds moving averages under {found.key!r} beside {found.plain!r}, and was not read "
            f'when it was planned; write weights_key = "{found.key}" or "{found.plain}"'
        )


def first_batch(activation_bytes: int, device: torch.device) -> int:
    """How many images at a time, to begin with: those whose activations fit, gradients included.

    Half of a GPU's free memory is left for what is not known, half of `CPU_ROOM_BYTES` likewise.
    """
    if device.type == "cuda":
        room, most = torch.cuda.mem_get_info(device)[0], LARGEST_ON_GPU
    else:
        room, most = CPU_ROOM_BYTES, LARGEST_ON_CPU
    return max(1, min(most, room // 2 // max(1, activation_bytes)))


class OpenModel:
    """A model in evaluation mode with frozen weights on one device.

    Pixels are (image, RGB, row, column) in [0, 1]; gradients flow to them. `n_passes` counts image
    passes, forward and backward.
    """

    def __init__(
        self,
        card: ModelCard,
        plan: Blueprint,
        net: nn.Module,
        device: torch.device,
        numerics: Numerics = FLOAT32,
        folder: ViewFolder = NO_FOLDER,
    ) -> None:
        self.card = card
        self.blueprint = plan
        self.transform = plan.transform
        self.device = device
        self.numerics = numerics
        self.folder = folder
        self.net = net.eval().requires_grad_(False).to(device)
        self.batch_size = first_batch(plan.anatomy.activation_bytes, device)
        self.n_passes = 0
        self._predictions: dict[str, Tensor] = {}

    def __call__(self, pixels: Tensor) -> Tensor:
        """Logits (image, class) of pixels of any size, through the model's own resize and crop."""
        return self.logits(self.transform.view(pixels))

    def logits(self, view: Tensor) -> Tensor:
        """Logits (image, class) of what the model sees: pixels already at its input size.

        In the precision of the pixels, float32, whatever the network gives: all that follows is
        written for that.

        Raises:
            Refusal: the network returns no tensor with a row per image.
        """
        self.n_passes += len(view)
        with self.numerics.cast(self.device):
            logits = self.net(self.transform.normalise(view))
        if not isinstance(logits, Tensor) or logits.shape[:1] != view.shape[:1]:
            given = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise Refusal(
                f"the network returns {given} for {len(view)} images, not one tensor (image, class) of "
                "logits; wrap it in a module that does"
            )
        logits = logits.to(view.dtype)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]  # torch
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.n_passes += len(gradient)

    def view(self, images: Sequence[Pixels]) -> Tensor:
        """Decoded images (row, column, RGB) of any size -> what the model sees, in [0, 1]."""
        return self.transform.view_images(images, self.device)

    def views(self, stimuli: StimulusSet, canvas_px: int | None = None) -> Views:
        """What the model sees of a stimulus set, or what a square canvas of that side shows of it."""
        transform = self.transform if canvas_px is None else self.transform.at(canvas_px)
        return Views(stimuli, transform, self.device, self.folder)

    @torch.no_grad()
    def predict(self, images: Sequence[Pixels]) -> Tensor:
        """Logits (image, class) of decoded images, on the CPU, batch by batch."""
        batches = self.in_batches(images, lambda batch: self.logits(self.view(batch)).cpu())
        return torch.cat(list(batches))

    @torch.no_grad()
    def predictions(self, stimuli: StimulusSet) -> Tensor:
        """`predict` of a stimulus set, each of which is predicted once while the model is open."""
        for _ in self.predicting(stimuli):
            pass
        return self._predictions[stimuli.digest]

    @torch.no_grad()
    def predicting(self, stimuli: StimulusSet) -> Generator[None, None, None]:
        """Does the work of `predictions`, batch by batch."""
        if stimuli.digest in self._predictions:
            return
        views, found, done = self.views(stimuli), None, 0
        for part in self.in_batches(range(len(views)), lambda rows: self.logits(views[rows])):
            # Filled in: joined at the end, they would be in memory twice.
            if found is None:
                found = torch.empty((len(views), *part.shape[1:]), dtype=part.dtype)
            found[done : done + len(part)] = part
            done += len(part)
            yield
        assert found is not None, "a stimulus set has images"
        self._predictions[stimuli.digest] = found

    def at_a_time(self, n_passes: int) -> int:
        """How many images of so many passes each make a batch that is not longer than it need be.

        What goes on from its last finished batch must cut as those before it did: this depends on
        the model and the kind of device alone.
        """
        kind, flops = self.device.type, max(1, self.blueprint.anatomy.flops * n_passes)
        return max(LEAST_AT_A_TIME[kind], min(LARGEST_ON_GPU, int(FLOPS_AT_A_TIME[kind] / flops)))

    def in_batches(
        self,
        images: Sequence[S],
        work: Callable[[Sequence[S]], T],
        *,
        at_most: int = LARGEST_ON_GPU,
    ) -> Iterator[T]:
        """`work` on each batch of images (or of their row numbers), in order; a batch that exhausts GPU memory is halved.

        Raises:
            torch.OutOfMemoryError: a single image is too much.
        """
        start = 0
        while start < len(images):
            n = min(self.batch_size, at_most)
            batch = images[start : start + n]
            result = None
            try:
                result = work(batch)
            except torch.OutOfMemoryError:
                if n == 1:
                    raise
            # Outside the handler, whose traceback would keep the tensors alive.
            if result is None:
                self.batch_size = n // 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                start += len(batch)
                yield result


def open_model(
    card: ModelCard,
    device: torch.device,
    numerics: Numerics = FLOAT32,
    folder: ViewFolder = NO_FOLDER,
) -> OpenModel:
    """The card's model, loaded; networks of this process run by these numerics from then on.

    What it sees of stimulus sets is kept in `folder`, to be read again by this and other models. On
    a CPU, the process keeps freed memory from then on (see `allocator`).

    Raises:
        Refusal: its weights are absent, damaged or do not fit; a device that is neither `cpu` nor
            `cuda`.
    """
    if device.type not in DEVICES:
        raise Refusal(
            f"device {device.type!r} has numerics of its own, and no float64, which fits need; use "
            f"one of {', '.join(DEVICES)}"
        )
    if device.type == "cpu":
        allocator.keep_freed()
    plan = blueprint(card)
    net = _network(card, plan.weights_digest)
    # After the network: code that builds one may set them for itself.
    precision.use(numerics)
    return OpenModel(card, plan, net, device, numerics, folder)
