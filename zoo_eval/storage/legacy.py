"""Legacy: what version 0.1.0 wrote, as one entry of the ledger.

There a commit's files were `<table>/<commit id>.parquet`, and it counted once `trials/` had one. Of a
trial in several commits the rows of the lowest id counted, and do here: they come in that order. A
derived table was one file of one name, and what was generated or declared was what lay in its folder.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_eval.storage import kept
from zoo_eval.storage.damage import UNREADABLE
from zoo_eval.storage.ledger import COMMIT_FILE, Commit, Entry, Named, Row
from zoo_eval.storage.objects import Objects, each
from zoo_eval.tables import TABLES, TRIALS, declared

DERIVED = "derived.parquet"
COLUMNS = ["trial_id", "attempt", "status"]


def adopted(objects: Objects, unreadable: Callable[[str, Exception], None]) -> Entry:
    """The entry that names everything that counted; what cannot be read is handed on, and left out."""
    held = dict(_of_folders(objects))
    others = [name.partition("/")[2] for name in held if name.startswith(f"{kept.DECLARED}/")]
    files: dict[str, list[Named]] = {}
    for table in [*TABLES, *others]:
        if (derived := objects.head(f"{table}/{DERIVED}")) is not None:
            held[table] = Named(derived.path, derived.size, "", ())
        for one in objects.listed(table):
            if match := COMMIT_FILE.fullmatch(one.name):
                own = match[1]
                files.setdefault(own, []).append(Named(one.path, one.size, "", (own,)))
    commits = sorted(
        own
        for own, some in files.items()
        if f"{TRIALS.name}/{own}.parquet" in {f.path for f in some}
    )

    def rows(own: str) -> list[Row] | None:
        path = f"{TRIALS.name}/{own}.parquet"
        # That it cannot be fetched now is no damage.
        held = objects.get(path)
        try:
            read = pq.read_table(
                pa.BufferReader(held), columns=COLUMNS, page_checksum_verification=True
            )
            return list(zip(*(read[column].to_pylist() for column in COLUMNS)))
        except (*UNREADABLE, KeyError) as error:
            unreadable(path, error)
            return None

    pairs = zip(commits, each(objects, rows, commits), strict=True)
    found = [Commit(own, files[own], some) for own, some in pairs if some is not None]
    # A retry comes after what it tries again.
    found.sort(key=lambda one: max((row[1] for row in one.trials), default=0))
    return Entry(found, kept=held)


def _of_folders(objects: Objects) -> Iterator[tuple[str, Named]]:
    for folder, ending in ((kept.INPUTS, ".parquet"), (kept.DECLARED, ".json")):
        for one in objects.listed(folder):
            name = one.name.removesuffix(ending)
            if name != one.name and (folder == kept.INPUTS or declared.NAME.fullmatch(name)):
                yield f"{folder}/{name}", Named(one.path, one.size, "", ())
