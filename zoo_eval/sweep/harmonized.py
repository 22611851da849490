"""Harmonized: the cards of networks that were trained into a store, harmonized/NAME."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo_eval.catalog import ModelCard
from zoo_eval.digests import file_digest
from zoo_eval.storage.damage import reading
from zoo_eval.store import Store
from zoo_eval.transforms import Transform

PREFIX = "harmonized/"


def cards(store: Store | None) -> Iterator[ModelCard]:
    """A card for every network that was trained into the store, from its file of weights.

    Raises:
        StoreError: what counts of the store is damaged, or it cannot be read.
    """
    rows = [] if store is None else store.read("training_runs").to_pylist()
    assert store is not None or not rows
    for row in {one["model"]: one for one in rows}.values():
        assert store is not None
        yield _card(row, store)


def _card(row: dict[str, Any], store: Store) -> ModelCard:
    facts = json.loads(row["card"])
    path, unavailable = None, None
    try:
        with reading(store.name):
            path = Path(store.objects.on_disk([row["weights"]])[0])
        if file_digest(path) != row["weights_digest"]:
            unavailable = f"{row['weights']} is damaged"
    except OSError:
        unavailable = f"{row['weights']} is gone"
    return ModelCard(
        name=row["model"],
        source="harmonized",
        architecture=facts.pop("architecture"),
        checkpoint=path,
        transform=_transform(facts.pop("transform")),
        unavailable=unavailable and f"{row['model']}: {unavailable}; restore it, or train it again",
        **facts,
    )


def _transform(key: dict[str, Any]) -> Transform:
    known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in key.items()}
    return Transform(**known)
