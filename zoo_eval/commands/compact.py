"""Merging the small files of a store into few large ones."""

from zoo_eval.errors import BadInput
from zoo_eval.queries import compacting
from zoo_eval.store import Store

# Who reads or commits may take so long between two requests.
LEAST_GRACE_HOURS = 0.25


def compacted(uri: str, grace_hours: float) -> str:
    """Merges a store's files; what was done, on one line.

    Raises:
        BadInput: there is no store, or the grace period is too short.
        StoreError: a file is damaged, or the store cannot be written.
    """
    if not grace_hours >= LEAST_GRACE_HOURS:
        raise BadInput(
            f"--grace-hours {grace_hours:g} is too short for those who read now; "
            f"give at least {LEAST_GRACE_HOURS}"
        )
    store = Store(uri)
    found = compacting.compact(store, grace_hours * 3600)
    done = found.files
    if done.is_other:
        return f"store {store.name}: another compaction was first; nothing is to be done"
    return (
        f"store {store.name}: {done.n_files} files merged into {done.n_segments}, "
        f"{done.n_removed} removed that were replaced more than {grace_hours:g} h ago"
        + "".join(f"; no summary of {name}: {why}" for name, why in found.left_out.items())
    )
