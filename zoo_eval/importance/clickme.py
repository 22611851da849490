"""ClickMe in TFRecord shards, in either release: JPEG images and maps, or raw float32 values.

Linsley et al. 2019 (arXiv 1805.08819); shards of Fel et al. 2022 (arXiv 2211.04533).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.importance.images import RawMap, grey_map, photo
from zoo_eval.importance.maps import Ceiling, ImportanceMaps, OwnImagesSection, of_stimuli
from zoo_eval.importance.preparation import PUBLISHED, Preparation
from zoo_eval.importance.selection import ALL, Selection
from zoo_eval.importance.tf_example import Feature, Malformed, parse
from zoo_eval.importance.tfrecord import records
from zoo_eval.stimuli.classes import N_LABELS
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet, Sweepmates

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
        )
        return maps, stimuli


@dataclass(frozen=True, eq=False)
class Click:
    """One record: image (row, column, RGB), uint8 or float32 as stored, raw map, label, identity."""

    stimulus_id: str
    where: str
    image: Pixels | RawMap
    map: RawMap
    label: int


def read(
    name: str,
    folder: Path,
    *,
    shards: str = "*.tfrecords",
    preparation: Preparation = PUBLISHED,
    selection: Selection = ALL,
    human_ceiling: float | None = HUMAN_CEILING,
) -> tuple[StimulusSet, ImportanceMaps]:
    """Images with labels, and their prepared maps; ids are `shard#record number`.

    Raises:
        BadInput: no shard fits, a record is damaged (file and record number are named), a feature
            is missing or of another kind, or maps were blurred before and would be blurred again.
    """
    files = sorted(folder.glob(shards))
    if not files:
        raise BadInput(f"importance {name!r}: no file {shards!r} in {folder}; correct `shards`")
    clicks = list(_clicks(folder, files, selection))
    if preparation.blur is not None:
        _refuse_second_blur(name, clicks)
    ids = tuple(click.stimulus_id for click in clicks)
    labels = tuple(click.label for click in clicks)
    stimuli = StimulusSet(name, ids, tuple(_as_bytes(name, clicks)), groups=ids, labels=labels)
    raw = [click.map for click in clicks]
    maps = of_stimuli(name, stimuli, raw, preparation, human_ceiling=human_ceiling)
    return stimuli, maps


def _clicks(folder: Path, files: list[Path], selection: Selection) -> Iterator[Click]:
    choice = selection.begin()
    for file in files:
        for number, record in enumerate(records(file)):
            where = f"{file}: record {number}"
            try:
                features = parse(record)
            except Malformed as error:
                raise BadInput(
                    f"{where} is no tf.Example ({error}); fetch the file again"
                ) from error
            label = _label(features, where)
            if choice.takes(label):
                stimulus_id = f"{file.relative_to(folder).as_posix()}#{number:06d}"
                yield _click(features, label, stimulus_id, where)
            if choice.is_full:
                return


def _click(features: dict[str, Feature], label: int, stimulus_id: str, where: str) -> Click:
    image, heatmap = (_bytes(features, part, where) for part in ("image", "heatmap"))
    if image.startswith(JPEG) != heatmap.startswith(JPEG):
        raise BadInput(
            f"{where}: one of image and map is JPEG, the other is not; remove the record"
        )
    if image.startswith(JPEG):
        return Click(stimulus_id, where, photo(image, where), grey_map(heatmap, where), label)
    return Click(
        stimulus_id,
        where,
        _raw(image, 3, f"{where}: image"),
        _raw(heatmap, 1, f"{where}: map")[..., 0],
        label,
    )


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


def _refuse_second_blur(name: str, clicks: list[Click]) -> None:
    for click in clicks:
        if click.image.dtype != np.uint8 and click.map.shape[0] == PREPARED_PX:
            raise BadInput(
                f"importance {name!r}: {click.where} holds raw values of {PREPARED_PX} px, which "
                "were blurred before they were written; choose a preparation without a blur"
            )


def _as_bytes(name: str, clicks: list[Click]) -> Iterator[Pixels]:
    """The images as uint8; floats are in [0, 1] or in [0, 255], the same for all records."""
    floats = [click for click in clicks if click.image.dtype != np.uint8]
    span = _span(name, floats) if floats else 1.0
    for click in clicks:
        if click.image.dtype == np.uint8:
            yield click.image.astype(np.uint8, copy=False)
        else:
            yield np.rint(click.image * (255 / span)).clip(0, 255).astype(np.uint8)


def _span(name: str, clicks: list[Click]) -> float:
    low = min(float(click.image.min()) for click in clicks)
    high = max(float(click.image.max()) for click in clicks)
    for span in FLOAT_SPAN.values():
        if -ROUNDING * span <= low and high <= (1 + ROUNDING) * span:
            return span
    raise BadInput(
        f"importance {name!r}: raw image values lie between {low:.4g} and {high:.4g}, neither in "
        f"{' nor in '.join(FLOAT_SPAN)}; undo the normalisation, or take the JPEG release"
    )
