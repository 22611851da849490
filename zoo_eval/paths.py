"""Paths in a sweep file: `package:` names a file inside an installed package, without importing it."""

import importlib.util
import os
from pathlib import Path

from zoo_eval.errors import BadInput


def cache_folder(name: str) -> Path:
    """Where this machine keeps what can be made or downloaded again; `ZOO_EVAL_CACHE` moves it."""
    folder = os.environ.get("ZOO_EVAL_CACHE")
    return (Path(folder) if folder else Path.home() / ".cache" / "zoo_eval") / name


def resolve(text: str, home: Path) -> Path:
    """The absolute path a sweep file means.

    `package:NAME/rest` is looked up among the installed packages; anything else that is relative
    is taken from `home`, the folder the sweep was submitted from.

    Raises:
        BadInput: the package is not installed, or the path does not exist.
    """
    if text.startswith("package:"):
        package, _, rest = text.removeprefix("package:").partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise BadInput(
                f"{text}: package {package!r} is not installed; "
                f"install it (pip install {package.replace('_', '-')}) or correct the path"
            )
        path = Path(next(iter(spec.submodule_search_locations))) / rest
    else:
        path = home / Path(text).expanduser()
    if not path.exists():
        raise BadInput(f"{text}: no such file or folder ({path}); correct the path")
    return path.resolve()
