"""Coverage of intervals over families, and false positives of tests, on simulated zoos.

    python -m benchmarks.trends [--quick]

Nothing is measured of any model here: zoos are drawn whose correlation, or curve, is known.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from benchmarks import measurement
from benchmarks.attacks_page import table
from zoo_eval.numerics.families.change_point import change_point
from zoo_eval.numerics.families.correlated import correlated
from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.permutation import no_relation_p
from zoo_eval.numerics.families.two_lines import two_lines
from zoo_eval.numerics.trends import CORRELATIONS, KENDALL, PEARSON, SPEARMAN, naive_interval

Array = npt.NDArray[np.float64]
Row = dict[str, float | str]

N_MODELS = 300
CORRELATED = (0.0, 0.6)
# Spearman's and Kendall's coefficients of a normal population with this Pearson's.
OF_POPULATION: Mapping[str, Callable[[float], float]] = {
    PEARSON.name: lambda r: r,
    SPEARMAN.name: lambda r: 6 / np.pi * np.arcsin(r / 2),
    KENDALL.name: lambda r: 2 / np.pi * np.arcsin(r),
}
MONOTONE: Mapping[str, Callable[[Array], Array]] = {
    "linear": lambda u: u,
    "saturating": lambda u: 1 - np.exp(-5 * u),
    "log": lambda u: np.log(u + 0.05),
    "plateau": lambda u: np.minimum(u, 0.5),
}
FALLING: Mapping[str, Callable[[Array], Array]] = {
    "rises, then falls": lambda u: np.where(u < 0.6, u, 1.2 - u)
}
LEVEL = 0.05


@dataclass(frozen=True)
class Setting:
    """Families, their sizes (equal or Zipf's: 1, 1/2, 1/3, ...) and how alike their models are."""

    n_families: int
    sizes: str
    alike: float

    @property
    def families(self) -> Families:
        shares = np.ones(self.n_families)
        if self.sizes == "Zipf":
            shares = 1 / np.arange(1, self.n_families + 1)
        counts = np.maximum(1, np.round(N_MODELS * shares / shares.sum())).astype(int)
        return Families.of([f"{i:03d}" for i, n in enumerate(counts) for _ in range(n)])

    def drawn(self, rng: np.random.Generator, families: Families, n: int) -> Array:
        """Standard normal values (n, model), of models of one family correlated by `alike`."""
        of_family = rng.standard_normal((n, len(families.names)))[:, families.codes]
        own = rng.standard_normal((n, len(families.codes)))
        values: Array = self.alike**0.5 * of_family + (1 - self.alike) ** 0.5 * own
        return values


@dataclass(frozen=True)
class Numbers:
    """How many of what a run simulates."""

    simulated: int
    naive: int
    permuted: int
    changed: int
    families: tuple[int, ...]


WHOLE = Numbers(1000, 100, 1000, 300, (10, 30, 60))
QUICK = Numbers(50, 20, 50, 20, (10, 30))
# The settings are simulated side by side.
N_PROCESSES = 2


def settings(numbers: Numbers) -> Iterator[Setting]:
    """All that a run simulates."""
    for n, sizes, alike in product(numbers.families, ("equal", "Zipf"), (0.5, 0.8)):
        yield Setting(n, sizes, alike)


def coverage(setting: Setting, numbers: Numbers) -> Row:
    """How often intervals hold the population's correlation, and how often its absence is denied."""
    rng = np.random.default_rng(
        [setting.n_families, setting.sizes == "Zipf", int(10 * setting.alike)]
    )
    families = setting.families
    held: dict[str, list[bool]] = {one.name: [] for one in CORRELATIONS}
    naive: dict[str, list[bool]] = {one.name: [] for one in CORRELATIONS}
    denied = []
    for r, place in product(CORRELATED, range(numbers.simulated)):
        x, other = setting.drawn(rng, families, 2)
        y = r * x + (1 - r * r) ** 0.5 * other
        for one in CORRELATIONS:
            truth = OF_POPULATION[one.name](r)
            found = correlated(one, x, y, families)
            held[one.name].append(_holds(found.low, truth, found.high))
            if place < numbers.naive:
                over = naive_interval(one, x, y, n_resamples=200, seed=place)
                naive[one.name].append(_holds(over.low, truth, over.high))
        if r == 0 and place < numbers.permuted:
            denied.append(no_relation_p(x, y, families, n_permutations=499, seed=place) <= LEVEL)
    return {
        **vars(setting),
        "effective": families.effective,
        **{name: float(np.mean(flags)) for name, flags in held.items()},
        **{f"naive {name}": float(np.mean(flags)) for name, flags in naive.items()},
        "permutation": float(np.mean(denied)),
    }


def _holds(low: float | None, truth: float, high: float | None) -> bool:
    return low is not None and high is not None and low <= truth <= high


def turns(setting: Setting, name: str, numbers: Numbers) -> Row:
    """How often the two-lines test says "rises and falls" of a curve, and how often it cannot say."""
    rng = np.random.default_rng(
        [7, len(name), setting.n_families, setting.sizes == "Zipf", int(10 * setting.alike)]
    )
    families, curve = setting.families, {**MONOTONE, **FALLING}[name]
    said, silent, changed = [], [], []
    for place in range(numbers.simulated):
        hidden, noise = setting.drawn(rng, families, 2)
        x = 1 / (1 + np.exp(-1.5 * hidden))
        y = curve(x) / np.std(curve(np.linspace(0.02, 0.98, 97))) + noise
        found = two_lines(x, y, families)
        p = None if found is None else found.p_value
        silent.append(p is None)
        said.append(p is not None and p <= LEVEL)
        if name == "linear" and place < numbers.changed:
            change = change_point(x, y, families, n_resamples=199, seed=place)
            changed.append(change is not None and change.p_value <= LEVEL)
    row = {
        **vars(setting),
        "truth": name,
        "said": float(np.mean(said)),
        "silent": float(np.mean(silent)),
    }
    return {**row, "changed": float(np.mean(changed))} if changed else row


def summary(covered: Sequence[Row], turned: Sequence[Row]) -> dict[str, float]:
    """The last line's figures."""
    shares = [float(row[one.name]) for row in covered for one in CORRELATIONS]
    naive = [float(row[f"naive {one.name}"]) for row in covered for one in CORRELATIONS]
    monotone = [float(row["said"]) for row in turned if row["truth"] in MONOTONE]
    power = [float(row["said"]) for row in turned if row["truth"] not in MONOTONE]
    return {
        "worst_coverage": min(shares),
        "highest_coverage": max(shares),
        "worst_naive_coverage": min(naive),
        "highest_naive_coverage": max(naive),
        "two_lines_false_positives": max(monotone),
        "two_lines_least_power": min(power),
        "two_lines_most_power": max(power),
        "permutation_false_positives": max(float(row["permutation"]) for row in covered),
        "change_point_false_positives": max(
            float(row["changed"]) for row in turned if "changed" in row
        ),
    }


def coverage_table(covered: Sequence[Row]) -> str:
    """Markdown of coverage by setting."""
    names = [one.name for one in CORRELATIONS]
    header = [
        "families",
        "sizes",
        "alike",
        "G*",
        *names,
        *(f"naive {name}" for name in names),
        "permutation",
    ]
    cells = [
        [
            str(row["n_families"]), str(row["sizes"]), str(row["alike"]), f"{row['effective']:.1f}",
            *(f"{100 * float(row[name]):.1f} %" for name in header[4:]),
        ]
        for row in covered
    ]  # fmt: skip
    return table(header, cells)


def turns_table(turned: Sequence[Row]) -> str:
    """Markdown of the two-lines test by setting: said, and in brackets how often it could not say."""
    truths = list(dict.fromkeys(str(row["truth"]) for row in turned))
    by_setting: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in turned:
        key = tuple(str(row[name]) for name in ("n_families", "sizes", "alike"))
        by_setting.setdefault(key, {})[str(row["truth"])] = row
    cells = [
        [
            *key,
            *(
                f"{100 * float(rows[t]['said']):.1f} % ({100 * float(rows[t]['silent']):.0f} %)"
                for t in truths
            ),
            f"{100 * float(rows['linear']['changed']):.1f} %",
        ]
        for key, rows in by_setting.items()
    ]
    return table(["families", "sizes", "alike", *truths, "change point, linear"], cells)


def main() -> None:
    quick = measurement.quick("Coverage of intervals over families, false positives of tests.")
    numbers = QUICK if quick else WHOLE
    began = time.perf_counter()
    asked = list(settings(numbers))
    curves = [(one, name) for name in (*MONOTONE, *FALLING) for one in asked]
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        waiting = [pool.submit(turns, one, name, numbers) for one, name in curves]
        covered = list(pool.map(coverage, asked, [numbers] * len(asked)))
        turned = [one.result() for one in waiting]
    print(coverage_table(covered))
    print(turns_table(turned))
    found = summary(covered, turned)
    if not quick:
        from benchmarks import trends_page

        trends_page.write(covered, (coverage_table(covered), turns_table(turned)), found)
    print(f"{time.perf_counter() - began:.0f} s")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
