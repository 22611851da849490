"""Moves: what a schedule asks of whoever carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass

from zoo_eval.runners.slots import SlotShape
from zoo_eval.sweep.plan import ModelWork


@dataclass(frozen=True)
class Start:
    """Start a slot, under a number of its own."""

    slot: int
    shape: SlotShape


@dataclass(frozen=True)
class HandOver:
    """Give a slot its work; the weights of what is upcoming are fetched meanwhile."""

    slot: int
    work: ModelWork
    upcoming: ModelWork | None


@dataclass(frozen=True)
class GiveBack:
    """End a slot: nobody needs it, or it never came up."""

    slot: int


@dataclass(frozen=True)
class Refuse:
    """Record that work cannot be done here: no GPU of the cluster holds the model."""

    work: ModelWork
    reason: str


Move = Start | HandOver | GiveBack | Refuse


@dataclass(frozen=True)
class Loss:
    """What a lost slot comes to: the groups of its work that are given up, with their deaths.

    `tried_again` says whether something of the work is left to try.
    """

    work: ModelWork
    given_up: Mapping[int, int]
    tried_again: bool
