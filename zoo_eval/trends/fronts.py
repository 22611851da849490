"""Rows of the Pareto front: which models are on it, how surely, and what the zoo reaches along accuracy."""

import math

from zoo_eval.numerics.families.front import Front, front
from zoo_eval.numerics.families.jackknife import FEWEST_EFFECTIVE
from zoo_eval.trends.rows import Row, Sample

METHOD = "bootstrap of families with all their models; larger is better in both"
# Models less often on the front are not told.
LEAST_TOLD = 0.05


def pareto(sample: Sample) -> Front:
    """The front of accuracy and value with its band; models without a number are not in it."""
    return front(sample.x, sample.y, sample.families)


def fronts(sample: Sample) -> list[Row]:
    """A row for each model that is, or might be, on the front, and for each place along it."""
    if not len(sample.x):
        return []
    found = pareto(sample)
    return [*_members(sample, found), *_reached(sample, found)]


def _members(sample: Sample, found: Front) -> list[Row]:
    chosen = found.on_it | (found.probability >= LEAST_TOLD)
    return [
        sample.row(
            "front_probability",
            detail=sample.models[place],
            at=float(sample.x[place]),
            estimate=None if math.isnan(p := found.probability[place]) else float(p),
            no_interval="itself a share of the resamples that have the model",
            method=f"{METHOD}; measurement errors of the models are not in it",
        )
        for place in chosen.nonzero()[0]
    ]


def _reached(sample: Sample, found: Front) -> list[Row]:
    few = sample.families.effective < FEWEST_EFFECTIVE
    why = f"too few families: an interval takes {FEWEST_EFFECTIVE:.0f} of one size" if few else None
    nothing = "a fortieth of the resamples reach nothing as accurate"
    rows = []
    for at, reached, low, high in zip(found.at, found.reached, found.low, found.high, strict=True):
        whole = not (few or (math.isinf(low) and low < 0))
        rows.append(
            sample.row(
                "front_reached",
                at=float(at),
                estimate=float(reached),
                low=float(low) if whole else None,
                high=float(high) if whole else None,
                no_interval=None if whole else why or nothing,
                method=METHOD,
            )
        )
    return rows
