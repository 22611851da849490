"""Similarity: readouts that compare a layer with a recording as wholes, without a fit.

Scored over all stimuli that every target answered, and fold by fold: over a fold's test stimuli, with
the similarity over its training stimuli beside it, so that a layer can be chosen without looking at the
score.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from zoo_eval.errors import BadInput
from zoo_eval.numerics import bootstrap, intervals
from zoo_eval.numerics.splits import Fold, Rows
from zoo_eval.readouts.design import Design
from zoo_eval.readouts.readout import Mode, Readout, Row, Scorer, defined, reasons
from zoo_eval.recordings.recording import Recording
from zoo_eval.representations.footprint import FLOAT64_BYTES, gram_bytes
from zoo_eval.representations.grams import LayerGram
from zoo_eval.stimuli.stimulus_set import StimulusSet

# Of a Gram matrix's size, where the recording's own are averaged first.
MEAN = 3
# Of the size of a number per stimulus and resample.
RESAMPLED = 6
# Debiased CKA divides by n - 3.
FEWEST_STIMULI = 4

# What of a layer is compared: its RDM, its Gram matrix, a factor of it.
Own = TypeVar("Own")


@dataclass(frozen=True)
class Compared:
    """A similarity, NaN where it is undefined, and that with each subject's RDM where there are some.

    `undefined` says why, per subject or of the score, "" where there is a number.
    """

    score: float
    undefined: tuple[str, ...]
    subjects: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Side(ABC, Generic[Own]):
    """The recording at some stimuli, ready to be compared with any layer there."""

    recording: Recording
    rows: Rows

    @abstractmethod
    def own(self, layer: LayerGram) -> Own:
        """What of the layer is compared, at these stimuli."""

    @abstractmethod
    def compared(self, own: Own) -> Compared:
        """The layer's similarity with the recording."""

    def draws(self, own: Own, counts: bootstrap.Array) -> bootstrap.Array | None:
        """The similarity in each resample of the stimuli; None where there is none to be had."""
        return None

    def gram(self, layer: LayerGram) -> Tensor:
        """The layer's Gram matrix at these stimuli, on the CPU."""
        gram = layer.gram.cpu()
        rows = torch.from_numpy(self.rows)
        return gram[rows][:, rows] if len(rows) < len(gram) else gram


class Similarity(Readout):
    """Base of similarities: a readout says how the recording is made ready at some stimuli.

    `matrices` are of a Gram matrix's size, at most at once besides it: most of them while stimuli
    are resampled, and about a fourth of them the gaps in a heap that keeps what is freed.
    """

    mode: ClassVar[Mode] = "similarity"
    matrices: ClassVar[int] = 7
    most_resamples: ClassVar[int | None] = None

    def side(self, recording: Recording, rows: Rows) -> Side[Any]:
        """The recording at some stimuli."""
        raise NotImplementedError

    def check_recording(self, recording: Recording) -> None:
        """Raises BadInput where the recording has not what is compared."""
        recording.check_products(str(self.name))

    def kept_matrices(self, recording: Recording) -> float:
        """What a side keeps, of the size of a Gram matrix at its stimuli."""
        return 1.0

    def working_matrices(self, recording: Recording) -> int:
        """Of a Gram matrix's size, at most at once besides it."""
        return self.matrices + (MEAN if recording.subject_ids else 0)

    def check(self, recording: Recording, stimuli: StimulusSet, design: Design) -> None:
        """Refuses what cannot be measured, at planning.

        Raises:
            BadInput: too few stimuli for the folds, a single target, or dissimilarities of an unknown
                kind, or of no points, where inner products are needed.
        """
        where = f"{self.name} of recording {recording.name!r}"
        try:
            folds = design.folds(stimuli)
        except ValueError as error:
            raise BadInput(f"{where}: {error}; lower n_folds") from error
        complete = recording.complete
        tested = (np.isin(fold.test, complete).sum() for fold in folds)
        if (fewest := min(tested)) < FEWEST_STIMULI:
            answered = (
                "" if len(complete) == len(stimuli) else f", every target answered {len(complete)}"
            )
            raise BadInput(
                f"{where}: a test fold has {fewest} of the {len(stimuli)} stimuli{answered}, at least "
                f"{FEWEST_STIMULI} are needed; lower n_folds, add stimuli, or leave targets out"
            )
        self.check_recording(recording)

    def kept_bytes(self, recording: Recording, design: Design) -> int:
        n, k = recording.n_stimuli, design.n_folds
        # All stimuli, and the test and training stimuli of each fold.
        n_pairs = gram_bytes(n) * (1 + 1 / k + (k - 1) ** 2 / k)
        if design.split is not None:
            parts = design.split.fold.train, design.split.fold.test
            n_pairs = gram_bytes(n) + sum(gram_bytes(len(rows)) for rows in parts)
        return int(n_pairs * self.kept_matrices(recording))

    def peak_bytes(self, recording: Recording, design: Design) -> int:
        n = recording.n_stimuli
        resampled = RESAMPLED * FLOAT64_BYTES * design.n_resamples * n
        return self.working_matrices(recording) * gram_bytes(n) + resampled

    def scorer(
        self, recording: Recording, stimuli: StimulusSet, design: Design, device: torch.device
    ) -> Scorer:
        return _Reference(self, recording, stimuli, design)


