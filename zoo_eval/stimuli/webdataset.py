"""WebDataset: tar shards whose files of one name but for the suffix are a sample: image, class, JSON."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from zoo_eval.errors import BadInput
from zoo_eval.files import members, reading
from zoo_eval.files.members import Member
from zoo_eval.files.names import printable
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli import classes
from zoo_eval.stimuli.brainscore import MemberImages
from zoo_eval.stimuli.decoding import Exif
from zoo_eval.stimuli.ids import IMAGE_SUFFIXES
from zoo_eval.stimuli.stimulus_set import StimuliSection, StimulusSet, Sweepmates

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")
MOST_SHARDS = 100_000
# A label, or what is known of one image.
MOST_TEXT_BYTES = 2**20


class WebDatasetSection(StimuliSection):
    """Samples in tar shards: all that have the same name up to the first point.

    `shards` are files in the folder `path`, by patterns (*, ?) or braces ({0000..0012}, {a,b}). An id is
    that name, with `ids = "shard"` behind the shard's, with any other text that key of the sample's
    .json. `image` says the image where a sample has several; labels are those of `label` (cls) where
    every sample has one, or none with "".
    """

    kind: Literal["webdataset"] = "webdataset"
    path: SweepPath
    shards: str = "*.tar"
    ids: str = "name"
    image: str | None = None
    label: str = "cls"
    limit: Annotated[int, Field(ge=1)] | None = None
    exif: Exif = "ignore"

    @property
    def is_whole(self) -> bool:
        return self.shards == "*.tar" and self.limit is None

    def read(self, name: str, known: Sweepmates) -> StimulusSet:
        where = f"stimuli {name!r}"
        samples: list[Sample] = []
        for shard in _shards(where, self.path.resolve(), self.shards):
            if self.limit is None or len(samples) < self.limit:
                samples += _samples(f"{where}: {shard}", shard)
        samples = samples[: self.limit]
        images = tuple(_image(where, sample, self.image) for sample in samples)
        ids = tuple(_id(sample, self.ids) for sample in samples)
        labels, notes = self._labels(where, samples)
        found = MemberImages(images, self.exif)
        return StimulusSet(name, ids, found, groups=ids, labels=labels, notes=notes)

    def _labels(
        self, where: str, samples: Sequence["Sample"]
    ) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
        without = [sample for sample in samples if self.label not in sample.parts]
        if not self.label or len(without) == len(samples):
            return None, ()
        if without:
            raise BadInput(
                f"{where}: {without[0].where} has no .{self.label} ({len(without)} of {len(samples)} "
                'such); add them, or set label = "" for none'
            )
        found = tuple(
            classes.label(sample.parts[self.label].where, _text(sample.parts[self.label]))
            for sample in samples
        )
        return found, (f"images are labelled by their .{self.label}",)


@dataclass(frozen=True)
class Sample:
    """Files of one name in a shard, by what is behind its first point."""

    shard: Path
    name: str
    parts: dict[str, Member] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What it is, for messages."""
        return f"{self.shard}: {self.name!r}"


def expanded(where: str, pattern: str) -> list[str]:
    """What a pattern with braces stands for: {0000..0012} numbers of as many digits, {a,b} either.

    Raises:
        BadInput: a range that goes down, or more than any set has shards.
    """
    parts = BRACES.split(pattern)
    choices: list[list[str]] = []
    for number, part in enumerate(parts):
        choices.append(_choices(where, part) if number % 2 else [part])
        if (n := _product(map(len, choices))) > MOST_SHARDS:
            raise BadInput(f"{where}: shards {pattern!r} are {n} files or more; name fewer")
    return ["".join(one) for one in product(*choices)]


def _choices(where: str, inside: str) -> list[str]:
    match = RANGE.fullmatch(inside)
    if match is None:
        return inside.split(",")
    first, last = int(match[1]), int(match[2])
    if first > last or last - first >= MOST_SHARDS:
        raise BadInput(f"{where}: {{{inside}}} of `shards` is no range of shards; write {{0..9}}")
    return [f"{one:0{len(match[1])}d}" for one in range(first, last + 1)]


def _product(numbers: Any) -> int:
    found = 1
    for one in numbers:
        found *= one
    return found


def _shards(where: str, folder: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern:
        raise BadInput(f"{where}: shards {pattern!r} are not in {folder}; write names within it")
    found: dict[Path, None] = {}
    missing = []
    for one in expanded(where, pattern):
        files = sorted(file for file in folder.glob(one) if file.is_file())
        found.update(dict.fromkeys(files))
        missing += [one] if not files else []
    if missing:
        raise BadInput(
            f"{where}: no shard {missing[0]!r} in {folder} ({len(missing)} such); fetch it, or correct "
            "`shards`"
        )
    return list(found)


def _samples(where: str, shard: Path) -> Iterator[Sample]:
    """The samples of a shard in its order, each of files that stand one after another or not."""
    found: dict[str, Sample] = {}
    for member in members.of_tar(where, shard):
        folder, _, file = member.name.rpartition("/")
        stem, _, suffix = file.partition(".")
        # Of the archive itself, or left behind by macOS.
        if not stem or not suffix or stem.startswith("__"):
            continue
        name = f"{folder}/{stem}" if folder else stem
        sample = found.setdefault(name, Sample(shard, name))
        if suffix.lower() in sample.parts:
            raise BadInput(f"{sample.where} has two files .{printable(suffix.lower())}; keep one")
        sample.parts[suffix.lower()] = member
    if not found:
        raise BadInput(f"{where} has no sample (files such as 000001.jpg); check `shards`")
    yield from found.values()


def _image(where: str, sample: Sample, named: str | None) -> Member:
    suffixes = (
        {f".{named.lower().removeprefix('.')}"} if named else IMAGE_SUFFIXES | {".gif", ".ppm"}
    )
    found = [one for suffix, one in sample.parts.items() if f".{suffix}" in suffixes]
    if len(found) != 1:
        held = printable(", ".join(f".{suffix}" for suffix in sample.parts))
        raise BadInput(
            f"{where}: {sample.where} has {len(found)} images among {held}; say which: `image`"
        )
    return found[0]


def _id(sample: Sample, ids: str) -> str:
    if ids == "name":
        return sample.name
    if ids == "shard":
        return f"{sample.shard.stem}/{sample.name}"
    if "json" not in sample.parts:
        raise BadInput(f'{sample.where} has no .json to say its {ids!r}; set ids = "name"')
    member = sample.parts["json"]
    with reading.told(member.where, sample.shard, "is no JSON"):
        content = json.loads(_text(member))
    value = content.get(ids) if isinstance(content, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BadInput(
            f"{member.where}: {ids!r} is {value!r:.40}, no id; name another key as `ids`"
        )
    return str(value)


def _text(member: Member) -> str:
    if member.n_bytes > MOST_TEXT_BYTES:
        raise BadInput(f"{member.where} is larger than a label or its JSON; leave it out")
    try:
        return member.read().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadInput(f"{member.where} is no text in UTF-8; pack it as text") from error
