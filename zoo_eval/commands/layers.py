"""What the named choices of layers mean for each model, filtered by pattern and by SQL."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from zoo_eval.commands.models import listed
from zoo_eval.errors import refusal_of
from zoo_eval.networks.anatomy import Anatomy
from zoo_eval.networks.runs import names_text
from zoo_eval.queries.connection import select
from zoo_eval.sources.registry import Listed

SCHEMA = pa.schema(
    {"model": pa.string(), "choice": pa.string(), "n_layers": pa.int64(), "layers": pa.string()}
)
LOGITS = 1


def layers(
    patterns: Sequence[str], where: str | None, sweep: Path | None
) -> tuple[pa.Table, list[str]]:
    """One row per model and choice of layers: how many, and which; `all` is counted only.

    Notes say of which models nothing is known, and why. What is not in the tables shipped with the
    package is measured, which takes a second.

    Raises:
        BadInput: a pattern fits nothing, or the condition is wrong.
    """
    chosen, notes = listed(patterns, sweep)
    rows: list[dict[str, Any]] = []
    for one in chosen:
        try:
            rows += _rows(one.card.name, _anatomy(one))
        except Exception as error:  # noqa: BLE001 - whatever one network raises is its own
            notes.append(f"{one.card.name}: {refusal_of(error, 'it')}")
    return select(pa.Table.from_pylist(rows, schema=SCHEMA), where), notes


def _anatomy(one: Listed) -> Anatomy:
    if (known := one.anatomy) is not None:
        return known
    # This brings PyTorch, which shipped tables do without.
    from zoo_eval.models.blueprint import anatomy_of_card

    return anatomy_of_card(one.card)


def _rows(model: str, found: Anatomy) -> Iterator[dict[str, Any]]:
    for choice, of_choice in found.named.items():
        names = names_text(layer.name for layer in of_choice)
        yield {"model": model, "choice": choice, "n_layers": len(of_choice), "layers": names}
    n_pooled = int(found.pooled is not None)
    yield {"model": model, "choice": "all", "n_layers": found.n_captured + n_pooled + LOGITS}
