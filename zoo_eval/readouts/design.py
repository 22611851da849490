"""Design: how scores are made whatever the readout: folds, resamples, principal components, seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from zoo_eval.numerics import protocols
from zoo_eval.numerics.principal_components import reduced_gram
from zoo_eval.numerics.protocols import FoldScore
from zoo_eval.numerics.solvers import Solver
from zoo_eval.numerics.splits import Fold, Rows, grouped_folds
from zoo_eval.recordings.split import Split
from zoo_eval.stimuli.stimulus_set import StimulusSet

ProtocolName = Literal["nested", "kfold", "brainscore", "published"]


@dataclass(frozen=True)
class Reduction:
    """Principal components that features are reduced to, fitted on images behind the stimuli."""

    n_components: int
    n_images: int
    stimuli_digest: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Its part of a trial's identity."""
        return {"pca_stimuli": self.stimuli_digest, "pca_components": self.n_components}


@dataclass(frozen=True)
class Design:
    """A protocol with its folds and resamples, and the sweep's seed: the same for every layer.

    `split` is that of protocol `published`, whose only fold it is. With a `reduction`, the Gram matrix also holds its images, behind the recording's stimuli.
    """

    protocol: ProtocolName = "nested"
    n_folds: int = 5
    n_inner_folds: int = 4
    n_resamples: int = 200
    seed: int = 0
    reduction: Reduction | None = None
    split: Split | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Its part of a trial's identity, but for the inner folds, which some readouts have not."""
        found: dict[str, Any] = {
            "n_resamples": self.n_resamples,
            "protocol_version": protocols.VERSIONS[self.protocol],
        }
        if self.split is not None:
            found |= self.split.parameters
        elif not self.is_stratified:
            found["n_folds"] = self.n_folds
        return found | (self.reduction.parameters if self.reduction else {})

    @property
    def is_stratified(self) -> bool:
        """Whether stimuli are shuffled by label, instead of kept together by group."""
        return self.protocol == "brainscore"

    @property
    def n_splits(self) -> int:
        """How many splits into training and test stimuli are scored."""
        if self.split is not None:
            return 1
        return protocols.BRAINSCORE_SPLITS if self.is_stratified else self.n_folds

    def n_train(self, n_stimuli: int) -> int:
        """The most stimuli that a split trains on."""
        if self.split is not None:
            return len(self.split.fold.train)
        return n_stimuli - n_stimuli // self.n_splits

    @property
    def n_images(self) -> int:
        """Images that principal components are fitted on."""
        return self.reduction.n_images if self.reduction else 0

    def folds(self, stimuli: StimulusSet) -> Sequence[Fold]:
        """The grouped folds of a stimulus set, or the published split.

        Raises:
            ValueError: fewer groups than folds.
        """
        if self.split is not None:
            return [self.split.fold]
        return grouped_folds(stimuli.groups, n_folds=self.n_folds, seed=self.seed)

    def training_rows(self, stimuli: StimulusSet) -> list[Rows]:
        """The stimuli that each scored split trains on.

        Raises:
            ValueError: too few groups or stimuli for the protocol.
        """
        if self.is_stratified:
            n = self.n_inner_folds
            folds, _ = protocols.brainscore_folds(_strata(stimuli), n_inner_folds=n)
            return [fold.train for fold in folds]
        return [fold.train for fold in self.folds(stimuli)]

    def inner_folds(self, stimuli: StimulusSet) -> list[Fold]:
        """The folds inside the training stimuli of all splits.

        Raises:
            ValueError: too few groups or stimuli for the protocol.
        """
        if self.split is not None:
            inner = protocols.folds_within(
                [self.split.fold], stimuli.groups, self.n_inner_folds, self.seed
            )
        elif self.is_stratified:
            _, inner = protocols.brainscore_folds(
                _strata(stimuli), n_inner_folds=self.n_inner_folds
            )
        else:
            _, inner = protocols.nested_folds(stimuli.groups, **self._grouped)
        return [fold for some in inner for fold in some]

    def reduced(self, gram: Tensor, n_stimuli: int) -> Tensor:
        """The Gram matrix of the stimuli, by the principal components of the images behind them."""
        if self.reduction is None:
            return gram
        cross, fitting = gram[:n_stimuli, n_stimuli:], gram[n_stimuli:, n_stimuli:]
        return reduced_gram(cross, fitting, self.reduction.n_components)

    def scores(
        self, gram: Tensor, responses: Tensor, stimuli: StimulusSet, solver: Solver
    ) -> list[FoldScore]:
        """Each split's scores of responses (stimulus, target), fitted from K (stimulus, stimulus).

        Raises:
            ValueError: as the protocols of `zoo_eval.numerics.protocols` do.
        """
        if self.is_stratified:
            return protocols.brainscore(
                gram, responses, _strata(stimuli), solver, n_inner_folds=self.n_inner_folds
            )
        if self.split is not None:
            inside = {"n_inner_folds": self.n_inner_folds, "seed": self.seed}
            return protocols.published(
                gram, responses, self.split.fold, stimuli.groups, solver, **inside
            )
        run = {"nested": protocols.nested, "kfold": protocols.kfold}[self.protocol]
        # From the sweep's seed alone: every model and layer is scored on the same folds.
        return run(gram, responses, stimuli.groups, solver, **self._grouped)

    @property
    def _grouped(self) -> Mapping[str, int]:
        return {
            "n_folds": self.n_folds,
            "n_inner_folds": self.n_inner_folds,
            "seed": self.seed,
        }


def has_strata(stimuli: StimulusSet) -> bool:
    """Whether a stimulus set says what a stratified split has equal shares of."""
    return stimuli.strata is not None or stimuli.labels is not None


def _strata(stimuli: StimulusSet) -> Sequence[int]:
    """The stratum of each stimulus; names are in the order of text, as scikit-learn has them."""
    if stimuli.strata is not None:
        places = {name: place for place, name in enumerate(sorted(set(stimuli.strata)))}
        return [places[name] for name in stimuli.strata]
    assert stimuli.labels is not None
    return stimuli.labels
