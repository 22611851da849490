"""Rows of the `alignment` table: attributions beside human maps, both as the model sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator
from torch import Tensor

from zoo_eval.evaluations.attack_run import AttackOutcome
from zoo_eval.evaluations.regions import Place
from zoo_eval.importance.maps import ImportanceMaps
from zoo_eval.numerics.alignment import REDUCTIONS, Ranks, align, ranked, renamed
from zoo_eval.stimuli.stimulus_set import StimulusSet

# `abs_mean`, as it was called, invites to read mean of absolute values.
Reduction = Annotated[
    Literal["abs_of_mean", "abs_max", "l2"], BeforeValidator(lambda name: renamed(name))
]
Row = dict[str, Any]
# What is written for every attribution; `abs_of_max` is only there to reproduce a release.
STANDARD: tuple[Reduction, ...] = ("abs_of_mean", "abs_max", "l2")
# Attributions are reduced and ranked this many at a time, which bounds the working memory.
AT_A_TIME = 16
# Null distributions are summarised by these quantiles.
LOW, HIGH = 0.025, 0.975
UNDEFINED: Mapping[str, str] = {
    "already_wrong": "the image is not classified correctly",
    "bound_hit": "no perturbation was found within the bound",
    "error": "the attack failed",
}


@dataclass(frozen=True)
class ChannelReductions:
    """How attributions become maps, names of `numerics.alignment.REDUCTIONS`, and which was published."""

    names: tuple[str, ...]
    published: str


@dataclass(frozen=True, eq=False)
class SeenMaps:
    """Human maps as a model sees them, ranked once for as many comparisons as there are.

    Only pixels that count at their `place` are compared, in maps and attributions alike.
    """

    maps: ImportanceMaps
    ranks: Ranks
    place: Place

    @classmethod
    def at(cls, place: Place, maps: ImportanceMaps, stimuli: StimulusSet) -> "SeenMaps":
        """The maps through the resize and crop that the attributed pixels went through.

        Raises:
            BadInput: the maps belong to other stimuli.
            Refusal: they do not cover what the model sees.
        """
        shown = maps.seen_through(place.transform, stimuli)
        return cls(shown, ranked(place.counting(torch.from_numpy(shown.maps))), place)

    def map(self, number: int) -> Tensor:
        """The map (row, column) of a stimulus, in [0, 1]."""
        return torch.from_numpy(self.maps.maps[number])

    def rows(
        self, attributions: Tensor, numbers: Sequence[int], reductions: ChannelReductions
    ) -> Iterator[Row]:
        """One row per attribution and channel reduction, without the trial's own columns.

        Args:
            attributions: signed, (image, channel, row, column).
            numbers: for each, its image's number among the stimuli.
            reductions: of the channels.

        Raises:
            DifferentSize: attributions are not of the maps' size.
        """
        for start in range(0, len(numbers), AT_A_TIME):
            own = numbers[start : start + AT_A_TIME]
            some = attributions[start : start + AT_A_TIME]
            for reduction in reductions.names:
                for row in self._compared(some, own, reduction):
                    yield {**row, **_published(reduction, reductions)}

    def _compared(self, attributions: Tensor, own: Sequence[int], reduction: str) -> Iterator[Row]:
        reduced = self.place.counting(REDUCTIONS[reduction](attributions))
        found = align(reduced, self.ranks, own, keep_null=True)
        assert found.null is not None
        low, high = (found.null.nanquantile(q, dim=1).tolist() for q in (LOW, HIGH))
        n_null = found.null.isfinite().sum(1).tolist()
        columns = (found.spearman.tolist(), found.null_mean.tolist(), low, high, n_null)
        for number, reason, *values in zip(own, found.reasons, *columns, strict=True):
            spearman, null, null_low, null_high, n = values
            yield self._row(
                number,
                reduction,
                spearman=_or_null(spearman),
                reason=self._why(number, reason),
                null_spearman=_or_null(null),
                null_low=_or_null(null_low),
                null_high=_or_null(null_high),
                n_null=n,
            )

    def of_attack(
        self, attacked: Sequence[AttackOutcome], reductions: ChannelReductions
    ) -> Iterator[Row]:
        """Rows of an attack's perturbations; where none was found, undefined with the reason.

        Args:
            attacked: one for each stimulus, in order.
            reductions: of the channels.
        """
        found = [(n, one.perturbation) for n, one in enumerate(attacked)]
        kept = [(n, perturbation) for n, perturbation in found if perturbation is not None]
        for start in range(0, len(kept), AT_A_TIME):
            numbers, some = zip(*kept[start : start + AT_A_TIME])
            yield from self.rows(torch.stack(some), numbers, reductions)
        for number, one in enumerate(attacked):
            if one.perturbation is None:
                for reduction in reductions.names:
                    row = self._row(number, reduction, reason=_unattacked(one.row))
                    yield {**row, **_published(reduction, reductions)}

    def _row(self, number: int, reduction: str, **values: Any) -> Row:
        return {
            "stimulus_id": self.maps.stimulus_ids[number],
            "channel_reduction": reduction,
            "importance": self.maps.name,
            "region": self.place.name,
            "unseen_share": self.place.unseen_share,
            "human_ceiling": self.maps.human_ceiling,
            **values,
        }

    def _why(self, number: int, reason: str | None) -> str | None:
        if reason is None or self.ranks.undefined[number] is None:
            return reason
        return self.maps.unusable.get(self.maps.stimulus_ids[number], reason)


def _published(reduction: str, reductions: ChannelReductions) -> Row:
    return {"published_reduction": reduction == reductions.published}


def _unattacked(row: Mapping[str, Any]) -> str:
    status = UNDEFINED[row["status"]]
    return f"{status}: {row['reason']}" if row.get("reason") else status


def _or_null(value: float) -> float | None:
    return None if value != value else value
