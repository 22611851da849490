"""ClickMe in TFRecord shards, in either release: JPEG images and maps, or raw float32 values.

Linsley et al. 2019 (arXiv 1805.08819); shards of Fel et al. 2022 (arXiv 2211.04533).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import PIL

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput
from zoo_eval.files.reading import MOST_BYTES, check_fits
from zoo_eval.importance import tfrecord
from zoo_eval.importance.images import RawMap, grey_map, photo
from zoo_eval.importance.maps import Ceiling, ImportanceMaps, OwnImagesSection, of_stimuli
from zoo_eval.importance.preparation import PUBLISHED, Preparation
from zoo_eval.importance.selection import ALL, Selection
from zoo_eval.importance.tf_example import Feature, Malformed, parse
from zoo_eval.stimuli import decoding, folder
from zoo_eval.stimuli.classes import N_LABELS
from zoo_eval.stimuli.decoding import opened
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.stimulus_set import Images, Pixels, StimulusSet, Sweepmates

# Fel et al. 2022: Spearman between the maps of two halves of the participants.
HUMAN_CEILING = 0.6575315343478081
JPEG = b"\xff\xd8\xff"
FLOAT32_BYTES = 4
# Raw maps of this size were blurred when they were written; those of 256 px were not.
PREPARED_PX = 224
FLOAT_SPAN = {"[0, 1]": 1.0, "[0, 255]": 255.0}
ROUNDING = 1e-3


class ClickMeSection(OwnImagesSection):
    """ClickMe in TFRecord shards, of either release."""

    kind: Literal["clickme_tfrecord"] = "clickme_tfrecord"
    shards: str = "*.tfrecords"
    human_ceiling: Ceiling = HUMAN_CEILING

    def read(self, name: str, known: Sweepmates) -> tuple[ImportanceMaps, StimulusSet | None]:
        stimuli, maps = read(
            name,
            self.path.resolve(),
            shards=self.shards,
            preparation=self.preparation,
            selection=self.selection,
            human_ceiling=self.human_ceiling,
            most_bytes=known.memory_budget_bytes,
        )
        return maps, stimuli


@dataclass(frozen=True, eq=False)
class Click:
    """One record: where it is, its label, the size of its image and the range of raw values.

    `held` are its bytes where the file is compressed, so that they cannot be found again by `start`.
    """

    stimulus_id: str
    path: Path
    number: int
    start: int | None
    held: bytes | None
    label: int
    shape: Shape
    span: tuple[float, float] | None

    @property
    def where(self) -> str:
        return f"{self.path}: record {self.number}"

    def parts(self) -> tuple[bytes, bytes]:
        """Image and map as they are stored.

        Raises:
            BadInput: the file changed, and they are not there any more.
        """
        if self.held is None:
            assert self.start is not None
            record = tfrecord.at(self.path, self.start, self.number)
        else:
            record = self.held
        return _parts(_parsed(record, self.where), self.where)


@dataclass(frozen=True, eq=False)
class ClickImages(Images):
    """The images of some records; raw values are from 0 to `span`."""

    clicks: tuple[Click, ...]
    span: float

    def __len__(self) -> int:
        return len(self.clicks)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(click.shape for click in self.clicks)

    @cached_property
    def stamp(self) -> str | None:
        # The ids, under which it is kept, say which records.
        files = [folder.stamp(path) for path in sorted({click.path for click in self.clicks})]
        return digest([PIL.__version__, decoding.VERSION, self.span, files])

    def decode(self, number: int) -> Pixels:
        click = self.clicks[number]
        image, _ = click.parts()
        if click.span is None:
            return photo(image, click.where)
        values = _raw(image, 3, f"{click.where}: image")
        levels: Pixels = np.rint(values * (255 / self.span)).clip(0, 255).astype(np.uint8)
        return levels


def read(
    name: str,
    path: Path,
    *,
    shards: str = "*.tfrecords",
    preparation: Preparation = PUBLISHED,
    selection: Selection = ALL,
    human_ceiling: float | None = HUMAN_CEILING,
    most_bytes: int = MOST_BYTES,
) -> tuple[StimulusSet, ImportanceMaps]:
    """Images with labels, and their prepared maps; ids are `shard#record number`.

    Shards are read as they are or, where there are none, with `.gz` behind their names. Images are
    decoded when shown; what is held of compressed shards may take half of `most_bytes`.

    Raises:
        BadInput: no shard fits, a record is damaged (file and record number are named), a feature
            is missing or of another kind, or maps were blurred before and would be blurred again.
    """
    files = sorted(path.glob(shards)) or sorted(path.glob(f"{shards}.gz"))
    if not files:
        raise BadInput(f"importance {name!r}: no file {shards!r} in {path}; correct `shards`")
    clicks = tuple(_clicks(name, path, files, selection, most_bytes // 2))
    if not clicks:
        raise BadInput(
            f"importance {name!r}: {files[0]} and the like hold no record; fetch them again"
        )
    ids = tuple(click.stimulus_id for click in clicks)
    labels = tuple(click.label for click in clicks)
    images = ClickImages(clicks, _span(name, clicks))
    stimuli = StimulusSet(name, ids, images, groups=ids, labels=labels)
    raw = (_map(name, click, preparation) for click in clicks)
    maps = of_stimuli(
        name, stimuli, raw, preparation, human_ceiling=human_ceiling, most_bytes=most_bytes
    )
    return stimuli, maps


def _clicks(
    name: str, path: Path, files: list[Path], selection: Selection, most_bytes: int
) -> Iterator[Click]:
    choice, n_held = selection.begin(), 0
    for file in files:
        for number, record in enumerate(tfrecord.placed(file)):
            where = f"{file}: record {number}"
            features = _parsed(record.data, where)
            label = _label(features, where)
            if choice.takes(label):
                stimulus_id = f"{file.relative_to(path).as_posix()}#{number:06d}"
                held = record.data if record.start is None else None
                n_held += len(held or b"")
                check_fits(
                    f"importance {name!r}", "what is held of compressed shards", n_held, most_bytes,
                    "unpack them (gunzip), or take fewer (limit, per_class)",
                )  # fmt: skip
                shape, span = _shown(*_parts(features, where), where)
                yield Click(stimulus_id, file, number, record.start, held, label, shape, span)
            if choice.is_full:
                return


def _parsed(record: bytes, where: str) -> dict[str, Feature]:
    try:
        return parse(record)
    except Malformed as error:
        raise BadInput(f"{where} is no tf.Example ({error}); fetch the file again") from error


def _parts(features: dict[str, Feature], where: str) -> tuple[bytes, bytes]:
    image, heatmap = (_bytes(features, part, where) for part in ("image", "heatmap"))
    if image.startswith(JPEG) != heatmap.startswith(JPEG):
        raise BadInput(
            f"{where}: one of image and map is JPEG, the other is not; remove the record"
        )
    return image, heatmap


def _shown(image: bytes, _: bytes, where: str) -> tuple[Shape, tuple[float, float] | None]:
    """The image's size, and the range of its values where they are raw."""
    if image.startswith(JPEG):
        with opened(image, f"{where}: image") as file:
            return decoding.shape(file), None
    values = _raw(image, 3, f"{where}: image")
    return values.shape, (float(values.min()), float(values.max()))


