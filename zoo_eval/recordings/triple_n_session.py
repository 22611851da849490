"""A session of Triple-N: which one a file is of, by its name, and means of a window of its responses."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo_eval.errors import BadInput
from zoo_eval.files import reading
from zoo_eval.files.arrays import AGAIN
from zoo_eval.recordings import triple_n_responses
from zoo_eval.recordings.presentations import Numbers
from zoo_eval.recordings.triple_n_responses import Sums

# Of S0_ConvertMatTOh5.m, which numbers the sessions, and of the authors' own files, which have no number.
NUMBERED = re.compile(
    r"ses(?P<number>[0-9]+)_(?P<day>[0-9]+)_(?P<subject>[^_]+)_g?(?P<run>[0-9]+)\.h5"
)
GOOD_UNIT = re.compile(r"GoodUnit_(?P<day>[0-9]+)_(?P<subject>[^_]+)_.*_g(?P<run>[0-9]+)\.mat")
EXAMPLES = "GoodUnit_240629_JianJian_NSD1000_LOC_g2.mat, or ses01_240629_M1_2.h5"
# As the authors number their monkeys.
MONKEYS = {"JianJian": "M1", "FaCai": "M2", "ZhuangZhuang": "M3", "MaoDan": "M4", "TuTu": "M5"}
# Its day, subject and run: by these the files of a session are known.
Key = tuple[str, str, int]
FAILURE = "is not a session of Triple-N that can be read"


@dataclass(frozen=True)
class Session:
    """One file: which session it is, of which subject, and its axes; responses are not read yet.

    `number` is the authors' own of the session, None where the file's name does not say it.
    """

    where: str
    path: Path
    number: int | None
    key: Key
    shape: tuple[int, int, int]
    onset_ms: int | None

    @property
    def name(self) -> str:
        day, subject, run = self.key
        return f"{day}_{subject}_g{run}" if self.number is None else f"ses{self.number:02d}"

    @property
    def subject(self) -> str:
        return self.key[1]

    @property
    def n_ms(self) -> int:
        return self.shape[0]

    @property
    def n_images(self) -> int:
        return self.shape[1]

    @property
    def n_units(self) -> int:
        return self.shape[2]

    def unit(self, number: int) -> str:
        """What a unit is called, by its number from 1."""
        return f"{self.name}_unit_{number:03d}"

    def means(self, window: range, n_images: int, units: Numbers) -> Sums:
        """Means over some milliseconds, (image, unit), of the first images and of some units.

        A response that is NaN in any of these milliseconds is NaN.

        Raises:
            BadInput: the file is damaged, has changed, or has an infinite response.
        """
        with (
            reading.told(self.where, self.path, FAILURE),
            triple_n_responses.opened(self.where, self.path) as responses,
            np.errstate(over="ignore", invalid="ignore"),
        ):
            if responses.shape != self.shape:
                raise BadInput(f"{self.where} has changed since it was planned; plan again")
            total = responses.sums(window, n_images, units)
            if np.isinf(total).any():
                raise BadInput(f"{responses.where} has an infinite response: {AGAIN}")
        return total / len(window)


def described(where: str, path: Path, most_bytes: int) -> Session:
    """What a session's file holds, without its responses.

    Raises:
        BadInput: its name is not that of a session, it is damaged, or its images are not Triple-N's.
    """
    place = f"{where}: {path}"
    named = _named(path)
    if named is None:
        raise BadInput(
            f"{place}: the name says no session and subject; name it as Triple-N does ({EXAMPLES})"
        )
    with (
        reading.told(place, path, FAILURE),
        triple_n_responses.opened(place, path) as responses,
    ):
        responses.check(most_bytes)
        shape, onset_ms = responses.shape, responses.onset_ms
    said = named.groupdict()
    number = int(said["number"]) if "number" in said else None
    subject = MONKEYS.get(said["subject"], said["subject"])
    key = (said["day"], subject, int(said["run"]))
    return Session(place, path, number, key, shape, onset_ms)


def found_in(where: str, given: Sequence[Path]) -> list[Path]:
    """The files of sessions among some files and folders, in the order of their names.

    Raises:
        BadInput: a folder has none.
    """
    found: list[Path] = []
    for path in given:
        own = [path]
        if path.is_dir():
            own = [one for one in sorted(path.iterdir()) if _named(one) is not None]
        if not own:
            raise BadInput(f"{where}: {path} has no session ({EXAMPLES}); name their folder")
        found += own
    return list(dict.fromkeys(found))


def _named(path: Path) -> re.Match[str] | None:
    return NUMBERED.fullmatch(path.name) or GOOD_UNIT.fullmatch(path.name)
