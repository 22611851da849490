"""Writing what is held into a folder of its own, which is there whole or not at all."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from zoo_eval.errors import BadInput, one_line
from zoo_eval.privacy import files
from zoo_eval.recordings.held import Held, Written


def write(held: Held, out: Path, most_bytes: int) -> Written:
    """Writes a recording beside where it is to be, and moves it there when it is whole.

    Raises:
        BadInput: there is something already, it cannot be written, or what is held is damaged or lacks
            what the format needs; nothing is left of it.
    """
    if out.exists() or out.is_symlink():
        raise BadInput(f"{out} exists already; remove it, or name another --out")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder; make it, or correct --out")
    aside = out.with_name(f".{out.name}.{uuid4().hex}")
    try:
        aside.mkdir(files.FOLDER_MODE)
        written = held.write(aside, most_bytes)
        os.rename(aside, out)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{out} cannot be written ({one_line(error)}); make room there, or name another --out"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return written
