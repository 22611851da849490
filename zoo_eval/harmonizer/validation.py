"""Validation: how many labels a network gets right, and how far its gradients agree with people."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from zoo_eval.errors import BadInput
from zoo_eval.harmonizer.peers import Peers
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.inputs import Inputs
from zoo_eval.numerics.alignment import Ranks, abs_max, paired, ranked
from zoo_eval.numerics.saliency.method import gradient
from zoo_eval.stimuli.stimulus_set import StimulusSet
from zoo_eval.transforms import Transform

BATCH = 32


@dataclass(frozen=True, eq=False)
class Validation:
    """Labelled images with human maps, as the model sees both."""

    stimuli: StimulusSet
    transform: Transform
    ranks: Ranks

    @classmethod
    def of(
        cls, inputs: Inputs, stimuli: str, importance: str, transform: Transform
    ) -> "Validation":
        """The images of that name, with those maps.

        Raises:
            BadInput: no labels, maps of other images, or too few images.
        """
        shown, _ = inputs.labelled(stimuli)
        maps: ImportanceMaps = inputs.maps(importance, shown)
        if len(shown) < 2:
            raise BadInput(
                f"validation: stimuli {stimuli!r} are one image; give more, so that its map can be "
                "compared with another's"
            )
        seen = maps.seen_through(transform, shown).maps
        return cls(shown, transform, ranked(torch.from_numpy(np.asarray(seen))))

    def of_network(self, net: nn.Module, device: torch.device, peers: Peers) -> dict[str, float]:
        """What a network in evaluation mode does: each worker looks at its share of the images.

        Returns:
            `top1`, a share; `alignment`, the mean over images of Spearman's rho between the gradient of
            the true logit (largest |value| over channels) and the human map (Fel et al. 2022, not
            divided by the human ceiling); `alignment_null`, the same with the map of the next image.
            An alignment is NaN where no image has one.
        """
        numbers = range(peers.rank, len(self.stimuli), peers.n)
        counts = torch.zeros(5, dtype=torch.float64)
        for first in range(0, len(numbers), BATCH):
            counts += self._counts(net, list(numbers[first : first + BATCH]), device)
        n_right, total, null, n_defined, n_null = peers.total(counts.to(device)).tolist()
        return {
            "top1": n_right / len(self.stimuli),
            "alignment": total / n_defined if n_defined else float("nan"),
            "alignment_null": null / n_null if n_null else float("nan"),
        }

    def _counts(self, net: nn.Module, numbers: list[int], device: torch.device) -> Tensor:
        assert self.stimuli.labels is not None
        images = [self.stimuli.image(number) for number in numbers]
        pixels = self.transform.view_images(images, device)
        labels = torch.tensor([self.stimuli.labels[n] for n in numbers], device=device)
        found: list[Tensor] = []

        def logits(shown: Tensor) -> Tensor:
            found.append(net(self.transform.normalise(shown)).float())
            return found[-1]

        saliency = abs_max(gradient(logits, pixels, labels).cpu())
        theirs = ranked(saliency)
        own = paired(theirs, self.ranks, numbers)
        others = paired(theirs, self.ranks, [(n + 1) % len(self.stimuli) for n in numbers])
        n_right = (found[0].argmax(1) == labels).sum().item()
        sums = [
            n_right,
            own.nansum(),
            others.nansum(),
            (~own.isnan()).sum(),
            (~others.isnan()).sum(),
        ]
        return torch.tensor([float(one) for one in sums], dtype=torch.float64)
