"""Contrasts: models that differ in one known fact, and how much their values differ."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

import numpy as np

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.shapes import mean_over_families
from zoo_eval.trends.rows import BY_FAMILY, Row, Sample, of_estimate

Fact = Mapping[str, Any]
Two = tuple[Any, Any]


@dataclass(frozen=True)
class Contrast:
    """A fact that differs while others are the same.

    `pairs` says which of the values found are set against each other, and `worded` how a pair is told. The
    facts `known` have to be so; of the rest, two that are not known count as the same.
    """

    differs: str
    same: tuple[str, ...]
    known: tuple[str, ...]
    pairs: Callable[[Sequence[Any]], Iterator[Two]]
    worded: Callable[[Any, Any], str]


@dataclass(frozen=True)
class Pair:
    """Two models, or means of models that are alike in all of these facts: second less first."""

    worded: str
    kin: str
    difference: float
    models: tuple[str, ...]


def _larger(what: str) -> Callable[[Any, Any], str]:
    return lambda first, second: f"{what}: larger less smaller"


def _named(what: str) -> Callable[[Any, Any], str]:
    return lambda first, second: f"{what}: {second} less {first}"


MADE = ("graded_from", "harmonized_from")
CONTRASTS = (
    Contrast(
        "pretraining", ("architecture", "input_px", "objective", *MADE), ("pretraining",),
        lambda found: combinations(found, 2), _named("training data"),
    ),
    Contrast(
        "objective", ("architecture", "input_px", "pretraining", *MADE), ("objective", "pretraining"),
        lambda found: combinations(found, 2), _named("objective"),
    ),
    Contrast(
        "input_px", ("architecture", "pretraining", "objective", *MADE), ("pretraining",),
        pairwise, _larger("input size"),
    ),
    Contrast(
        "n_params", ("kin", "input_px", "pretraining", "objective", "year", *MADE), ("pretraining",),
        pairwise, _larger("parameters within a family"),
    ),
)  # fmt: skip
HARMONIZED = "harmonized less the model it was made from"
GRADED = "graded less the same weights whole"


def contrasts(sample: Sample, facts: Sequence[Fact]) -> list[Row]:
    """A row for each kind of pair that the finite models have, the mean difference of their values.

    Args:
        sample: models.
        facts: of each model, in the same order.
    """
    finite = np.isfinite(sample.y)
    chosen = sample.among(finite, "infinite")
    told = [
        {**fact, "model": model, "value": float(value)}
        for fact, model, value in zip(facts, sample.models, sample.y, strict=True)
        if np.isfinite(value)
    ]
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for pair in [*harmonized_pairs(told), *_graded(told), *_all(told)]:
        by_kind[pair.worded].append(pair)
    return [_row(chosen, worded, pairs) for worded, pairs in by_kind.items()]


def harmonized_pairs(told: Sequence[Fact]) -> Iterator[Pair]:
    """Each harmonized model with the one it was made from, where both are here."""
    named = {fact["model"]: fact for fact in told}
    for fact in told:
        source = named.get(fact.get("harmonized_from") or "")
        if source is not None and source is not fact:
            yield _pair(HARMONIZED, source, fact)


def _graded(told: Sequence[Fact]) -> Iterator[Pair]:
    """Each graded model with the one that has its facts and no edits, where there is just one."""
    whole = defaultdict(list)
    for fact in told:
        if not fact.get("graded_from"):
            whole[_same(fact, ("architecture", "pretraining", "input_px"))].append(fact)
    for fact in told:
        found = whole[_same(fact, ("architecture", "pretraining", "input_px"))]
        if fact.get("graded_from") and len(found) == 1:
            yield _pair(GRADED, found[0], fact)


def _pair(worded: str, first: Fact, second: Fact) -> Pair:
    models = (first["model"], second["model"])
    return Pair(worded, first.get("kin") or models[0], second["value"] - first["value"], models)


def _all(told: Sequence[Fact]) -> Iterator[Pair]:
    for contrast in CONTRASTS:
        groups: dict[tuple[Any, ...], dict[Any, list[Fact]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for fact in told:
            if all(fact.get(name) is not None for name in (contrast.differs, *contrast.known)):
                groups[_same(fact, contrast.same)][fact[contrast.differs]].append(fact)
        for group in groups.values():
            yield from _within(contrast, group)


def _within(contrast: Contrast, group: Mapping[Any, Sequence[Fact]]) -> Iterator[Pair]:
    for first, second in contrast.pairs(sorted(group)):
        sides = group[first], group[second]
        means = [fmean(fact["value"] for fact in side) for side in sides]
        models = tuple(fact["model"] for side in sides for fact in side)
        kin = sides[0][0].get("kin") or models[0]
        yield Pair(contrast.worded(first, second), kin, means[1] - means[0], models)


def _same(fact: Fact, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(fact.get(name) for name in names)


def _row(sample: Sample, worded: str, pairs: Sequence[Pair]) -> Row:
    families = Families.of([pair.kin for pair in pairs])
    found = mean_over_families(np.array([pair.difference for pair in pairs]), families)
    models = sorted({model for pair in pairs for model in pair.models})
    return sample.row(
        "contrast",
        detail=worded,
        method=f"mean over pairs; {BY_FAMILY}",
        n_pairs=len(pairs),
        unit="pair",
        **{**of_estimate(found), "n_models": len(models), "models": models},
    )
