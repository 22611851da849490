"""Facts that no library carries, joined to model cards by exact name, from CSV files of the user.

Three kinds of file are known by their header: timm's `results/results-imagenet.csv`, open_clip's
`docs/openclip_results.csv`, and an own one with `model` and any of the columns in `OWN`.
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo_eval.catalog import ModelCard
from zoo_eval.errors import BadInput, nearest
from zoo_eval.transforms import Transform

Parse = Callable[[str], Any]
TIMM = {"model", "img_size", "top1", "crop_pct"}
OPEN_CLIP = {"name", "pretrained", "ImageNet 1k"}


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError(f"{value:g} is no share between 0 and 1")
    return value


OWN: Mapping[str, Parse] = {
    "published_top1": _share,
    "family": str,
    "pretraining": str,
    "objective": str,
    "year": int,
    "harmonized_from": str,
    "licence": str,
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
        n = sum(card.name in self.rows for card in cards)
        return f"{self.path.name}: facts for {n} of {len(cards)} models ({n / len(cards):.0%})"


def read(path: Path) -> Sheet:
    """A file of facts.

    Raises:
        BadInput: it cannot be read, has unknown columns, a wrong value (with its line), or says
            something twice.
    """
    rows: dict[str, list[Row]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, row in _rows(path, csv.DictReader(file)):
                same = rows.setdefault(row.model, [])
                if any(row.view == other.view for other in same):
                    raise BadInput(f"{path}, line {line}: {row.model} is there twice; remove one")
                same.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"facts {path} cannot be read ({error}); correct the path") from error
    return Sheet(path, rows)


def _rows(path: Path, lines: "csv.DictReader[str]") -> Iterator[tuple[int, Row]]:
    parse = _kind(path, set(lines.fieldnames or ()))
    for line in lines:
        try:
            yield lines.line_num, parse(line)
        except (ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise BadInput(f"{path}, line {lines.line_num}: {error}; correct the value") from error


def _kind(path: Path, header: set[str]) -> Callable[[Mapping[str, str]], Row]:
    if header >= TIMM:
        return _timm
    if header >= OPEN_CLIP:
        return _open_clip
    if "model" not in header:
        raise BadInput(f"{path}: no column `model`; its columns are {', '.join(sorted(header))}")
    if unknown := sorted(header - {"model", *OWN}):
        raise BadInput(f"{path}: unknown column {unknown[0]!r}; {nearest(unknown[0], OWN)}")
    return _own


def _timm(line: Mapping[str, str]) -> Row:
    input_px, crop = int(line["img_size"]), float(line["crop_pct"])
    facts = {"published_top1": _share(str(round(float(line["top1"]) / 100, 6)))}
    return Row(f"timm/{line['model']}", facts, (input_px, math.floor(input_px / crop)))


def _open_clip(line: Mapping[str, str]) -> Row:
    name = f"open_clip/{line['name']}:{line['pretrained']}"
    return Row(name, {"published_top1": _share(line["ImageNet 1k"])})


def _own(line: Mapping[str, str]) -> Row:
    return Row(line["model"], {k: parse(line[k]) for k, parse in OWN.items() if line.get(k)})


def joined(
    card: ModelCard, sheets: Sequence[Sheet], transform: Callable[[], Transform]
) -> ModelCard:
    """The card with what the sheets say of its name; later sheets win, the card's own facts stay.

    An accuracy measured at the model's own input size and crop is preferred; one measured at
    another says so in `published_view`. `transform` is asked only for those.
    """
    facts: dict[str, Any] = {}
    for sheet in sheets:
        rows = sheet.rows.get(card.name, ())
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
