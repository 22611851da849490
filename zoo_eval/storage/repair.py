"""Repair: what is damaged no longer counts, so that its trials are pending and run again."""

from collections.abc import Sequence

from zoo_eval.storage import ledger, manifest, records
from zoo_eval.storage.contents import Contents
from zoo_eval.storage.ledger import Entry
from zoo_eval.storage.manifest import Manifest
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.records import Records
from zoo_eval.storage.snapshot import Damage, Snapshot, manifest_of_copy


def mend_manifest(objects: Objects, damages: Sequence[Damage], found: Snapshot) -> bool:
    """Makes the newest manifest and its copy the same again; whether one of them was not.

    Should both be lost, whatever of the ledger is still there counts.
    """
    number = found.manifest.number
    path = Records(objects, manifest.FOLDER).path(number)
    broken = {one.path for one in damages} & {path, path + manifest.COPY}
    if not number or not broken:
        return False
    if path in broken:
        kept = manifest_of_copy(objects, number)
        if not kept.segments:
            left = Records(objects, ledger.FOLDER).found()
            kept = Manifest(number, min(left, default=found.last + 1) - 1)
        objects.replace(path, records.as_bytes(kept.as_json()))
    objects.replace(path + manifest.COPY, objects.get(path))
    return True


def voiding(contents: Contents, damages: Sequence[Damage]) -> tuple[Entry, set[str]]:
    """The record after which nothing damaged counts, and the trials that it makes pending."""
    commits = {commit for one in damages for commit in one.commits if _belongs(one.path)}
    whole = [one.path for one in damages if _belongs(one.path) and "/segment-" in one.path]
    lost = [one.path for one in damages if one.path.startswith(f"{ledger.FOLDER}/")]
    trials = {t for t, own in contents.snapshot.count.ok_in.items() if own in commits}
    return Entry(void=sorted(commits), dropped=sorted([*whole, *lost])), trials


def remade(damages: Sequence[Damage]) -> list[str]:
    """Damaged files that are made again when they are asked for: they are best removed."""
    return [
        one.path
        for one in damages
        if one.path.startswith(("declared/", "inputs/", "leases/"))
        or one.path.endswith("/derived.parquet")
    ]


def _belongs(path: str) -> bool:
    folder = path.partition("/")[0]
    return folder not in (ledger.FOLDER, manifest.FOLDER, "declared", "inputs", "leases")
