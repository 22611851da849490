"""Minimal attacks: against exact minima, and on trained models against Foolbox and adv-lib.

    python -m benchmarks.attacks [--quick] [--models lite0 ...] [--photos N] [--side PX] [--keep FILE]

--quick takes 4 photos at 128 pixels on one model and a DDN of 250 gradients. Otherwise every photo
that a model classifies correctly is taken, at the model's own input size unless --side gives another;
the attacks that matter less run on the first 3. That takes over an hour on two cores, and writes
docs/attacks_benchmark.md and docs/attacks.svg. With --keep, what has been measured is in a file, and
a run that was cut off goes on from there.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks import attacks_page, rivals
from benchmarks.attacks_trained import (
    WEIGHTS,
    Measured,
    Trained,
    bisection_saving,
    interval,
    measured,
    opened,
    overhead,
    with_crops,
    with_photos,
)
from benchmarks.measurement import report
from zoo_eval.numerics.attacks import conformance, registry
from zoo_eval.numerics.attacks.ensemble import Ensemble
from zoo_eval.numerics.attacks.perpendicular import Perpendicular

# Perpendicular with ever more gradients: 17, 26, 41, 59 (as it comes) and 99 at most.
BUDGETS = (
    Perpendicular(classes=3, starts=2, trial_steps=2, steps=6),
    Perpendicular(classes=4, starts=2, trial_steps=3, steps=12),
    Perpendicular(steps=15),
    Perpendicular(),
    Perpendicular(steps=73),
)
# On photos and models that its options were not chosen on, in few gradients and in many.
ON_CROPS = (BUDGETS[1], BUDGETS[3], BUDGETS[4])
LESS = ("ddn", "fmn", "deepfool", "apgd_bisect")
# Attacks whose time is compared with that of their passes, shortened.
TIMED: Mapping[str, Mapping[str, int]] = {
    "perpendicular": {}, "ddn": {"steps": 15}, "fmn": {"steps": 15}, "deepfool": {},
    "pgd_bisect": {"rounds": 5}, "apgd_bisect": {"rounds": 5}, "ensemble": {"steps": 9},
}  # fmt: skip
# A rival with a tenth more gradients than the ensemble still counts as one with as many.
AS_MANY = 1.1
HEADER = (
    "model", "attack", "photos", "gradients/photo", "forwards/photo",
    "geometric-mean l2", "over the long DDN, photo by photo",
)  # fmt: skip
CONFORMANCE = (
    "attack", "norm", "two classes", "many classes", "any problem", "bound stated", "solved",
    "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What one run measures."""

    models: Sequence[str]
    side: int | None
    n_photos: int
    n_fewer: int
    n_crops: int
    n_timings: int
    long_steps: int
    ensemble: Ensemble
    budgets: Sequence[Perpendicular]
    timed: Mapping[str, Mapping[str, int]]
    scales: Sequence[float]
    seeds: Sequence[int]
    quick: bool
    kept: Path | None = None


