"""What is to be run: networks, norms, photos and contenders; what of it is, and what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmarks.optimality.contenders import Contender, contenders
from benchmarks.optimality.counting import Watched, attacked, is_random
from benchmarks.optimality.networks import Network
from benchmarks.optimality.record import BUDGETS, Gap, Row, Run
from benchmarks.optimality.rivals import UNAVAILABLE, versions

SEED = 0
# Photos by network and norm.
MATRIX: Mapping[str, Mapping[str, int]] = {
    "lite0": {"l2": 20, "linf": 20, "l1": 8, "l0_values": 8},
    "squeezenet1_1": {"l2": 20, "linf": 20, "l1": 8, "l0_values": 8},
    "lite1": {"l2": 6, "linf": 6},
    "lite2": {"l2": 6, "linf": 6},
}
NOT_RUN = "not run: hours of a processor"


@dataclass(frozen=True, eq=False)
class Planned:
    """One run that is to be made."""

    network: Network
    contender: Contender
    photo: int

    @property
    def run(self) -> Run:
        one = self.contender
        return Run(self.network.name, one.norm, one.name, self.photo, SEED, one.setting)

    def made(self, budgets: Sequence[int] = BUDGETS, *, random_forward: bool = False) -> Row:
        """The run's row: one photo, one attack, until its end or its budget's."""
        network, norm = self.network, self.contender.norm
        label = int(network.labels[self.photo])
        watched = Watched(network.logits, network.photos[self.photo], label, budgets[-1])
        torch.manual_seed(SEED)
        cost = attacked(watched, self.contender.run)
        return Row(
            self.run, dict(watched.least), tuple(budgets), watched.within(budgets, norm),
            watched.n_forwards, watched.n_backwards, round(cost.seconds, 2),
            round(cost.cpu_seconds, 2), cost.error, random_forward, versions(),
        )  # fmt: skip


def planned(
    networks: Sequence[Network], found: Mapping[str, Sequence[Contender]]
) -> Iterator[Planned]:
    """Runs in the order of use: those first that the record is about, photo by photo over the networks.

    Photos that a network gets wrong as they are have distance 0 and are not attacked.
    """
    for first in (True, False):
        for place in range(max((len(one.correct) for one in networks), default=0)):
            for network in networks:
                if place >= len(network.correct):
                    continue
                for norm, contending in found.items():
                    if place < MATRIX[network.name].get(norm, 0):
                        for one in contending:
                            if one.first == first:
                                yield Planned(network, one, network.correct[place])


def flagged(network: Network) -> bool:
    """Whether the network is random: said before a run, and in each of its rows."""
    random = is_random(network.logits, network.photos[:2])
    if random:
        print(
            f"{network.name}: flagged random_forward: the same photo gets other logits the second time, "
            "so that least distances are luck",
            flush=True,
        )
    return random


def gaps(rows: Sequence[Row], correct: Mapping[str, Sequence[int]]) -> Iterator[Gap]:
    """What of the matrix has no row, by network, norm and contender.

    `correct` are the photos that each network classifies correctly; of one that is not in it all photos
    are missing, as is an attack that no installed package has.
    """
    made = {row.run for row in rows}
    for model, norms in MATRIX.items():
        for norm, n_photos in norms.items():
            photos = tuple(correct.get(model, range(20)))[:n_photos]
            for one in contenders(norm):
                missing = [
                    photo
                    for photo in photos
                    if Run(model, norm, one.name, photo, SEED, one.setting) not in made
                ]
                if missing:
                    yield Gap(model, norm, one.name, missing, NOT_RUN)
            for name, reason in UNAVAILABLE.items():
                yield Gap(model, norm, name, photos, reason)
            if not any(one.is_ours for one in contenders(norm)):
                yield Gap(model, norm, "ours: any", photos, f"none of ours searches in {norm}")
