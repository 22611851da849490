"""The lab format: one .pth file per image, a dict of uint8 tensors image, heatmap and a label."""

import pickle
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo_eval.digests import digest
from zoo_eval.errors import BadInput, one_line
from zoo_eval.files import arrays, foreign, reading
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.importance.images import RawMap
from zoo_eval.importance.maps import Ceiling, ImportanceMaps, OwnImagesSection, of_stimuli
from zoo_eval.importance.preparation import BLURRED_BEFORE, Preparation
from zoo_eval.importance.selection import ALL, Selection
from zoo_eval.stimuli.classes import N_LABELS
from zoo_eval.stimuli.folder import stamp
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.stimulus_set import Images, Pixels, StimulusSet, Sweepmates

CHANNELS = {"image": 3, "heatmap": 1}
MOST_FILE_BYTES = 2**30


class LabSection(OwnImagesSection):
    """One .pth file per image; such maps were blurred before they were stored."""

    kind: Literal["lab_pth"] = "lab_pth"
    files: str = "*.pth"
    blur: bool = False
    human_ceiling: Ceiling | None = None

    def read(self, name: str, known: Sweepmates) -> tuple[ImportanceMaps, StimulusSet | None]:
        stimuli, maps = read(
            name,
            self.path.resolve(),
            files=self.files,
            preparation=self.preparation,
            selection=self.selection,
            human_ceiling=self.human_ceiling,
            most_bytes=known.memory_budget_bytes,
        )
        return maps, stimuli


def read(
    name: str,
    folder: Path,
    *,
    files: str = "*.pth",
    preparation: Preparation = BLURRED_BEFORE,
    selection: Selection = ALL,
    human_ceiling: float | None = None,
    most_bytes: int = MOST_BYTES,
) -> tuple[StimulusSet, ImportanceMaps]:
    """Images with labels, and their prepared maps; ids are paths relative to the folder.

    These maps were blurred before they were stored, so that by default they are not blurred again.
    Images are decoded when shown.

    Raises:
        BadInput: no file fits, a file is damaged or needs code to unpickle, or holds another shape
            or type; the file is named.
    """
    paths = sorted(path for path in folder.glob(files) if path.is_file())
    choice = selection.begin()
    taken: list[Path] = []
    shapes: list[Shape] = []
    labels: list[int] = []
    for path in paths:
        content = _load(path)
        label = _label(content, path)
        if choice.takes(label):
            _, height, width = _tensor(content, "image", path).shape
            taken.append(path)
            shapes.append((height, width, CHANNELS["image"]))
            labels.append(label)
        if choice.is_full:
            break
    if not taken:
        raise BadInput(f"importance {name!r}: no file {files!r} in {folder}; correct `files`")
    named = tuple(path.relative_to(folder).as_posix() for path in taken)
    images = LabImages(tuple(taken), tuple(shapes))
    stimuli = StimulusSet(name, named, images, groups=named, labels=tuple(labels))
    raw = (_map(path) for path in taken)
    maps = of_stimuli(
        name, stimuli, raw, preparation, human_ceiling=human_ceiling, most_bytes=most_bytes
    )
    return stimuli, maps


@dataclass(frozen=True, eq=False)
class LabImages(Images):
    """The images of some files."""

    paths: tuple[Path, ...]
    known_shapes: tuple[Shape, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.known_shapes

    @cached_property
    def stamp(self) -> str | None:
        return digest([stamp(path) for path in self.paths])

    def decode(self, number: int) -> Pixels:
        path = self.paths[number]
        image = _tensor(_load(path), "image", path)
        return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _map(path: Path) -> RawMap:
    found: RawMap = _tensor(_load(path), "heatmap", path)[0].numpy().astype(np.float32)
    return found


def _load(path: Path) -> dict[str, Any]:
    _check_size(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path}: is damaged or needs code to load, which is never run ({foreign.told(path)}); "
            "save it again as a dict of plain tensors"
        ) from error
    except Exception as error:
        # An unpickler that is fed nonsense raises anything: KeyError, IndexError, AssertionError...
        raise BadInput(f"{path}: is damaged ({one_line(error)}): {foreign.told(path)}") from error
    if not isinstance(content, dict) or not {*CHANNELS, "label"} <= content.keys():
        held = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise BadInput(
            f"{path}: expected a dict of image, heatmap and label, got {held}; replace it"
        )
    return content


def _check_size(path: Path) -> None:
    """Refuses a file that is, or claims to be, larger than any image and its map."""
    with reading.told(f"{path}:", path, "is damaged"):
        n_bytes = path.stat().st_size
        if n_bytes > MOST_FILE_BYTES:
            raise BadInput(f"{path}: is larger than any image and its map; replace it")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                arrays.check_archive(archive, str(path), n_bytes)


def _tensor(content: dict[str, Any], part: str, path: Path) -> Tensor:
    """A uint8 tensor (channel, row, column); a leading axis of length 1 is dropped."""
    value, channels = content[part], CHANNELS[part]
    if isinstance(value, Tensor) and value.dtype == torch.uint8:
        one = value[0] if value.ndim == 4 and len(value) == 1 else value
        if one.ndim == 3 and len(one) == channels and one.numel():
            # Steps of 0 would make any number of values of one.
            if one.numel() > path.stat().st_size:
                raise BadInput(
                    f"{path}: {part} claims {list(one.shape)}, more than the file holds; replace it"
                )
            return one
    got = (
        f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    )
    raise BadInput(
        f"{path}: expected {part} as uint8 ({channels}, row, column), got {got}; save it so"
    )


def _label(content: dict[str, Any], path: Path) -> int:
    value = content["label"]
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_floating_point():
        value = int(value.item())
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < N_LABELS:
        raise BadInput(f"{path}: expected label as one class index, got {value!r}; save it so")
    return value
