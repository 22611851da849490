"""Declarations: the tables and views of other packages, as a store keeps them."""

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from zoo_eval.errors import BadInput
from zoo_eval.storage import records
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.snapshot import GONE, Damage, Snapshot
from zoo_eval.tables import Table, View, declared

FOLDER = "declared"


@dataclass(frozen=True)
class Declarations:
    """Those of one store, whose name messages have."""

    objects: Objects
    store: str

    def declare(self, everything: Sequence[Table | View]) -> None:
        """Keeps tables and views; of one name whoever was first is kept.

        Raises:
            BadInput: a name is taken, or the store cannot keep it.
            OSError: the store cannot be written.
        """
        for one in everything:
            declared.check(one)
            path = f"{FOLDER}/{one.name}.json"
            self.objects.create(path, records.as_bytes(json.loads(declared.to_json(one))))
            declared.check_same(one, self._read(path))

    def all(self) -> Iterator[Table | View]:
        """Everything declared.

        Raises:
            BadInput: a declaration is damaged.
        """
        for path in self._paths():
            yield self._read(path)

    def remove_damaged(self) -> None:
        """Removes what cannot be read: the next sweep that has it declares it again."""
        for path in self._paths():
            try:
                self._read(path)
            except BadInput:
                self.objects.delete(path)

    def _paths(self) -> list[str]:
        found = self.objects.listed(FOLDER)
        named = (
            (one, one.name.removesuffix(".json")) for one in found if one.name.endswith(".json")
        )
        return [one.path for one, name in named if declared.NAME.fullmatch(name)]

    def _read(self, path: str) -> Table | View:
        held = self.objects.get(path)
        try:
            # Those of version 0.1.0 have no digest, and their lines are indented.
            is_old = held.startswith(b"{\n")
            return declared.from_json(
                held.decode() if is_old else json.dumps(records.from_bytes(held))
            )
        except ValueError as error:
            raise BadInput(
                f"store {self.store}: {path} is damaged ({error}); restore it, or run "
                f"`zoo-eval doctor --store {self.store} --repair`"
            ) from error


def undeclared(found: Snapshot, tables: Container[str]) -> list[Damage]:
    """Declarations that are gone: files count whose table nothing says what it is."""
    return [
        Damage(f"{FOLDER}/{name}.json", GONE, [commit for one in some for commit in one.commits])
        for name, some in found.files.items()
        if name not in tables
    ]
