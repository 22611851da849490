"""Strays: files beside those of a store that nothing names, and that are never read."""

from collections.abc import Iterator

from zoo_eval.storage import bulletin, kept, leases, ledger, manifest, parts, trained
from zoo_eval.storage.contents import Contents
from zoo_eval.storage.ledger import COMMIT_FILE, SEGMENT_FILE
from zoo_eval.storage.legacy import DERIVED
from zoo_eval.storage.marker import MARKER
from zoo_eval.storage.objects import PROBES, Found
from zoo_eval.storage.records import NAME

OTHERS = {
    ledger.FOLDER: NAME,
    manifest.FOLDER: manifest.NAME,
    leases.FOLDER: NAME,
    bulletin.FOLDER: bulletin.NAME,
    trained.WEIGHTS: trained.WEIGHTS_FILE,
    trained.CHECKPOINTS: trained.CHECKPOINT_FILE,
}


def strays(contents: Contents) -> list[str]:
    """Paths of files that nothing names, folders that hold none of a store's files with a /."""
    objects, named = contents.objects, contents.snapshot.named()
    found = [one.path for one in objects.listed("") if one.path not in (MARKER, ".lock")]
    for folder in objects.folders():
        if folder in OTHERS:
            listed = objects.listed(folder)
            found += [one.path for one in listed if not OTHERS[folder].fullmatch(one.name)]
        elif folder == parts.FOLDER:
            found += [one.path for one in objects.listed(folder) if parts.Part.of(one.path) is None]
            found += parts.leftovers(objects, contents.ledger.status)
        elif folder in (kept.INPUTS, kept.DECLARED):
            found += [one.path for one in objects.listed(folder) if one.path not in named]
        elif folder not in contents.tables and folder != PROBES:
            found.append(f"{folder}/")
    return sorted([*found, *(one.path for one in unnamed(contents))])


def unnamed(contents: Contents) -> Iterator[Found]:
    """Files in the tables' folders that do not count, and are no originals of merged ones."""
    named = contents.snapshot.named()
    merged = contents.snapshot.manifest.commits
    for table in contents.tables:
        for one in contents.objects.listed(table):
            match = COMMIT_FILE.fullmatch(one.name)
            is_merged = SEGMENT_FILE.fullmatch(one.name) or (match and match[1] in merged)
            is_replaced = not contents.is_of_trials(table) and (match or one.name == DERIVED)
            if one.path not in named and not is_merged and not is_replaced:
                yield one
