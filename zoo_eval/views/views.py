"""Views: a stimulus set as a transform shows it, row by row, whatever its size."""

from collections.abc import Sequence
from functools import cached_property

import PIL
import torch
from torch import Tensor

from zoo_eval.digests import digest
from zoo_eval.stimuli.ahead import Ahead, n_threads
from zoo_eval.stimuli.stimulus_set import Images, Joined, StimulusSet
from zoo_eval.transforms import Seen, Transform
from zoo_eval.views.kept import KeptViews, ViewFolder

# More than a batch for the CPU, so that the next one is there when the network is done with this.
LEAST_AHEAD = 48
# Moves when a transform of the same key shows other pixels than before.
VERSION = 1
NO_FOLDER = ViewFolder(0)


class Views:
    """What a model sees of each stimulus, made once on this machine and then read.

    Rows after those that are asked for are made meanwhile, by several threads. An image that is no
    longer what the set's identity says is refused when its row is made.
    """

    def __init__(
        self,
        stimuli: StimulusSet,
        transform: Transform,
        device: torch.device,
        folder: ViewFolder = NO_FOLDER,
    ) -> None:
        self.stimuli = stimuli
        self.transform = transform
        self.device = device
        self._folder = folder
        if isinstance(stimuli.images, Images):
            # Threads that read ahead compare with it, and would wait for each other to compute it.
            _ = stimuli.identity
        window = max(LEAST_AHEAD, 4 * n_threads())
        self._ahead: Ahead[Seen] = Ahead(self._row, len(stimuli), window)

    def __len__(self) -> int:
        return len(self.stimuli)

    def __getitem__(self, numbers: Sequence[int]) -> Tensor:
        """Some stimuli in this order, float32 (stimulus, RGB, row, column) in [0, 1].

        Raises:
            BadInput: an image cannot be decoded.
            Refusal: an image changed since its set was planned.
        """
        # Opened here, before several threads ask for it at once.
        if self._kept is not None:
            self._kept.touch()
        return self.transform.as_pixels(self._ahead[numbers], self.device)

    def alone(self, number: int) -> Tensor:
        """One stimulus (1, RGB, row, column), as it is got by `[number]`; none after it is made.

        Raises:
            BadInput, Refusal: as for several.
        """
        return self.transform.as_pixels([self._row(number)], self.device)

    def _row(self, number: int) -> Seen:
        if self._parts:
            images = self.stimuli.images
            assert isinstance(images, Joined)
            part, own = images.place(number)
            return self._parts[part]._row(own)
        kept = self._kept
        if kept is None:
            return self._made(number)
        if (found := kept.read(number)) is not None:
            return found
        with kept.being_made(number):
            # Another process may have made it meanwhile.
            if (found := kept.read(number)) is None:
                found = self._made(number)
                kept.write(number, found)
            return found

    def _made(self, number: int) -> Seen:
        return self.transform.seen(self.stimuli.image(number))

    @cached_property
    def _parts(self) -> tuple["Views", ...]:
        """Views of the sets that are joined in this one, which may be there already."""
        images = self.stimuli.images
        if not isinstance(images, Joined):
            return ()
        return tuple(
            Views(part, self.transform, self.device, self._folder) for part in images.parts
        )

    @cached_property
    def _kept(self) -> KeptViews | None:
        if self._folder.budget_bytes == 0 or self._parts:
            return None
        key = digest([VERSION, self.stimuli.digest, self.transform.view_key, PIL.__version__])
        return self._folder.kept(key, len(self.stimuli), self.transform.unseen)
