"""Where each attack stands: measures of `measure` on the rows of the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.optimality import measure
from benchmarks.optimality.contenders import OURS
from benchmarks.optimality.measure import Distances
from benchmarks.optimality.record import Row


@dataclass(frozen=True)
class Standing:
    """One attack on one network in one norm, over the same photos as all others of the table.

    `without_ours`: against the envelope of rivals alone. `by_budget`: against the full envelope, after
    each number of propagations.
    """

    attack: str
    optimality: float
    trapezoids: float
    without_ours: float
    mean_ratio: float
    worst_ratio: float
    worst_photo: int
    n_failed: int
    propagations: float
    seconds: float
    cpu_seconds: float
    by_budget: Sequence[float]

    @property
    def is_ours(self) -> bool:
        return self.attack.startswith(OURS)


@dataclass(frozen=True, eq=False)
class Field:
    """The rows of one network and norm, by attack and photo.

    The envelope of a photo is over every attack and every query that was made on it, also those of
    attacks that search in another norm.
    """

    model: str
    norm: str
    photos: Sequence[int]
    attacks: dict[str, dict[int, Row]]
    least: Distances
    least_of_rivals: Distances
    partly: dict[str, int] = field(default_factory=dict)

    def standings(self) -> list[Standing]:
        """Of each attack that was run on all photos, best first."""
        found = [self._standing(name, rows) for name, rows in self.attacks.items()]
        return sorted(found, key=lambda one: -np.nan_to_num(one.optimality, nan=-np.inf))

    def _standing(self, name: str, rows: dict[int, Row]) -> Standing:
        each = [rows[photo] for photo in self.photos]
        distances = np.array([row.least[self.norm] for row in each])
        place, worst = measure.worst(distances, self.least)
        return Standing(
            name,
            measure.optimality(distances, self.least),
            measure.by_trapezoids(distances, self.least),
            measure.optimality(distances, self.least_of_rivals),
            measure.mean_ratio(distances, self.least),
            worst,
            self.photos[place],
            int(np.isinf(distances).sum()),
            float(np.mean([row.n_forwards + row.n_backwards for row in each])),
            float(np.mean([row.seconds for row in each])),
            float(np.mean([row.cpu_seconds for row in each])),
            [
                measure.optimality(np.array([row.within[at] for row in each]), self.least)
                for at in range(len(each[0].within))
            ],
        )


def fields(rows: Sequence[Row], first: Mapping[str, Sequence[str]]) -> list[Field]:
    """The rows by network and norm, over the photos on which all attacks in `first` of it were run.

    An attack that lacks one of those photos is in `partly`, with how many it has, and not compared;
    what it found counts in the envelope.
    """
    found = []
    for model, norm in sorted({(row.run.model, row.run.norm) for row in rows}):
        attacks: dict[str, dict[int, Row]] = {}
        for row in rows:
            if (row.run.model, row.run.norm) == (model, norm):
                attacks.setdefault(row.run.attack, {})[row.run.photo] = row
        needed = [set(attacks[name]) for name in first[norm] if name in attacks] or [set[int]()]
        photos = sorted(set.intersection(*needed))
        if not photos:
            continue
        whole = {name: each for name, each in attacks.items() if set(photos) <= set(each)}
        partly = {name: len(each) for name, each in attacks.items() if name not in whole}
        least = [_least(rows, model, norm, photos, ours) for ours in (True, False)]
        found.append(Field(model, norm, photos, whole, least[0], least[1], partly))
    return found


def _least(
    rows: Sequence[Row], model: str, norm: str, photos: Sequence[int], ours: bool
) -> Distances:
    """The envelope of all attacks, or of rivals alone."""
    nearest = dict.fromkeys(photos, np.inf)
    for row in rows:
        run = row.run
        if (
            run.model == model
            and run.photo in nearest
            and (ours or not run.attack.startswith(OURS))
        ):
            nearest[run.photo] = min(nearest[run.photo], row.least[norm])
    return np.array(list(nearest.values()))


def best_rival(standings: Sequence[Standing]) -> Standing | None:
    """The rival with the largest optimality."""
    return next((one for one in standings if not one.is_ours), None)
