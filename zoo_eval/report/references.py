"""References: BibTeX of what a page used, each entry beside the names of what it describes."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from html import escape

from zoo_eval.queries.connection import Connection
from zoo_eval.report import planted
from zoo_eval.report.bibliography import ENTRIES
from zoo_eval.report.methods import used
from zoo_eval.report.section import listed

ALWAYS = "always"
MOST_NAMED = 12
# A name that says by itself that nothing stands behind it that could be cited.
NOTHING = {
    "source": {"local", "live", "live_untold", "factory"},
    "protocol": {"standard", "corrected"},
}
KINDS: Mapping[str, str] = {
    "source": "libraries that models are from",
    "family": "architectures",
    "readout": "readouts",
    "attack": "attacks",
    "method": "attributions",
    "protocol": "protocols",
    "recording": "recordings",
    "importance": "human maps",
}


@dataclass(frozen=True)
class References:
    """BibTeX entries of what was used; `unknown` names what has none here, by kind, in words.

    Recordings and human maps are found by their names, for a store keeps the names that a sweep file
    gave them; `by_name` says which were.
    """

    entries: tuple[str, ...]
    unknown: Mapping[str, tuple[str, ...]]
    by_name: tuple[str, ...]


def cited(connection: Connection) -> str:
    """The references of a store as HTML; nothing where nothing was evaluated."""
    things = used(connection)
    if not things:
        return ""
    things["recording"] -= set(planted.recordings(connection))
    things["importance"] -= set(planted.maps(connection))
    found = references(things)
    said = [
        f"No reference is known here for {kind}: {_some(names)}."
        for kind, names in found.unknown.items()
    ]
    if found.by_name:
        said.insert(0, f"Found by their names alone, so check them: {', '.join(found.by_name)}.")
    text = "\n\n".join(found.entries)
    return (
        "<p>BibTeX of what was used. Cite the papers of the weights, too: cards do not name them.</p>"
        f"{listed(said)}"
        f'<pre id="bibtex" tabindex="0" aria-label="BibTeX">{escape(text)}</pre>'
    )


def _some(names: Sequence[str]) -> str:
    rest = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *rest])


def references(used: Mapping[str, Set[str]]) -> References:
    """What to cite for things that were used, by kind: attack, readout, recording, ..."""
    entries = {entry: None for entry, described in ENTRIES.items() if ALWAYS in described}
    unknown: dict[str, tuple[str, ...]] = {}
    by_name = []
    for kind, words in KINDS.items():
        missing = []
        for name in sorted(used.get(kind, set()) - NOTHING.get(kind, set())):
            found = [entry for entry, described in ENTRIES.items() if _is_of(kind, name, described)]
            entries |= dict.fromkeys(found)
            if not found:
                missing.append(name)
            elif kind in ("recording", "importance"):
                by_name.append(name)
        if missing:
            unknown[words] = tuple(missing)
    return References(tuple(entries), unknown, tuple(by_name))


def _is_of(kind: str, name: str, described: str) -> bool:
    """Whether an entry describes a thing; data sets by a part of the name, everything else by all of it."""
    said = [one.partition(":")[2] for one in described.split() if one.startswith(f"{kind}:")]
    if kind in ("recording", "importance"):
        plain = name.casefold().replace("-", "_")
        return any(one in plain for one in said)
    return name in said or name.partition(":")[0] in said
