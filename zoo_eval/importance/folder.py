"""A folder of images and a folder of maps whose files have the same names but for the suffix."""

from pathlib import Path
from typing import Literal
from unicodedata import normalize

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files.reading import MOST_BYTES
from zoo_eval.importance.images import RawMap, array_map, grey_map
from zoo_eval.importance.maps import Ceiling, ImportanceMaps, ImportanceSection, of_stimuli
from zoo_eval.importance.preparation import Preparation
from zoo_eval.paths import SweepPath
from zoo_eval.stimuli.decoding import Exif
from zoo_eval.stimuli.degrees import InField
from zoo_eval.stimuli.encoded import Encoded
from zoo_eval.stimuli.folder import Files
from zoo_eval.stimuli.ids import stem
from zoo_eval.stimuli.stimulus_set import StimulusSet, Sweepmates

SUFFIXES = {".png", ".jpg", ".jpeg", ".npy"}


class MapFolderSection(ImportanceSection):
    """A folder of maps named like the images of a stimulus set."""

    kind: Literal["folder"] = "folder"
    stimuli: str
    path: SweepPath
    human_ceiling: Ceiling | None = None

    def read(self, name: str, known: Sweepmates) -> tuple[ImportanceMaps, StimulusSet | None]:
        maps = read(
            name,
            known.stimuli(self.stimuli),
            self.path.resolve(),
            preparation=self.preparation,
            human_ceiling=self.human_ceiling,
            exact=known.is_whole(self.stimuli),
            most_bytes=known.memory_budget_bytes,
        )
        return maps, None


def read(
    name: str,
    photos: StimulusSet,
    maps: Path,
    *,
    preparation: Preparation,
    human_ceiling: float | None = None,
    exact: bool = True,
    most_bytes: int = MOST_BYTES,
) -> ImportanceMaps:
    """The prepared maps of photos that were read from a folder, one per photo.

    The map of `below/a.jpg` is `below/a.png`, `.jpg` or `.npy` in the folder `maps`; names are compared
    in composed Unicode. With `exact` every map must have its photo too. A map is turned by its EXIF
    orientation where photos are. Of `most_bytes`, prepared maps may take a quarter in memory; more are
    on disk.

    Raises:
        BadInput: a photo without a map, a map without a photo, two files for one name, a map in
            colour, or none with the proportions of its photo.
    """
    _check_unmoved(name, photos)
    found = _by_stem(name, maps)
    stems = [normalize("NFC", stem(stimulus)) for stimulus in photos.ids]
    extra = sorted(found.keys() - set(stems))
    if missing := [one for one in stems if one not in found]:
        close = f"; {nearest(missing[0], extra)}" if extra else ""
        raise BadInput(
            f"importance {name!r}: {maps} has no map for {photos.ids[stems.index(missing[0])]!r} "
            f"({len(missing)} such images{close}); add one ({', '.join(sorted(SUFFIXES))}) or "
            "narrow `include`"
        )
    if len(set(stems)) != len(stems):
        twice = next(one for one in stems if stems.count(one) > 1)
        raise BadInput(
            f"importance {name!r}: two images are called {twice!r} but for the suffix; rename one"
        )
    if exact and extra:
        raise BadInput(
            f"importance {name!r}: {found[extra[0]]} has no image ({len(extra)} such maps); "
            "remove them or widen `include`"
        )
    exif = photos.images.exif if isinstance(photos.images, Files | Encoded) else "ignore"
    raw = (_read(found[one], exif) for one in stems)
    return of_stimuli(
        name, photos, raw, preparation, human_ceiling=human_ceiling, most_bytes=most_bytes
    )


def _check_unmoved(name: str, photos: StimulusSet) -> None:
    if isinstance(photos.images, InField):
        raise BadInput(
            f"importance {name!r}: maps lie on images as they are, but stimuli {photos.name!r} are shown "
            "in a field of `degrees`; name the same stimuli without it"
        )


def _by_stem(name: str, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.suffix.lower() not in SUFFIXES:
            continue
        name_of_map = normalize("NFC", file.relative_to(folder).with_suffix("").as_posix())
        if name_of_map in found:
            raise BadInput(
                f"importance {name!r}: {found[name_of_map]} and {file} are maps of the same name; "
                "keep one"
            )
        found[name_of_map] = file
    return found


def _read(path: Path, exif: Exif) -> RawMap:
    if path.suffix.lower() == ".npy":
        return array_map(path)
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); correct it") from error
    return grey_map(encoded, str(path), exif)
