"""Layer fit: whether each pattern of layers, and each of models, fits something in a sweep."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal, nearest, refusal_of
from zoo_eval.evaluations.evaluation import Candidate, Evaluation
from zoo_eval.evaluations.layer_choice import EVERY_MODEL, LayeredSection
from zoo_eval.models.blueprint import NoSuchLayer
from zoo_eval.sweep.faults import PASSING, fault_of


@dataclass
class _Tried:
    """One pattern of layers: whether it fits a model, or may, and why others lack it."""

    may_fit: bool = False
    misfits: dict[str, Refusal] = field(default_factory=dict)

    def message(self, pattern: str) -> str | None:
        if self.may_fit or not self.misfits:
            return None
        (model, first), *_ = self.misfits.items()
        lacking = [one for one in self.misfits.values() if isinstance(one, NoSuchLayer)]
        if len(lacking) == len(self.misfits):
            known = dict.fromkeys(name for one in lacking for name in one.known)
            return f"layer {pattern!r} is in no model of the sweep; {nearest(pattern, known)}"
        return f"layer {pattern!r} fits no model of the sweep; of {model}: {first}"


@dataclass
class LayerFit:
    """Counts what fits while models are planned one after another."""

    evaluations: Sequence[Evaluation]
    _tried: dict[tuple[int, str, str], _Tried] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, evaluation, key in self._model_patterns():
            for pattern in evaluation.patterns_of(key):
                self._tried[number, key, pattern] = _Tried()

    def note(self, card: ModelCard, candidate: Candidate | None) -> None:
        """What fits one model; of one that cannot be planned, anything may."""
        for (number, key, pattern), tried in self._tried.items():
            evaluation = self.evaluations[number]
            assert isinstance(evaluation, LayeredSection)
            if tried.may_fit or evaluation.model_pattern(card.name) != key:
                continue
            try:
                if candidate is not None:
                    candidate.known()[1].fitting(pattern)
            except Exception as error:  # noqa: BLE001 - a network's own code may run
                if fault_of(error) in PASSING:
                    tried.may_fit = True
                    continue
                tried.misfits[card.name] = refusal_of(error, card.name)
            else:
                tried.may_fit = True

    def misfit(self, cards: Sequence[ModelCard]) -> str | None:
        """What is wrong with the first pattern that fits nothing; None where each fits."""
        for _, evaluation, key in self._model_patterns():
            names = [card.name for card in cards]
            # What stands for all others may have none left.
            if key == EVERY_MODEL:
                continue
            if names and key not in map(evaluation.model_pattern, names):
                return (
                    f"`layers`: {key!r} decides for no model of the sweep, or another pattern fits "
                    f"first; {nearest(key, names)}"
                )
        messages = (tried.message(pattern) for (*_, pattern), tried in self._tried.items())
        return next(filter(None, messages), None)

    def _model_patterns(self) -> Iterator[tuple[int, LayeredSection, str]]:
        for number, evaluation in enumerate(self.evaluations):
            if isinstance(evaluation, LayeredSection):
                for key in evaluation.model_patterns:
                    yield number, evaluation, key
