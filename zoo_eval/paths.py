"""Paths in a sweep file: `package:` names a file inside an installed package, without importing it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from zoo_eval.errors import BadInput
from zoo_eval.privacy import files
from zoo_eval.privacy.addresses import key_in, shown

# Under this key the context of a validation holds the folder that relative paths start from.
HOME = "home"
PACKAGE = "package:"


def cache_folder(name: str) -> Path:
    """Where this machine keeps what can be made or downloaded again; `ZOO_EVAL_CACHE` moves it."""
    folder = os.environ.get("ZOO_EVAL_CACHE")
    return (Path(folder) if folder else Path.home() / ".cache" / "zoo_eval") / name


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A path to write a file of a cache to: others find the old one or the new one, never a part.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    files.make_folder(file.parent)
    aside = file.with_suffix(f".{uuid4().hex}")
    try:
        files.make_empty(aside)
        yield aside
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """Writes a text to a file of a cache, as `whole` does.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    with whole(file) as aside:
        aside.write_text(text)


def refuse_key(address: str) -> None:
    """Nothing, where an address holds no key.

    Raises:
        BadInput: it does; the key is not in the message.
    """
    if (place := key_in(address)) is not None:
        raise BadInput(
            f"{shown(address)}: the address holds {place}; take it out: credentials come from "
            "the environment, a profile, or the machine's own role"
        )


@dataclass(frozen=True)
class SweepPath:
    """A path as it was written, made absolute once: from the folder of whoever wrote it.

    `absolute` is None where that folder is unknown, as for a job that was submitted elsewhere.
    """

    text: str
    absolute: Path | None

    @classmethod
    def of(cls, text: str | Path, home: Path | None) -> "SweepPath":
        """A path that starts from a folder, unless it is absolute or of a package."""
        written = str(text)
        place = Path(written).expanduser()
        if written.startswith(PACKAGE):
            return cls(written, None)
        if place.is_absolute():
            return cls(written, place)
        return cls(written, None if home is None else home / place)

    @property
    def is_url(self) -> bool:
        """Whether it is an address on the web."""
        return self.text.startswith(("https://", "http://"))

    @property
    def is_relative(self) -> bool:
        """Whether it means nothing without the folder that it was written for."""
        of_its_own = "://" in self.text or self.text.startswith(PACKAGE)
        return not of_its_own and not Path(self.text).expanduser().is_absolute()

    @property
    def address(self) -> str:
        """The store or file that it means, as an absolute path or a URI.

        Raises:
            BadInput: it holds a key, or is relative and nobody knows to what.
        """
        if not self.is_url:
            # Before it could become the name of a folder.
            refuse_key(self.text)
        if "://" in self.text:
            return self.text
        if self.absolute is None:
            raise BadInput(
                f"{self.text!r} is a relative path, but the submitter's folder is unknown; use "
                "absolute paths on storage that every machine has, or set ZOO_EVAL_HOME"
            )
        return str(self.absolute)

    def resolve(self) -> Path:
        """The file or folder that it means.

        Raises:
            BadInput: the package is not installed, the path does not exist or leads out of it, or it is
                relative and nobody knows to what.
        """
        path = self._in_package() if self.text.startswith(PACKAGE) else Path(self.address)
        if not path.exists():
            raise BadInput(f"{self.text}: no such file or folder ({path}); correct the path")
        return path.resolve()

    def _in_package(self) -> Path:
        package, _, rest = self.text.removeprefix(PACKAGE).partition("/")
        folders = _package_folders(package)
        if not folders:
            raise BadInput(
                f"{self.text}: package {package!r} is not installed; "
                f"install it (pip install {package.replace('_', '-')}) or correct the path"
            )
        inside = PurePosixPath(os.path.normpath(rest or "."))
        if inside.is_absolute() or ".." in inside.parts:
            raise BadInput(
                f"{self.text}: leads out of package {package!r}; name a file inside it, or write its "
                "own path"
            )
        return next(
            (one / inside for one in folders if (one / inside).exists()), folders[0] / inside
        )

    def __str__(self) -> str:
        return shown(self.text)

    def __repr__(self) -> str:
        return f"SweepPath({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _placed, serialization=core_schema.to_string_ser_schema()
        )


def _package_folders(package: str) -> list[Path]:
    """The folders of an installed package; none where there is no such one. Nothing is imported."""
    places: Sequence[str] | None = None
    *above, last = package.split(".")
    for number, part in enumerate([*above, last], 1):
        spec = _spec(".".join([*above, last][:number]), places) if part.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            return []
        places = list(spec.submodule_search_locations)
    return [Path(one) for one in places or ()]


def _spec(name: str, places: Sequence[str] | None) -> ModuleSpec | None:
    """Where a module is, told by the finders alone: `importlib.util` would import what is above it."""
    finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
    found = (find(name, places) for find in finders if find is not None)
    return next(filter(None, found), None)


def _placed(value: Any, info: ValidationInfo) -> SweepPath:
    if isinstance(value, SweepPath):
        return value
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"expected a path, got {value!r}")
    # What is made in Python, without a sweep file, starts from the current folder.
    known = info.context is not None and HOME in info.context
    return SweepPath.of(value, info.context[HOME] if known and info.context else Path.cwd())


def resolve(text: str, home: Path) -> Path:
    """The absolute path that a text means to someone in the folder `home`.

    Raises:
        BadInput: as `SweepPath.resolve` does.
    """
    return SweepPath.of(text, home).resolve()
