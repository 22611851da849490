"""The catalogue as a table, filtered by pattern and by SQL."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from zoo_eval import planning, submission
from zoo_eval import sweep as sweep_file
from zoo_eval.catalog import Catalog
from zoo_eval.queries.connection import select
from zoo_eval.sources import timm

COLUMNS = (
    "model", "source", "architecture", "family", "weights", "pretraining", "published_top1",
    "year", "licence",
)  # fmt: skip


def models(patterns: Sequence[str], where: str | None, sweep: Path | None) -> pa.Table:
    """One row per model card; with a sweep file, its own cards too.

    Raises:
        BadInput: a pattern fits nothing, or the condition is wrong.
    """
    own = []
    if sweep is not None:
        home = submission.home() or Path.cwd()
        own = [planning.local_card(m, home) for m in sweep_file.read(sweep).models.local]
    chosen = Catalog([*own, *timm.cards()]).select(patterns or ["*"])
    rows = [
        {c: card.name if c == "model" else getattr(card, c) for c in COLUMNS} for card in chosen
    ]
    types = {"published_top1": pa.float64(), "year": pa.int64()}
    schema = pa.schema([(c, types.get(c, pa.string())) for c in COLUMNS])
    return select(pa.Table.from_pylist(rows, schema=schema), where)
