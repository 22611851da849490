"""`zoo-eval recordings`: what a recording's files hold, and the same in this package's own simple format."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo_eval import section as sections
from zoo_eval.commands import submission
from zoo_eval.errors import BadInput
from zoo_eval.queries import connection
from zoo_eval.recordings import guess, writing
from zoo_eval.recordings.held import Chart, Held, Inspection
from zoo_eval.recordings.recording import RECORDINGS, RecordingSection
from zoo_eval.section import WrongSection
from zoo_eval.units import size_in_bytes, size_text

# The longest bar of a chart.
WIDEST_BAR = 40
# What is there without being said, and what only says how responses meet stimuli.
GIVEN = ("kind", "path", "stimuli")
LATER = ("zscore", "partial", "ceilings", "ceiling_scale", "dissimilarity")
# What messages of readers call the memory that they have.
BUDGETS = ("[run] memory_budget", "memory_budget")


@dataclass(frozen=True)
class Asked:
    """A recording's file or folder; its kind, where it is said; keys of its section as KEY=VALUE; memory."""

    file: Path
    kind: str | None = None
    keys: Sequence[str] = ()
    memory: str = "2GiB"

    @property
    def most_bytes(self) -> int:
        try:
            return size_in_bytes(self.memory)
        except ValueError as error:
            raise BadInput(f"--memory {error}") from error


@contextmanager
def _as_an_option() -> Iterator[None]:
    """Within it, what a reader says of memory is said of this command's own option."""
    try:
        yield
    except BadInput as error:
        said = str(error)
        for one in BUDGETS:
            said = said.replace(one, "--memory")
        raise BadInput(said) from error


def inspected(asked: Asked) -> tuple[str, Inspection]:
    """A recording's kind, and what its files hold; no more is read than a second allows.

    Raises:
        BadInput: no such file, no telling its kind, a key is missing or wrong, or the file is damaged.
    """
    kind = _kind(asked)
    with _as_an_option():
        return kind, _held(kind, asked, whole=False).inspection()


def converted(asked: Asked, out: Path) -> dict[str, Any]:
    """Writes a recording into a new folder; what was written, and what a sweep says to read it.

    Raises:
        BadInput: as `inspected` does; or the folder exists or cannot be written.
    """
    kind = _kind(asked)
    with _as_an_option():
        written = writing.write(_held(kind, asked, whole=True), out, asked.most_bytes)
    files = {path.name: path.stat().st_size for path in sorted(out.iterdir())}
    path = out / written.path if written.path else out
    return {"out": str(out), "files": files, "kind": written.kind, "path": str(path)}


def inspection_text(file: Path, kind: str, found: Inspection) -> Iterator[str]:
    """What a recording holds, line by line, with its charts drawn."""
    yield f"{file}: {kind}"
    said = {name: f"{n:,}" for name, n in found.counts.items()} | dict(found.facts)
    width = max(map(len, said))
    yield from (f"  {name:{width}}  {value}" for name, value in said.items())
    yield from (f"  {note}" for note in found.notes)
    for chart in found.charts:
        yield from _drawn(chart)


def inspection_json(file: Path, kind: str, found: Inspection) -> str:
    """The same as JSON."""
    charts = [
        {"title": one.title, "bars": [{"label": label, "n": n} for label, n in one.bars]}
        for one in found.charts
    ]
    content = {
        "file": str(file),
        "kind": kind,
        "counts": found.counts,
        "facts": found.facts,
        "notes": list(found.notes),
        "charts": charts,
    }
    return json.dumps(content, indent=1)


def conversion_text(written: Mapping[str, Any]) -> Iterator[str]:
    """What was written, and the section that reads it."""
    for name, n_bytes in written["files"].items():
        yield f"{written['out']}/{name}: {size_text(n_bytes)}"
    yield "a sweep reads it by:"
    yield "[recordings.NAME]"
    yield f'kind = "{written["kind"]}"'
    yield 'stimuli = "..."'
    yield f"path = {json.dumps(written['path'], ensure_ascii=False)}"


def _drawn(chart: Chart) -> Iterator[str]:
    yield ""
    yield chart.title
    if not chart.bars:
        yield "  (none)"
        return
    labels = max(len(label) for label, _ in chart.bars)
    largest = max(n for _, n in chart.bars)
    digits = len(f"{largest:,}")
    for label, n in chart.bars:
        bar = "#" * max(int(n > 0), round(WIDEST_BAR * n / max(1, largest)))
        yield f"  {label:>{labels}}  {n:>{digits},}  {bar}".rstrip()


def _kind(asked: Asked) -> str:
    if not asked.file.exists():
        raise BadInput(f"{asked.file}: no such file or folder; correct the path")
    if asked.kind is None:
        return guess.kind_of(asked.file)
    if "path" not in RECORDINGS.get(asked.kind).model_fields:
        raise BadInput(
            f"recordings of kind {asked.kind!r} are in no file of their own; known: {', '.join(guess.of_files())}"
        )
    return asked.kind


def _held(kind: str, asked: Asked, *, whole: bool) -> Held:
    keys = dict(map(_pair, asked.keys))
    condition = keys.pop("targets", None)
    where = f"recording {kind!r}"
    held = _section(kind, asked.file, keys).held(where, asked.most_bytes, whole=whole)
    return held if condition is None else held.selected(str(condition), connection)


def _pair(written: str) -> tuple[str, str]:
    key, equals, value = written.partition("=")
    if not (key.strip() and equals):
        raise BadInput(f"--set {written!r} is no KEY=VALUE; write e.g. --set subject=1")
    if key.strip() in GIVEN:
        raise BadInput(f"--set {key.strip()} is said already, by FILE and --kind; remove it")
    if key.strip() in LATER:
        raise BadInput(
            f"--set {key.strip()} changes nothing in what files hold; set it where a sweep reads the recording"
        )
    return key.strip(), value.strip()


def _section(kind: str, file: Path, keys: Mapping[str, str]) -> RecordingSection:
    """The section of that kind; a value is TOML, or else text."""
    known = RECORDINGS.get(kind)
    required = [name for name, one in known.model_fields.items() if one.is_required()]
    given = {key.partition(".")[0] for key in keys}
    if missing := [one for one in required if one not in given and one not in GIVEN]:
        options = " ".join(f"--set {one}=VALUE" for one in missing)
        raise BadInput(f"{file}: kind {kind!r} needs {' and '.join(missing)}; add {options}")
    as_text: set[str] = set()
    while True:
        content: dict[str, Any] = {"kind": kind, "stimuli": "shown", "path": str(file)}
        for key, value in keys.items():
            _put(content, key, value if key in as_text else _value(value))
        try:
            return sections.read(known, content, submission.home())
        except WrongSection as error:
            # What looks like a number may be a name, such as that of a subject.
            key = ".".join(map(str, error.place))
            if key in keys and key not in as_text and not isinstance(_value(keys[key]), str):
                as_text.add(key)
                continue
            raise BadInput(f"{file}: kind {kind!r}, `{key}`: {error.message}") from error


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    """A value under a key, whose dots say tables."""
    *tables, last = key.split(".")
    for one in tables:
        inner = content.setdefault(one, {})
        if not isinstance(inner, dict):
            raise BadInput(f"--set {key}: {one} is no table; correct it")
        content = inner
    content[last] = value


def _value(written: str) -> Any:
    try:
        found = tomllib.loads(f"value = {written}")
    except tomllib.TOMLDecodeError:
        return written
    return found["value"] if set(found) == {"value"} else written
