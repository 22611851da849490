"""The catalogue as a table, filtered by pattern and by SQL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoo_eval.catalog import Catalog
from zoo_eval.commands import submission
from zoo_eval.queries.connection import select
from zoo_eval.sources import registry
from zoo_eval.sources.registry import Listed

CARD = (
    "source", "architecture", "family", "weights", "pretraining", "objective", "published_top1",
    "published_view", "year", "licence",
)  # fmt: skip
SCHEMA = pa.schema(
    [("model", pa.string())]
    + [(c, {"published_top1": pa.float64(), "year": pa.int64()}.get(c, pa.string())) for c in CARD]
    + [("head", pa.string()), ("input_px", pa.int64()), ("input_width_px", pa.int64())]
    + [("n_params", pa.int64())]
    + [("flops", pa.int64()), ("activation_bytes", pa.int64())]
)


def models(
    patterns: Sequence[str], where: str | None, sweep: Path | None
) -> tuple[pa.Table, list[str]]:
    """One row per model card, and notes; with a sweep file, its own cards and facts too.

    What an architecture costs is empty where it is not in the tables shipped with the package.

    Raises:
        BadInput: a pattern fits nothing, or the condition is wrong.
    """
    chosen, notes = listed(patterns, sweep)
    return select(pa.Table.from_pylist([*map(_row, chosen)], schema=SCHEMA), where), notes


def listed(patterns: Sequence[str], sweep: Path | None) -> tuple[list[Listed], list[str]]:
    """The cards that patterns fit, all without any, and notes on the sweep file's facts.

    Raises:
        BadInput: a pattern fits nothing.
    """
    patterns = patterns or ["*"]
    found = registry.listed_cards(patterns)
    notes: list[str] = []
    if sweep is not None:
        found, notes = _with_sweep(found, sweep)
    by_name = {one.card.name: one for one in found}
    chosen = Catalog(one.card for one in found).select(patterns)
    return [by_name[card.name] for card in chosen], notes


def _with_sweep(listed: list[Listed], file: Path) -> tuple[list[Listed], list[str]]:
    # These bring PyTorch, which a plain listing does without.
    from zoo_eval.sweep import cards
    from zoo_eval.sweep import file as sweep_file

    models = sweep_file.read(file, submission.home() or Path.cwd()).models
    own, sheets = [Listed(card) for card in models.own()], models.sheets()
    everything = [
        Listed(cards.with_facts(one.card, sheets), one.library, one.key) for one in [*own, *listed]
    ]
    return everything, [sheet.matched([one.card for one in everything]) for sheet in sheets]


def _row(one: Listed) -> dict[str, Any]:
    found = one.anatomy
    row = {"model": one.card.name, **{c: getattr(one.card, c) for c in CARD}}
    if one.key is not None:
        _, (row["input_px"], columns), _ = one.key
        row["input_width_px"] = columns if columns != row["input_px"] else None
    if found is not None:
        row |= {
            "head": found.head,
            "n_params": found.n_params,
            "flops": found.flops,
            "activation_bytes": found.activation_bytes,
        }
    return row
