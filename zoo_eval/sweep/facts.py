"""Facts that no library carries, joined to model cards by exact name, from CSV files of the user.

Three kinds of file are known by their header: timm's `results/results-imagenet.csv`, open_clip's
`docs/openclip_results.csv`, and an own one with `model` and any of the columns in `OWN`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import csv_table
from zoo_eval.files.csv_table import Line
from zoo_eval.transforms import Transform

Parse = Callable[[Line, str], Any]
TIMM = {"model", "img_size", "top1", "crop_pct"}
OPEN_CLIP = {"name", "pretrained", "ImageNet 1k"}


def _share(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value:g} is no share between 0 and 1")
    return value


def _whole(line: Line, column: str) -> int:
    """A whole number, also as tables write one in a column with empty cells (2016.0)."""
    value = line.number(column)
    if not value.is_integer():
        raise ValueError(f"{column} {line[column]!r} is no whole number")
    return int(value)


OWN: Mapping[str, Parse] = {
    "published_top1": lambda line, column: _share(line.number(column)),
    "family": Line.__getitem__,
    "pretraining": Line.__getitem__,
    "objective": Line.__getitem__,
    "year": _whole,
    "harmonized_from": Line.__getitem__,
    "licence": Line.__getitem__,
}


@dataclass(frozen=True)
class Row:
    """What one line says of a model; its accuracy was measured at `view`, (input_px, resize_px)."""

    model: str
    facts: Mapping[str, Any]
    view: tuple[int, int] | None = None


@dataclass(frozen=True)
class Sheet:
    """The rows of one file, by model name; timm lists a model once for every input size."""

    path: Path
    rows: Mapping[str, Sequence[Row]]

    def matched(self, cards: Sequence[ModelCard]) -> str:
        """How many of some cards it knows, on one line."""
        n = sum(bool(self.about(card)) for card in cards)
        return f"{self.path.name}: facts for {n} of {len(cards)} models ({n / len(cards):.0%})"

    def about(self, card: ModelCard) -> Sequence[Row]:
        """The rows of a model."""
        return self.rows.get(normalize("NFC", card.name), ())


def read(path: Path) -> Sheet:
    """A file of facts.

    Raises:
        BadInput: it cannot be read, has unknown columns, a wrong value (with its line), or says
            something twice.
    """
    where = f"facts {path}"
    table = csv_table.read(where, path, (), ["model", *OWN, *TIMM, *OPEN_CLIP])
    parse = _kind(where, set(table.columns))
    rows: dict[str, list[Row]] = {}
    for line in table.lines:
        row = _row(line, parse)
        same = rows.setdefault(row.model, [])
        if any(row.view == other.view for other in same):
            raise BadInput(f"{line.where}: {row.model} is there twice; remove one")
        same.append(row)
    return Sheet(path, rows)


def _row(line: Line, parse: Callable[[Line], Row]) -> Row:
    try:
        return parse(line)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise BadInput(f"{line.where}: {error}; correct the value") from error


def _kind(where: str, header: set[str]) -> Callable[[Line], Row]:
    if header >= TIMM:
        return _timm
    if header >= OPEN_CLIP:
        return _open_clip
    if "model" not in header:
        raise BadInput(f"{where}: no column `model`; its columns are {', '.join(sorted(header))}")
    if unknown := sorted(header - {"model", *OWN}):
        raise BadInput(f"{where}: unknown column {unknown[0]!r}; {nearest(unknown[0], OWN)}")
    return _own


def _timm(line: Line) -> Row:
    input_px, crop = _whole(line, "img_size"), line.number("crop_pct")
    facts = {"published_top1": _share(round(line.number("top1") / 100, 6))}
    return Row(f"timm/{line['model']}", facts, (input_px, math.floor(input_px / crop)))


def _open_clip(line: Line) -> Row:
    name = f"open_clip/{line['name']}:{line['pretrained']}"
    return Row(name, {"published_top1": _share(line.number("ImageNet 1k"))})


def _own(line: Line) -> Row:
    return Row(line["model"], {k: parse(line, k) for k, parse in OWN.items() if line[k]})


def joined(
    card: ModelCard, sheets: Sequence[Sheet], transform: Callable[[], Transform]
) -> ModelCard:
    """The card with what the sheets say of its name; later sheets win, the card's own facts stay.

    An accuracy measured at the model's own input size and crop is preferred; one measured at
    another says so in `published_view`. `transform` is asked only for those.
    """
    facts: dict[str, Any] = {}
    for sheet in sheets:
        rows = sheet.about(card)
        if rows:
            facts |= _best(rows, transform)
    if card.published_top1 is not None:
        facts.pop("published_top1", None)
        facts.pop("published_view", None)
    own = {k for k in facts if getattr(card, k) and k not in ("pretraining", "family")}
    return replace(card, **{k: v for k, v in facts.items() if k not in own})


def _best(rows: Sequence[Row], transform: Callable[[], Transform]) -> dict[str, Any]:
    if all(row.view is None for row in rows):
        return dict(rows[0].facts)
    seen = transform()
    for row in rows:
        if row.view == (seen.input_px, seen.resize_px):
            return {**row.facts, "published_view": None}
    best = max(rows, key=lambda row: row.facts["published_top1"])
    assert best.view is not None
    input_px, resize_px = best.view
    return {**best.facts, "published_view": f"{input_px} px of {resize_px}"}
