"""Plain arrays of responses in files of every kind, with names beside them where the kind can hold any."""

import csv

import numpy as np

IDS = ("c.png", "a.png", "b.png", "a.png")
TARGETS = ("t1", "t2", "t3")


def planted(*shape):
    """Responses of that shape, one of them missing."""
    values = np.random.default_rng(0).standard_normal(shape or (len(IDS), len(TARGETS)))
    values[(1,) * values.ndim] = np.nan
    return values


def csv_file(path, values, *, index="", ids=IDS, sessions=None, names=TARGETS, delimiter=","):
    """As pandas writes a frame, an empty cell where a value is missing."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([index, *(["session"] if sessions else []), *names])
        for number, (one, row) in enumerate(zip(ids, values, strict=True)):
            cells = ["" if np.isnan(value) else repr(float(value)) for value in row]
            if delimiter == ";":
                cells = [cell.replace(".", ",") for cell in cells]
            writer.writerow([one, *([sessions[number]] if sessions else []), *cells])
    return path
