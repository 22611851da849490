"""What is held as presentations x targets: told from its tables and a sample, and written as long tables."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zoo_eval.numerics.repetitions import Repetitions
from zoo_eval.recordings import conversion
from zoo_eval.recordings.held import Chart, Held, Inspection, Written, counted, histogram
from zoo_eval.recordings.presentations import Numbers, Presentations, Values
from zoo_eval.recordings.response_ceilings import FEWEST_REPEATED, ResponseCeilings
from zoo_eval.recordings.target_choice import ROW, Selects, selected
from zoo_eval.units import size_text

# Targets that are read: runs of neighbours, which files often store together.
N_RUNS, RUN_TARGETS = 4, 8
SAMPLE_BYTES = 2**25
SAMPLE_S = 0.8
# Responses (stimulus, repetition, target) of which halves are compared, and how often they are drawn.
HALVED_CELLS = 2**18
N_HALVES = 10
# What a chart shows at most, and how many columns of targets are told and drawn.
MOST_VALUES, MOST_TOLD, MOST_DRAWN = 8, 24, 6
WIDEST_LIST = 60
RELIABLE = re.compile(r"reliab|ceiling|splithalf|split_half|ncsnr|snr|^nc_", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class HeldPresentations(Held):
    """Presentations of stimuli, and the responses of targets to them."""

    found: Presentations

    def inspection(self) -> Inspection:
        found = self.found
        times = Counter(Counter(found.stimulus_ids).values())
        charts = [
            Chart(
                "stimuli by how often they were shown",
                tuple((f"{n} time{'s' * (n > 1)}", times[n]) for n in sorted(times)),
            )
        ]
        facts = dict(_told(found))
        sample = _sample(found.sample or found)
        facts["read"] = sample.told(found)
        if (reliability := sample.reliability()) is not None:
            drawn, facts["reliability"] = reliability
            charts.append(drawn)
        else:
            facts["reliability"] = "of no repetitions: what was read was shown once"
        charts += _columns(found.targets)
        counts = {
            "presentations": len(found.stimulus_ids),
            "stimuli": times.total(),
            "targets": found.targets.num_rows,
        }
        return Inspection(counts, facts, _few(charts), found.notes)

    def selected(self, condition: str, select: Selects) -> Held:
        found = self.found
        targets = selected(found.where, found.targets, condition, select)
        rows: Numbers = targets.column(ROW).to_numpy()
        note = f"{len(rows)} of {found.targets.num_rows} targets are selected"
        return HeldPresentations(
            replace(
                _of_targets(found, targets, rows),
                sample=found.sample and _of_targets(found.sample, targets, rows),
                notes=(*found.notes, note),
            )
        )

    def write(self, folder: Path, most_bytes: int) -> Written:
        conversion.write(self.found, folder, most_bytes)
        return Written("parquet")


def _of_targets(found: Presentations, targets: pa.Table, rows: Numbers) -> Presentations:
    """Those of the targets of some rows, numbered anew."""

    def read(numbers: Numbers) -> Values:
        return found.read(rows[numbers])

    return replace(found, targets=targets.drop_columns([ROW]), read=read)


def _told(found: Presentations) -> Iterator[tuple[str, str]]:
    n_bytes = len(found.stimulus_ids) * found.targets.num_rows * found.itemsize
    yield "responses", f"float{8 * found.itemsize}, {size_text(n_bytes)}"
    if found.sessions is not None:
        names = list(dict.fromkeys(found.sessions))
        several = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        yield "sessions", f"{len(names)} ({several})"
    for split, sides in found.splits.items():
        shown = Counter(dict(zip(found.stimulus_ids, sides, strict=True)).values())
        said = [f"{shown[side]} to {side}" for side in ("train", "test")]
        yield f"split {split}", f"stimuli: {', '.join(said)}" + (f", {shown['']} in neither" if shown[""] else "")  # fmt: skip
    columns = found.targets.column_names
    for name in columns[:MOST_TOLD]:
        yield f"column {name}", _values_told(found.targets.column(name))
    if len(columns) > MOST_TOLD:
        yield "columns", f"{len(columns) - MOST_TOLD} more: {', '.join(columns[MOST_TOLD:])}"


def _values_told(column: pa.ChunkedArray) -> str:
    unknown = f", {column.null_count} unknown" if column.null_count else ""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        ends = pc.min_max(column).as_py()
        if ends["min"] is None:
            return "none is known"
        return f"{ends['min']:.4g} to {ends['max']:.4g}{unknown}"
    values = _distinct(column)
    listed = ", ".join(map(str, values[:MOST_VALUES]))
    if len(values) <= MOST_VALUES and len(listed) <= WIDEST_LIST:
        return (listed or "none is known") + unknown
    return f"{len(values)} values, {values[0]} to {values[-1]}{unknown}"


def _distinct(column: pa.ChunkedArray) -> list[Any]:
    """Its values that are known, each once, in the order of their first; text of those that hold others."""
    known = column.drop_null()
    if pa.types.is_nested(known.type):
        return list(dict.fromkeys(map(str, known.to_pylist())))
    if pa.types.is_dictionary(known.type):
        known = known.cast(known.type.value_type)
    found: list[Any] = pc.unique(known).to_pylist()
    return found


def _columns(targets: pa.Table) -> Iterator[Chart]:
    """Reliabilities and what else there are few values of, as charts."""
    for name in targets.column_names[1:]:
        column = targets.column(name)
        if pa.types.is_floating(column.type):
            if RELIABLE.search(name) and column.null_count < len(column):
                yield histogram(f"targets by {name}", column.to_numpy().astype(np.float64))
            continue
        # A number that hardly two targets share is a place or a number of theirs.
        most = len(column) // 2 if pa.types.is_integer(column.type) else len(column) - 1
        if 1 < len(_distinct(column)) <= min(MOST_VALUES, most):
            yield counted(f"targets by {name}", map(str, column.drop_null().to_pylist()))


def _few(charts: list[Chart]) -> list[Chart]:
    """Not more than can be looked at, the first two whatever they are, reliabilities before others."""
    later = sorted(charts[2:], key=lambda one: RELIABLE.search(one.title) is None)
    return [*charts[:2], *later][:MOST_DRAWN]


@dataclass(frozen=True, eq=False)
class _Sample:
    """Responses (presentation, target) of some targets, to all or some of the presentations."""

    part: Presentations
    numbers: Numbers
    values: Values

    def told(self, found: Presentations) -> str:
        missing = np.isnan(self.values)
        shown = f"{len(self.values)} of {len(found.stimulus_ids)} presentations"
        of = f"{len(self.numbers)} of {found.targets.num_rows} targets x {shown}"
        if missing.all():
            return f"{of}: every response is missing"
        low, high = np.nanmin(self.values), np.nanmax(self.values)
        return f"{of}: from {low:.4g} to {high:.4g}, {100 * missing.mean():.3g} % missing"

    def reliability(self) -> tuple[Chart, str] | None:
        """That of halves of the repetitions, drawn and told; None where too few stimuli have any."""
        names = {one: number for number, one in enumerate(dict.fromkeys(self.part.stimulus_ids))}
        stimulus = np.array([names[one] for one in self.part.stimulus_ids])
        counts = np.bincount(stimulus)
        most = max(FEWEST_REPEATED, HALVED_CELLS // (int(counts.max()) * len(self.numbers)))
        repeated = np.flatnonzero(counts > 1)[:most]
        if len(repeated) < FEWEST_REPEATED:
            return None
        place = np.full(len(counts), -1)
        place[repeated] = np.arange(len(repeated))
        order = np.argsort(place[stimulus], kind="stable")
        order = order[place[stimulus][order] >= 0]
        shown = Repetitions(self.values[order], place[stimulus][order])
        ids = tuple(map(str, self.numbers.tolist()))
        halves, *_ = ResponseCeilings(ids, lambda: shown).repetitions(N_HALVES)
        values = np.array(list(halves.values(0).values()))
        title = f"{len(ids)} targets by reliability (split half, Spearman-Brown)"
        known = values[~np.isnan(values)]
        middle = f"median {np.median(known):.3f}" if len(known) else "undefined"
        told = f"{middle}, of {len(ids)} targets over {len(repeated)} stimuli that were shown repeatedly"
        return histogram(title, values), told


def _sample(part: Presentations) -> _Sample:
    """Some targets' responses, as far as there is time: no run that would end too late is begun."""
    n_targets, n_shown = part.targets.num_rows, len(part.stimulus_ids)
    length = SAMPLE_BYTES // (N_RUNS * n_shown * part.itemsize)
    length = max(1, min(RUN_TARGETS, length))
    starts = np.linspace(0, max(0, n_targets - length), N_RUNS).astype(np.int64)
    taken: list[Numbers] = []
    values: list[Values] = []
    began = time.perf_counter()
    for start in starts.tolist():
        known = taken[-1][-1] + 1 if taken else 0
        run = np.arange(max(start, known), min(start + length, n_targets))
        if len(run):
            taken.append(run)
            values.append(part.read(run))
        elapsed = time.perf_counter() - began
        if elapsed + elapsed / max(1, len(taken)) > SAMPLE_S:
            break
    read: Values = np.concatenate(values, 1)  # type: ignore[assignment]  # all of one type
    return _Sample(part, np.concatenate(taken), read)
