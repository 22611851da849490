"""Queue: work that waits, longest first, by which GPUs hold it.

Each question costs a search among lists that stay sorted, however long they are.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from zoo_eval.runners.expected import Room
from zoo_eval.sweep.plan import ModelWork

MAX_DEATHS = 3
# Deaths before any group started (a lost node, say) are nobody's fault, but not for ever.
MAX_INNOCENT_DEATHS = 10


@dataclass(frozen=True)
class Queued:
    """Work that waits, and how often its groups were charged with a lost process."""

    work: ModelWork
    number: int
    seconds: float
    room: Room = (1.0,)
    deaths: Mapping[int, int] = field(default_factory=dict)
    innocent_deaths: int = 0
    # A share of a GPU was too little.
    needs_whole: bool = False

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
        counts = {i: deaths.get(i, 0) + innocent for i in given_up}
        charged = replace(self, deaths=deaths, innocent_deaths=innocent)
        return charged.without({*finished, *given_up}), counts

    def without(self, groups: Collection[int]) -> "Queued | None":
        """The same without some of its groups; None where none is left."""
        left = [i for i in range(len(self.work.groups)) if i not in groups]
        return self.part(left) if left else None

    def part(self, places: Sequence[int]) -> "Queued":
        """The same with some of its groups, by place, in order."""
        work = replace(self.work, groups=tuple(self.work.groups[i] for i in places))
        kept = {place: self.deaths[i] for place, i in enumerate(places) if i in self.deaths}
        seconds = sum(self.group_seconds[i] for i in places)
        return replace(self, work=work, deaths=kept, seconds=seconds)

    @cached_property
    def group_seconds(self) -> tuple[float, ...]:
        """The planned seconds of each group: by its image passes, evenly where none are known."""
        passes = [group.n_passes for group in self.work.groups]
        total = sum(passes)
        if not total:
            return (self.seconds / len(passes),) * len(passes)
        return tuple(self.seconds * n / total for n in passes)

    def n_parts(self, least: float) -> int:
        """Into how many parts of so many seconds it could be split at most."""
        if self.seconds < 2 * least or not least:
            return 1
        return min(len(self.work.groups), int(self.seconds / least))

    def split(
        self, most: float, least: float, longest: float = math.inf
    ) -> tuple["Queued | None", "Queued | None"]:
        """A part of at most so many seconds, the longest group first, and the rest.

        One group is the least there can be, and none is taken that is longer than `longest`. Nothing
        shorter than `least` is split off or left: opening the model again would cost too much.
        """
        if self.seconds <= min(max(most, least), longest):
            return self, None
        taken: list[int] = []
        seconds = 0.0
        for i in sorted(range(len(self.group_seconds)), key=lambda i: -self.group_seconds[i]):
            one = self.group_seconds[i]
            if one <= longest and (not taken or seconds + one <= max(most, least)):
                taken.append(i)
                seconds += one
        n_left = len(self.group_seconds) - len(taken)
        if not taken or not n_left or min(seconds, self.seconds - seconds) < least:
            return (self, None) if self.seconds <= longest else (None, self)
        rest = [i for i in range(len(self.group_seconds)) if i not in taken]
        return self.part(sorted(taken)), self.part(rest)


class Queue:
    """Work that waits, longest first among what takes the same room."""

    def __init__(self, waiting: Iterable[Queued] = (), least: float = 0.0) -> None:
        """`least` is the shortest part, in seconds, that work is split into."""
        self.least = least
        self.seconds = 0.0
        self._n = 0
        self._by_room: dict[Room, list[Queued]] = {}
        self._n_parts: dict[Room, int] = {}
        for queued in waiting:
            self.add(queued)

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Queued]:
        for some in self._by_room.values():
            yield from some

    def add(self, queued: Queued) -> None:
        """Puts work in its place."""
        insort(self._by_room.setdefault(queued.room, []), queued, key=_rank)
        self._count(queued, 1)

    def take(self, queued: Queued) -> None:
        """Takes work out."""
        some = self._by_room[queued.room]
        place = bisect_left(some, _rank(queued), key=_rank)
        while some[place] is not queued:
            place += 1
        del some[place]
        if not some:
            del self._by_room[queued.room]
        self._count(queued, -1)

    def _count(self, queued: Queued, sign: int) -> None:
        self._n += sign
        self.seconds = max(0.0, self.seconds + sign * queued.seconds) if self._n else 0.0
        before = self._n_parts.get(queued.room, 0)
        self._n_parts[queued.room] = before + sign * queued.n_parts(self.least)

    def first(self, kind: int) -> Queued | None:
        """What a GPU of that class takes next."""
        return next((some[-1] for some in self._for(kind)), None)

    @property
    def n_all_parts(self) -> int:
        """How many slots all of the work could be split over."""
        return sum(self._n_parts.values())

    def longest(self, kind: int, seconds: float, share: float | None) -> Queued | None:
        """The longest of at most so many seconds that takes such a share of a GPU of that class."""
        for some in self._for(kind):
            if some[-1].room[kind] != share:
                break
            place = bisect_right(some, seconds, key=lambda queued: queued.seconds)
            if place:
                return some[place - 1]
        return None

    def ahead(self, kind: int, n: int) -> Queued | None:
        """What comes n-th for a GPU of that class, or last if there is less."""
        last = None
        for some in self._for(kind):
            last = some[max(0, len(some) - n)]
            if n <= len(some):
                break
            n -= len(some)
        return last

    def n_parts(self, kind: int, share: float) -> int:
        """How many slots with that share of a GPU of that class the work could be split over."""
        return sum(n for room, n in self._n_parts.items() if room[kind] == share)

    def _for(self, kind: int) -> list[list[Queued]]:
        """What a GPU of that class holds, in order.

        Whole GPUs first: their work is the longest, and quarters taken early would split GPUs. Then
        what fewer classes hold.
        """
        holds = [room for room in self._by_room if room[kind] is not None]
        holds.sort(key=lambda room: (-(room[kind] or 0), -sum(share is None for share in room)))
        return [self._by_room[room] for room in holds]


def _rank(queued: Queued) -> tuple[float, int]:
    # The last is the next.
    return queued.seconds, -queued.number
