"""The lab format: one .pth file per image, a dict of uint8 tensors image, heatmap and a label."""

import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo_eval.errors import BadInput
from zoo_eval.files import arrays, foreign
from zoo_eval.importance.images import RawMap
from zoo_eval.importance.maps import Ceiling, ImportanceMaps, OwnImagesSection, of_stimuli
from zoo_eval.importance.preparation import BLURRED_BEFORE, Preparation
from zoo_eval.importance.selection import ALL, Selection
from zoo_eval.stimuli.classes import N_LABELS
from zoo_eval.stimuli.stimulus_set import Pixels, StimulusSet, Sweepmates

CHANNELS = {"image": 3, "heatmap": 1}


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
) -> tuple[StimulusSet, ImportanceMaps]:
    """Images with labels, and their prepared maps; ids are paths relative to the folder.

    These maps were blurred before they were stored, so that by default they are not blurred again.

    Raises:
        BadInput: no file fits, a file is damaged or needs code to unpickle, or holds another shape
            or type; the file is named.
    """
    paths = sorted(path for path in folder.glob(files) if path.is_file())
    choice = selection.begin()
    ids: list[str] = []
    images: list[Pixels] = []
    raw: list[RawMap] = []
    labels: list[int] = []
    for path in paths:
        content = _load(path)
        label = _label(content, path)
        if choice.takes(label):
            ids.append(path.relative_to(folder).as_posix())
            images.append(_tensor(content, "image", path).permute(1, 2, 0).contiguous().numpy())
            raw.append(_tensor(content, "heatmap", path)[0].numpy().astype(np.float32))
            labels.append(label)
        if choice.is_full:
            break
    if not ids:
        raise BadInput(f"importance {name!r}: no file {files!r} in {folder}; correct `files`")
    named = tuple(ids)
    stimuli = StimulusSet(name, named, tuple(images), groups=named, labels=tuple(labels))
    return stimuli, of_stimuli(name, stimuli, raw, preparation, human_ceiling=human_ceiling)


def _load(path: Path) -> dict[str, Any]:
    arrays.check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path}: is damaged or needs code to load, which is never run; save it again as a dict "
            "of plain tensors"
        ) from error
    except Exception as error:
        # An unpickler that is fed nonsense raises anything: KeyError, IndexError, AssertionError...
        raise BadInput(f"{path}: cannot be read: {foreign.told(path)}") from error
    if not isinstance(content, dict) or not {*CHANNELS, "label"} <= content.keys():
        held = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise BadInput(
            f"{path}: expected a dict of image, heatmap and label, got {held}; replace it"
        )
    return content


def _tensor(content: dict[str, Any], part: str, path: Path) -> Tensor:
    """A uint8 tensor (channel, row, column); a leading axis of length 1 is dropped."""
    value, channels = content[part], CHANNELS[part]
    if isinstance(value, Tensor) and value.dtype == torch.uint8:
        one = value[0] if value.ndim == 4 and len(value) == 1 else value
        if one.ndim == 3 and len(one) == channels and one.numel():
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