@dataclass(frozen=True, eq=False)
class _Reference:
    """A recording ready to be compared with: what needs no layer is computed once.

    Folds are those of the stimulus set, the same for every layer and model; each has its part of
    the recording, kept as long as this is.
    """

    readout: Similarity
    recording: Recording
    stimuli: StimulusSet
    design: Design
    _sides: dict[int | str, Side[Any]] = field(default_factory=dict)

    def __call__(self, layer: LayerGram) -> list[Row]:
        """The layer's similarity over all stimuli, with its interval, then fold by fold."""
        found = [self._whole(layer)]
        for number, fold in enumerate(self._folds):
            test = self._side(number, fold.test)
            score = test.compared(test.own(layer))
            training = self._side(f"{number} training", fold.train)
            selection = training.compared(training.own(layer)).score
            known = {"selection_score": defined(selection), "n_stimuli": len(test.rows)}
            found.append(self._row(number, score) | known)
        return found

    @cached_property
    def _complete(self) -> Rows:
        return self.recording.complete

    @cached_property
    def _folds(self) -> Sequence[Fold]:
        return self.design.folds(self.stimuli)

    def _whole(self, layer: LayerGram) -> Row:
        side = self._side("all", self._complete)
        own = side.own(layer)
        score = side.compared(own)
        low, high = self._interval(side, own)
        known = {"stimuli_low": low, "stimuli_high": high, "n_stimuli": len(side.rows)}
        return self._row(None, score) | known

    def _interval(self, side: Side[Own], own: Own) -> tuple[float | None, float | None]:
        """A bootstrap over groups of stimuli; None if undefined, of too few, or if it took too long."""
        groups = [self.stimuli.groups[row] for row in side.rows.tolist()]
        n_groups = len(set(groups))
        if n_groups < intervals.FEWEST_DRAWN:
            return None, None
        n_resamples = min(
            self.design.n_resamples, self.readout.most_resamples or self.design.n_resamples
        )
        counts = bootstrap.resample_counts(groups, n_resamples=n_resamples, seed=self.design.seed)
        draws = side.draws(own, counts)
        if draws is None or np.isnan(draws).all():
            return None, None
        low, high = intervals.percentile_interval(draws, n_drawn=n_groups)
        return float(low), float(high)

    def _row(self, fold: int | None, one: Compared) -> Row:
        return {
            "fold": fold,
            "score": defined(one.score),
            "stimuli_low": None,
            "stimuli_high": None,
            "r": one.subjects,
            "selection_score": None,
            "target_ids": self.recording.subject_ids if one.subjects else None,
            "n_constant_targets": 0,
            "undefined": reasons(one.undefined),
        }

    def _side(self, name: int | str, rows: Rows) -> Side[Any]:
        if name not in self._sides:
            answered = rows if len(self._complete) == len(self.stimuli) else rows[np.isin(rows, self._complete)]  # fmt: skip
            self._sides[name] = self.readout.side(self.recording, answered)
        return self._sides[name]


def of_features(score: float, *, flat: Callable[[], bool]) -> Compared:
    """A similarity of features and responses: where undefined, `flat` says if features are constant."""
    if not isnan(score):
        return Compared(score, ("",))
    return Compared(score, ("constant features" if flat() else "constant responses",))
