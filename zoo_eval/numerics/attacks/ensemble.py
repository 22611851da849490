"""Several attacks, and for each image the shortest of what they found, with the winner's name."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo_eval.numerics.attacks import greedy, perpendicular, proximal
from zoo_eval.numerics.attacks.apgd_bisect import APGDBisect
from zoo_eval.numerics.attacks.attack import Attack
from zoo_eval.numerics.attacks.ddn import DDN
from zoo_eval.numerics.attacks.deepfool import DeepFool
from zoo_eval.numerics.attacks.fmn import FMN
from zoo_eval.numerics.attacks.greedy import Greedy
from zoo_eval.numerics.attacks.logits import Batch, Logits
from zoo_eval.numerics.attacks.norms import COUNTS, DENSE, NORMS, Norm, length, per_image
from zoo_eval.numerics.attacks.perpendicular import Perpendicular
from zoo_eval.numerics.attacks.proximal import Proximal
from zoo_eval.numerics.attacks.sigma_zero import SigmaZero
from zoo_eval.numerics.attacks.tighten import BISECTIONS, at_share, boundary_share

REFINING_STEPS = 15
# A pace at which a value goes to the box in one step.
FAR = 1.0
# On the boundary, beyond it and short of it.
STRETCHES = (1.0, 2.0, 0.9)


@dataclass(frozen=True, eq=False)
class Best:
    """The shortest candidates (image, ...), and which of `names` found each (image,), -1 for none."""

    candidates: Tensor
    winner: Tensor
    names: tuple[str, ...]


LENGTHS_BOUND, COUNTS_BOUND = 1.01, 1.5


@dataclass(frozen=True)
class Ensemble:
    """The shortest of several attacks, refined; which ones depends on the norm.

    In l2 and linf perpendicular, FMN, DeepFool and DDN (in linf APGD with bisection); in l1 proximal
    in short and in long steps, and FMN; in counts greedy and sigma-zero. `steps` are those of DDN, FMN
    and sigma-zero, and a third of them perpendicular's, half of them proximal's. The refining steps
    start from the winner's candidate, and but in counts from twice as far and from a tenth nearer;
    they never lengthen it.
    """

    name: ClassVar[str] = "ensemble"
    norms: ClassVar[tuple[Norm, ...]] = NORMS
    batched: ClassVar[bool] = True
    steps: int = 100
    seed: int = 0
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("ensemble needs steps >= 1")

    @property
    def bound(self) -> float:
        """A hundredth, but for counts: of six changes one too many is a sixth."""
        return COUNTS_BOUND if self.norm in COUNTS else LENGTHS_BOUND

    @property
    def blind_bound(self) -> float:
        return self.bound

    def members(self) -> dict[str, Attack]:
        """The attacks by name, in the order in which they run."""
        third, seed, norm = max(1, self.steps // 3), self.seed, self.norm
        if norm in COUNTS:
            return {
                "greedy": Greedy(seed=seed, norm=norm),
                "sigma_zero": SigmaZero(steps=self.steps, seed=seed, norm=norm),
            }
        if norm == "l1":
            half = max(1, self.steps // 2)
            return {
                "proximal": Proximal(steps=half, seed=seed),
                "proximal_far": Proximal(steps=half, pace=FAR, seed=seed),
                "fmn": FMN(steps=self.steps, seed=seed, norm=norm),
            }
        found: dict[str, Attack] = {
            "perpendicular": Perpendicular(steps=third, seed=seed, norm=norm)
        }
        if norm == "l2":
            found["ddn"] = DDN(steps=self.steps, seed=seed)
        else:
            found["apgd_bisect"] = APGDBisect(seed=seed, norm=norm)
        found["fmn"] = FMN(steps=self.steps, seed=seed, norm=norm)
        found["deepfool"] = DeepFool(candidates=6, seed=seed, norm=norm)
        return found

    def perturb(self, logits: Logits, images: Tensor, labels: Tensor) -> Tensor:
        return self.best(logits, images, labels).candidates

    def best(self, logits: Logits, images: Tensor, labels: Tensor) -> Best:
        """The refined candidates, and whose they were (image, channel, row, column), (image,)."""
        members = self.members()
        found = shortest(members, logits, images, labels)
        rows = (found.winner >= 0).nonzero()[:, 0]
        if len(rows):
            part = Batch(logits, images, labels).at(rows)
            found.candidates[rows] = self._refined(part, found.candidates[rows])
        return found

    def _refined(self, batch: Batch, candidates: Tensor) -> Tensor:
        if self.norm in COUNTS:
            return greedy.refine(batch, candidates, Greedy(seed=self.seed, norm=self.norm))
        for stretch in STRETCHES:
            if self.norm in DENSE:
                turning = Perpendicular(steps=REFINING_STEPS, seed=self.seed, norm=self.norm)
                candidates = perpendicular.refine(batch, candidates, turning, stretch=stretch)
            else:
                shrinking = Proximal(steps=REFINING_STEPS, pace=FAR, seed=self.seed)
                candidates = proximal.refine(batch, candidates, shrinking, stretch=stretch)
        return candidates

    def _passes_of_refining(self) -> int:
        if self.norm in COUNTS:
            return greedy.passes_of_refining(Greedy().rounds)
        if self.norm in DENSE:
            return len(STRETCHES) * perpendicular.passes_of_refining(REFINING_STEPS)
        return len(STRETCHES) * proximal.passes_of_refining(REFINING_STEPS)

    def passes_per_image(self) -> int:
        each = [attack.passes_per_image() + 1 + BISECTIONS for attack in self.members().values()]
        return sum(each) + self._passes_of_refining()


def shortest(attacks: dict[str, Attack], logits: Logits, images: Tensor, labels: Tensor) -> Best:
    """For each image the shortest candidate after a line search, of attacks in one norm.

    Of equals the first wins. Where none succeeds, the image itself and winner -1.
    """
    best = images.clone()
    least = images.new_full((len(images),), torch.inf)
    winner = torch.full_like(labels, -1)
    for place, attack in enumerate(attacks.values()):
        candidates = attack.perturb(logits, images, labels)
        success, share = boundary_share(logits, images, candidates, labels, attack.norm)
        delta = at_share(share, candidates - images, attack.norm)
        distance = length(delta, attack.norm)
        nearer = success & (distance < least)
        best = torch.where(per_image(nearer), images + delta, best)
        least = torch.where(nearer, distance, least)
        winner = torch.where(nearer, place, winner)
    return Best(best, winner, tuple(attacks))