def _map(name: str, click: Click, preparation: Preparation) -> RawMap:
    _, heatmap = click.parts()
    if heatmap.startswith(JPEG):
        return grey_map(heatmap, click.where)
    values: RawMap = _raw(heatmap, 1, f"{click.where}: map")[..., 0]
    if preparation.blur is not None and len(values) == PREPARED_PX:
        raise BadInput(
            f"importance {name!r}: {click.where} holds raw values of {PREPARED_PX} px, which "
            "were blurred before they were written; choose a preparation without a blur"
        )
    return values


def _label(features: dict[str, Feature], where: str) -> int:
    value = features.get("label", [])
    if len(value) != 1 or not isinstance(value[0], int) or not 0 <= value[0] < N_LABELS:
        raise BadInput(f"{where}: `label` is {value[:3]}, not one class index; is this ClickMe?")
    return value[0]


def _bytes(features: dict[str, Feature], part: str, where: str) -> bytes:
    value = features.get(part, [])
    if len(value) != 1 or not isinstance(value[0], bytes):
        known = ", ".join(sorted(features)) or "none"
        raise BadInput(f"{where}: no bytes `{part}` among its features ({known}); is this ClickMe?")
    return value[0]


def _raw(values: bytes, channels: int, where: str) -> RawMap:
    """Raw little-endian float32 values as (row, column, channel) of a square."""
    side = math.isqrt(len(values) // (FLOAT32_BYTES * channels))
    if not side or len(values) != FLOAT32_BYTES * channels * side * side:
        raise BadInput(
            f"{where}: {len(values)} bytes are neither JPEG nor the float32 values of a square with "
            f"{channels} channels; is this ClickMe?"
        )
    floats = np.frombuffer(values, "<f4").reshape(side, side, channels).astype(np.float32)
    if not np.isfinite(floats).all():
        raise BadInput(f"{where} has a NaN or infinite value; remove the record")
    return floats


def _span(name: str, clicks: Sequence[Click]) -> float:
    """The upper end of raw values, the same for all records: 1 or 255."""
    spans = [click.span for click in clicks if click.span is not None]
    if not spans:
        return 1.0
    low, high = min(low for low, _ in spans), max(high for _, high in spans)
    for span in FLOAT_SPAN.values():
        if -ROUNDING * span <= low and high <= (1 + ROUNDING) * span:
            return span
    raise BadInput(
        f"importance {name!r}: raw image values lie between {low:.4g} and {high:.4g}, neither in "
        f"{' nor in '.join(FLOAT_SPAN)}; undo the normalisation, or take the JPEG release"
    )