FULL = Plan(
    tuple(WEIGHTS), None, n_photos=20, n_fewer=3, n_crops=6, n_timings=5, long_steps=1000,
    ensemble=Ensemble(), budgets=BUDGETS, timed=TIMED, scales=conformance.SCALES,
    seeds=(0, 1), quick=False,
)  # fmt: skip
# The ensemble with no more gradients than its rivals there.
QUICK = Plan(
    ("lite0",), 128, n_photos=4, n_fewer=4, n_crops=0, n_timings=2, long_steps=250,
    ensemble=Ensemble(steps=65), budgets=(*BUDGETS[:2], BUDGETS[3]),
    timed={"perpendicular": {"steps": 6}}, scales=(100.0,), seeds=(0,), quick=True,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compared:
    """All that ran on one model's photos; `long` is the DDN with the most gradients."""

    model: Trained
    perpendicular: Sequence[Measured]
    long: Measured
    ensemble: Measured | None = None
    others: Sequence[Measured] = ()

    @property
    def all(self) -> list[Measured]:
        ensemble = [self.ensemble] if self.ensemble else []
        return [*self.perpendicular, *ensemble, *self.others, self.long]

    @property
    def gradients_to_long(self) -> float:
        """The fewest with which perpendicular reaches the long DDN, as a share of that one's."""
        enough = [one.gradients for one in self.perpendicular if one.mean_over(self.long) <= 1]
        return min(enough, default=math.inf) / self.long.gradients

    def best_rival(self, ensemble: Measured) -> Measured:
        """The one that does best beside the ensemble, of those with about as many gradients or fewer.

        Each is compared on the photos that it was given.
        """
        most = AS_MANY * ensemble.gradients
        theirs = [one for one in self.all if not one.name.startswith("ours")]
        allowed = [one for one in theirs if one.gradients <= most and len(ensemble.over(one))]
        return max(allowed, key=ensemble.mean_over)

    def rows(self) -> list[list[str]]:
        return [
            [self.model.name, one.name, str(len(one.distances)), f"{one.gradients:.0f}",
             f"{one.forwards:.0f}", f"{one.mean:.5f}", interval(one, self.long)]
            for one in self.all
        ]  # fmt: skip

    def summary(self) -> list[str]:
        where = f"{self.model.name}, {len(self.model.photos)} photos"
        lines = [
            f"{where}: perpendicular reaches the distance of {self.long.name} with "
            f"{self.gradients_to_long:.3f} of its gradients"
        ]
        if self.ensemble:
            best = self.best_rival(self.ensemble)
            lines.append(
                f"{where}: ensemble, {self.ensemble.gradients:.0f} gradients, over the best rival "
                f"with as many, {best.name} ({len(self.ensemble.over(best))} photos): "
                f"{interval(self.ensemble, best)}"
            )
        return lines


def compared(model: Trained, plan: Plan) -> Compared:
    """Ours, the long DDN, and rivals with the gradients that the ensemble took."""
    own = [measured(_name(one), one.perturb, model) for one in plan.budgets]
    long = measured(*rivals.long_ddn(plan.long_steps), model)
    ensemble = measured("ours: ensemble", plan.ensemble.perturb, model)
    everywhere, fewer = rivals.deepfools(), []
    if not plan.quick:
        steps = math.ceil(ensemble.gradients)
        everywhere += rivals.strongest(steps)
        mine = [(f"ours: {name}", registry.build(name, {}).perturb) for name in LESS]
        fewer = [*mine, *rivals.of_adv_lib(steps), *rivals.of_foolbox(steps)]
    others = [measured(*one, model) for one in everywhere]
    some = model.first(plan.n_fewer)
    return Compared(model, own, long, ensemble, [*others, *(measured(*one, some) for one in fewer)])


def on_crops(model: Trained, plan: Plan) -> Compared:
    """Perpendicular against the long DDN alone."""
    own = [measured(_name(one), one.perturb, model) for one in ON_CROPS]
    return Compared(model, own, measured(*rivals.long_ddn(plan.long_steps), model))


def _name(attack: Perpendicular) -> str:
    most = attack.classes + attack.starts * (2 + attack.trial_steps) + attack.steps
    return f"ours: perpendicular, {most}"


def conformance_rows(plan: Plan) -> tuple[list[list[str]], float]:
    """A line for each registered attack and norm, and the ensemble's worst ratio."""
    rows, worst_of_ensemble = [], 0.0
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Images of 192 values: threads would only wait for each other.
    for name in registry.ATTACKS:
        for norm in registry.norms_of(name):
            if plan.quick and norm == "linf" and name != "ensemble":
                continue
            attack = registry.build(name, {}, norm)
            found = [
                row
                for seed in plan.seeds
                for row in conformance.check(attack, scales=plan.scales, seed=seed)
            ]
            two, many, worst = _worst(found)
            solved = min(row.solved_share for row in found if not math.isnan(row.solved_share))
            failures = "; ".join(f"{row.problem}: {row.reason}" for row in found if not row.passed)
            rows.append(
                [name, norm, f"{two:.4f}", f"{many:.4f}", f"{worst:.4f}", f"{attack.bound:g}",
                 f"{solved:.0%}", failures or "passed"]
            )  # fmt: skip
            print(" ".join(rows[-1]), flush=True)
            if name == "ensemble":
                worst_of_ensemble = max(worst_of_ensemble, worst)
    torch.set_num_threads(n_threads)
    return rows, worst_of_ensemble


def _worst(rows: Sequence[conformance.Row]) -> tuple[float, float, float]:
    """Of two linear classes, of more, and of every problem that says something."""
    known = [row for row in rows if not math.isnan(row.worst_ratio)]
    two = [row.worst_ratio for row in known if row.problem.startswith("two linear classes")]
    many = [row.worst_ratio for row in known if row.problem.split()[0].isdigit()]
    return max(two), max(many), max(row.worst_ratio for row in known)


def main() -> None:
    """Prints both tables and the ratios; a full run also writes the page and the figure."""
    plan = _plan()
    done: list[Compared] = []
    savings: list[tuple[float, float]] = []
    times: dict[str, float] = {}
    for name in plan.models:
        model = opened(name)
        photos = replace(with_photos(name, model, plan.n_photos, plan.side), kept=plan.kept)
        savings.append(bisection_saving(photos))
        print(f"{name}: gradients saved, distances apart: {savings[-1]}")
        times = times or _times(photos.first(4), plan)
        done.append(compared(photos, plan))
        if plan.n_crops:
            crops = with_crops(name, model, plan.n_crops, plan.side)
            done.append(on_crops(replace(crops, kept=plan.kept), plan))
        print("\n".join(line for one in done for line in one.summary()), flush=True)
    exact, worst = conformance_rows(plan)
    rows = [row for one in done for row in one.rows()]
    result = {
        "ensemble_worst_ratio": worst,
        "gradients_to_ddn": max(one.gradients_to_long for one in done),
        "ensemble_over_best_rival": max(_over_best_rival(one) for one in done),
        "bisection_gradients_saved": min(saved for saved, _ in savings),
        "bisection_distances_apart": max(apart for _, apart in savings),
        "attack_time_over_passes": max(times.values()),
    }
    print("\ndistance / exact minimum, the worst over images, logit scales and seeds:\n")
    print(attacks_page.table(CONFORMANCE, exact))
    report(HEADER, rows, result)
    if not plan.quick:
        summary = [line for one in done for line in one.summary()]
        attacks_page.write(
            _command(plan),
            (CONFORMANCE, exact),
            (HEADER, rows),
            summary,
            {one.model.name: (one.all, one.long) for one in done},
        )


def _times(model: Trained, plan: Plan) -> dict[str, float]:
    """Each timed attack's seconds over those of its passes."""
    found = {}
    for name, options in plan.timed.items():
        found[name] = overhead(registry.build(name, options), model, plan.n_timings)
        print(f"{model.name} {name}: {found[name]:.3f} of the time of its passes", flush=True)
    return found


def _over_best_rival(one: Compared) -> float:
    if one.ensemble is None:
        return 0.0
    return one.ensemble.mean_over(one.best_rival(one.ensemble))


def _command(plan: Plan) -> str:
    """What measures the same, without a file that went before."""
    words = ["python", "-m", "benchmarks.attacks"]
    if plan.models != FULL.models:
        words += ["--models", *plan.models]
    if plan.n_photos != FULL.n_photos:
        words += ["--photos", str(plan.n_photos)]
    if plan.side != FULL.side:
        words += ["--side", str(plan.side)]
    return " ".join(words)


def _plan() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute on two cores")
    parser.add_argument("--models", nargs="+", choices=WEIGHTS)
    parser.add_argument("--photos", type=int)
    parser.add_argument("--side", type=int)
    parser.add_argument("--keep", type=Path, help="a file to go on from, should the run be cut off")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    return replace(
        plan,
        models=tuple(given.models or plan.models),
        n_photos=given.photos or plan.n_photos,
        side=given.side or plan.side,
        kept=given.keep,
    )


if __name__ == "__main__":
    main()
