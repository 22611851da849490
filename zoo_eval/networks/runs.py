"""Runs: layers in a row whose names differ by a number, `layer3.0..5`, in the text of one."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

NUMBERED = re.compile(r"(.*?(?<!\d))(0|[1-9]\d*)")
RUN = re.compile(r"(.*?)(\d+)\.\.(\d+)=(\d+)\+(\d+):(\d+)")


class Layer(NamedTuple):
    """A layer: its position among a network's modules, and the numbers it gives an image."""

    name: str
    place: int
    n_features: int


def names_text(names: Iterable[str]) -> str:
    """Names on one line, `layer1.0..2 layer2.0..3 pooled`."""
    rows: list[list[str]] = []
    for name in names:
        if rows and _follows(rows[-1][-1], name):
            rows[-1].append(name)
        else:
            rows.append([name])
    return " ".join(_named(row) for row in rows)


def to_text(layers: Iterable[Layer]) -> str:
    """Layers on one line: `layer2.0=30:401408 layer2.1..3=38+8:401408` has four.

    After a name its place and features; places in a run are a constant step apart.
    """
    rows: list[list[Layer]] = []
    for layer in layers:
        if rows and _continues(rows[-1], layer):
            rows[-1].append(layer)
        else:
            rows.append([layer])
    return " ".join(map(_run_text, rows))


def from_text(text: str) -> Iterator[Layer]:
    """The layers that were written."""
    for one in text.split():
        if run := RUN.fullmatch(one):
            before, (first, last, place, step, n) = run[1], map(int, run.groups()[1:])
            for i in range(last - first + 1):
                yield Layer(f"{before}{first + i}", place + i * step, n)
        else:
            name, _, numbers = one.rpartition("=")
            place_text, _, n_text = numbers.partition(":")
            yield Layer(name, int(place_text), int(n_text))


def _follows(name: str, after: str) -> bool:
    one, next_one = NUMBERED.fullmatch(name), NUMBERED.fullmatch(after)
    if one is None or next_one is None:
        return False
    return one[1] == next_one[1] and int(next_one[2]) == int(one[2]) + 1


def _continues(row: Sequence[Layer], layer: Layer) -> bool:
    last = row[-1]
    steps = {after.place - one.place for one, after in zip(row, [*row[1:], layer], strict=True)}
    alike = last.n_features == layer.n_features and len(steps) == 1
    return alike and _follows(last.name, layer.name)


def _named(names: Sequence[str]) -> str:
    last = NUMBERED.fullmatch(names[-1])
    return names[0] if last is None or len(names) == 1 else f"{names[0]}..{last[2]}"


def _run_text(row: Sequence[Layer]) -> str:
    name, place, n_features = _named([layer.name for layer in row]), row[0].place, row[0].n_features
    step = f"+{row[1].place - place}" if len(row) > 1 else ""
    return f"{name}={place}{step}:{n_features}"
