"""RDMs of Meadows' multiple arrangement task: the tree as .json, or the 1D matrices as .mat.

After Meadows' documentation of downloads: `rdm` and `rdmutv` are the upper triangle row by row, which
SciPy's squareform takes. A .mat of several participants has `rdmutv_NICK_NAME` and
`stimuli_NICK_NAME`, or `stimuli` for all.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo_eval.errors import BadInput, nearest
from zoo_eval.files import text
from zoo_eval.files.reading import check_fits
from zoo_eval.recordings.rdm_kinds.content import Array, Ids, RdmFile, Wrong, stacked, texts

VECTOR, STIMULI = "rdmutv", "stimuli"
ABOUT = "a multiple arrangement task of Meadows"
# Numbers and texts as Python holds them take so many times the bytes of JSON.
JSON_EXPANSION = 10

Tree = Mapping[str, Any]


def is_of_meadows(variables: Mapping[str, Array]) -> bool:
    """Whether a .mat file's variables are those of a download."""
    return any(key == VECTOR or key.startswith(f"{VECTOR}_") for key in variables) and any(
        key == STIMULI or key.startswith(f"{STIMULI}_") for key in variables
    )


def of_variables(where: str, variables: Mapping[str, Array], variable: str | None) -> RdmFile:
    """The RDMs of all participants, or the one that `variable` names.

    Raises:
        BadInput: no such variable, or a participant has no stimuli, or another number of them.
        Wrong: the names of stimuli are no text.
    """
    vectors = {key: one for key, one in variables.items() if key.split("_")[0] == VECTOR}
    if variable is not None:
        if variable not in vectors:
            raise BadInput(f"{where} has no variable {variable!r}; {nearest(variable, vectors)}")
        vectors = {variable: vectors[variable]}
    rows = []
    for key in vectors:
        own = f"{STIMULI}{key.removeprefix(VECTOR)}"
        names = variables.get(own, variables.get(STIMULI))
        if names is None:
            raise BadInput(f"{where} has {key!r} but no {own!r}; download it again")
        rows.append(texts(names, own)[0])
    nicknames = [key.removeprefix(VECTOR).removeprefix("_").replace("_", "-") for key in vectors]
    return _of_participants(where, list(vectors.values()), rows, nicknames)


def read(
    where: str, path: Path, variable: str | None, n_stimuli: int | None, most_bytes: int
) -> RdmFile:
    """What is in a .json file; see rdm_file.read. `variable` names the task.

    Raises:
        BadInput: it is no tree of Meadows, has no RDM, or those of several tasks and no `variable`.
        Exception: whatever the reader of JSON raises.
    """
    needed = JSON_EXPANSION * path.stat().st_size
    check_fits(where, "a tree of JSON", needed, most_bytes, "download one task alone")
    tree = json.loads(text.read(where, path, "JSON"))
    found = list(_arrangements(tree))
    if not found:
        raise BadInput(
            f"{where} has no `rdm` with `stimuli`, as the tree of a multiple arrangement task of Meadows "
            "has; download the tree of that task"
        )
    tasks = list(dict.fromkeys(task for _, task, _ in found))
    if variable is None and len(tasks) > 1:
        raise BadInput(
            f"{where} holds RDMs of {len(tasks)} tasks ({', '.join(tasks)}); name one: `variable`"
        )
    if variable is not None and variable not in tasks:
        raise BadInput(f"{where} has no task {variable!r}; {nearest(variable, tasks)}")
    mine = [(who, one) for who, task, one in found if task == (variable or task)]
    vectors = [_numbers(where, one["rdm"]) for _, one in mine]
    rows = [_names(one["stimuli"]) for _, one in mine]
    return _of_participants(where, vectors, rows, [who for who, _ in mine])


def _arrangements(tree: Any) -> Iterator[tuple[str, str, Tree]]:
    """Each arrangement with its participant ("" where the tree is one's own) and its task."""
    if not isinstance(tree, Mapping):
        return
    if "tasks" in tree or "rdm" in tree:
        for task, one in _of_one(tree):
            yield "", task, one
        return
    for nickname, data in tree.items():
        for task, one in _of_one(data):
            yield nickname, task, one


def _of_one(data: Any) -> Iterator[tuple[str, Tree]]:
    """A participant's arrangements by the name of their task."""
    tasks = data.get("tasks", [data]) if isinstance(data, Mapping) else data
    named = tasks.items() if isinstance(tasks, Mapping) else (("", one) for one in _listed(tasks))
    for key, one in named:
        if isinstance(one, Mapping) and "rdm" in one and one.get("stimuli"):
            task = one.get("task")
            said = task.get("name") if isinstance(task, Mapping) else None
            yield str(said or key), one


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _numbers(where: str, values: Any) -> Array:
    listed = _listed(values)
    if not listed or not all(type(one) in (int, float) for one in listed):
        raise BadInput(f"{where}: an `rdm` is no list of numbers; download it again")
    return np.array(listed, dtype=np.float64)


def _names(stimuli: Any) -> Ids:
    listed = _listed(stimuli)
    if not all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in listed):
        raise Wrong("a stimulus has no name")
    return tuple(one["name"].strip() for one in listed)


def _of_participants(
    where: str, vectors: Sequence[Array], rows: Sequence[Ids], nicknames: Sequence[str]
) -> RdmFile:
    array = stacked(where, vectors, "the download")
    n_stimuli = {len(one) for one in rows}
    if n_stimuli != {len(rows[0])} or array.ndim != 2:
        raise BadInput(f"{where}: its participants arranged different numbers of stimuli; read them one by one (`variable`)")  # fmt: skip
    alike = [rows[0]] if len(set(rows)) == 1 else list(rows)
    named = tuple(nicknames) if all(nicknames) else None
    return RdmFile(array, alike, alike, named, ABOUT)
