"""Repair: what is damaged no longer counts, so that its trials are pending and run again."""

from collections.abc import Sequence

from zoo_eval.storage import leases, ledger, manifest, parts, records
from zoo_eval.storage.contents import Contents
from zoo_eval.storage.damage import Damage
from zoo_eval.storage.ledger import Entry
from zoo_eval.storage.manifest import Manifest
from zoo_eval.storage.objects import Objects
from zoo_eval.storage.records import Records
from zoo_eval.storage.snapshot import Snapshot


def mend_manifest(objects: Objects, damages: Sequence[Damage], found: Snapshot) -> bool:
    """Makes the newest manifest and its copy the same again; whether one of them was not.

    Should both be lost and no older one be there, whatever of the ledger is still there counts.
    """
    number = found.manifest.number
    path = Records(objects, manifest.FOLDER).path(number)
    broken = {one.path for one in damages} & {path, path + manifest.COPY}
    if not number or not broken:
        return False
    if path in broken:
        left = Records(objects, ledger.FOLDER).found()
        nothing = Manifest(number, min(left, default=found.last + 1) - 1)
        kept = manifest.intact(objects, number) or nothing
        objects.replace(path, records.as_bytes(kept.as_json()))
    objects.replace(path + manifest.COPY, objects.get(path))
    return True


def mend_records(objects: Objects, damages: Sequence[Damage], found: Snapshot) -> None:
    """Has damaged records of the ledger say nothing, and removes replaced manifests that are damaged."""
    for one in damages:
        folder, _, name = one.path.partition("/")
        if folder == ledger.FOLDER:
            objects.replace(one.path, records.as_bytes(Entry().as_json()))
        elif folder == manifest.FOLDER and int(name[:8]) < found.manifest.number:
            objects.delete(one.path)


def voiding(contents: Contents, damages: Sequence[Damage]) -> tuple[Entry, set[str]]:
    """The record after which nothing damaged counts, and the trials that it makes pending."""
    snapshot, broken = contents.snapshot, {one.path for one in damages}
    commits = {commit for one in damages for commit in one.commits}
    kept = {name: None for name, one in snapshot.kept.items() if one.path in broken}
    trials = {t for t, own in snapshot.count.ok_in.items() if own in commits}
    return Entry(void=sorted(commits), kept=kept), trials


def to_remove(contents: Contents, damages: Sequence[Damage]) -> list[str]:
    """Damaged files in the place of which others are made: leases, and what is kept under one name.

    Parts of trials that are done besides; of those that are pending again, there are none.
    """
    of_no_trial = {one.path for one in contents.snapshot.kept.values()}
    paths = [one.path for one in damages]
    replaced = (path in of_no_trial or path.startswith(f"{leases.FOLDER}/") for path in paths)
    broken = [path for path, is_replaced in zip(paths, replaced, strict=True) if is_replaced]
    return [*broken, *parts.leftovers(contents.objects, contents.ledger.status)]
