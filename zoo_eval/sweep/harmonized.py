"""Harmonized: the cards of networks that were trained into a store, harmonized/NAME."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo_eval.catalog import ModelCard, fits
from zoo_eval.digests import file_digest
from zoo_eval.errors import as_line
from zoo_eval.store import Store
from zoo_eval.transforms import Transform

PREFIX = "harmonized/"


def cards(store: Store | None, patterns: Sequence[str]) -> Iterator[ModelCard]:
    """A card for every network that was trained into the store and fits a pattern; of others no file is read.

    Raises:
        StoreError: what counts of the store is damaged, or it cannot be read.
    """
    if store is None:
        return
    rows = {row["model"]: row for row in store.read("training_runs").to_pylist()}
    for name, row in rows.items():
        if any(fits(name, pattern) for pattern in patterns):
            yield _card(row, store)


def _card(row: dict[str, Any], store: Store) -> ModelCard:
    facts = json.loads(row["card"])
    path, unavailable, is_away = None, None, False
    try:
        path = Path(store.objects.on_disk([row["weights"]])[0])
        if file_digest(path) != row["weights_digest"]:
            unavailable = f"{row['weights']} is damaged"
    except OSError as error:
        unavailable = f"{row['weights']} cannot be read ({as_line(str(error))})"
        is_away = not isinstance(error, FileNotFoundError)
    return ModelCard(
        name=row["model"],
        source="harmonized",
        architecture=facts.pop("architecture"),
        checkpoint=path,
        transform=_transform(facts.pop("transform")),
        unavailable=unavailable and f"{row['model']}: {unavailable}; restore it, or train it again",
        is_away=is_away,
        **facts,
    )


def _transform(key: dict[str, Any]) -> Transform:
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in key.items()}
    return Transform(**known)
