"""The queue of work: largest share of a GPU first, then longest; and what a lost process costs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from zoo_eval.sweep.plan import ModelWork

MAX_DEATHS = 3
# Deaths before any group started (a lost node, say) are nobody's fault, but not for ever.
MAX_INNOCENT_DEATHS = 10
SHARES = (0.25, 0.5, 1.0)
# What CUDA itself takes of a GPU in each process.
CONTEXT_BYTES = 2**29
# A model's next trials may need more than its last ones.
HEADROOM = 1.25


@dataclass(frozen=True)
class Expected:
    """What earlier trials say of models, by name: seconds of its work, and peak GPU bytes."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_gpu_bytes: Mapping[str, int] = field(default_factory=dict)

    def share(self, work: ModelWork, gpu_bytes: int | None) -> float:
        """The share of a GPU that a model's work needs; the whole where nothing was measured."""
        peak = self.peak_gpu_bytes.get(work.name)
        if peak is None or gpu_bytes is None:
            return 1.0
        needed = HEADROOM * peak + CONTEXT_BYTES
        return next((share for share in SHARES if needed <= share * gpu_bytes), 1.0)


NOTHING_MEASURED = Expected()


@dataclass(frozen=True)
class Queued:
    """Work that waits, and how often its groups were charged with a lost process."""

    work: ModelWork
    number: int
    seconds: float
    share: float = 1.0
    deaths: Mapping[int, int] = field(default_factory=dict)
    innocent_deaths: int = 0

    def __lt__(self, other: "Queued") -> bool:
        return self._rank < other._rank

    @property
    def _rank(self) -> tuple[float, float, int]:
        # Whole GPUs first: their work is the longest, and quarters taken early would split GPUs.
        return -self.share, -self.seconds, self.number

    def after_loss(
        self, blamed: Collection[int], finished: Collection[int]
    ) -> tuple["Queued | None", dict[int, int]]:
        """What is left to try, and the groups that are given up with the deaths they had.

        Groups that had started are charged; a loss that nobody is to blame for is counted too.
        """
        innocent = self.innocent_deaths + (not blamed)
        deaths = {**self.deaths, **{i: self.deaths.get(i, 0) + 1 for i in blamed}}
        left = [i for i in range(len(self.work.groups)) if i not in finished]
        hopeless = innocent >= MAX_INNOCENT_DEATHS
        given_up = [i for i in left if hopeless or deaths.get(i, 0) >= MAX_DEATHS]
        left = [i for i in left if i not in given_up]
        counts = {i: deaths.get(i, 0) + innocent for i in given_up}
        if not left:
            return None, counts
        work = replace(self.work, groups=tuple(self.work.groups[i] for i in left))
        kept = {place: deaths[i] for place, i in enumerate(left) if i in deaths}
        return replace(self, work=work, deaths=kept, innocent_deaths=innocent), counts
