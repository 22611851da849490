"""figures(connection): all that a store has to show, in the order of a paper."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from zoo_eval.figures.against_accuracy import against_accuracy
from zoo_eval.figures.figure import Figure
from zoo_eval.figures.known import Known
from zoo_eval.figures.profiles import profiles
from zoo_eval.figures.tradeoff import tradeoff
from zoo_eval.queries.connection import Connection


def figures(connection: Connection) -> tuple[Figure, ...]:
    """The figures of a store's results; those that would be empty are left out.

    The same store gives the same figures, of which no two have one name.
    """
    return known_figures(Known(connection))


def known_figures(known: Known) -> tuple[Figure, ...]:
    """The same of what was asked for, and may be asked for again elsewhere."""
    found = itertools.chain(against_accuracy(known), tradeoff(known), profiles(known))
    return tuple(_named_apart(found))


def _named_apart(figures: Iterable[Figure]) -> Iterator[Figure]:
    """Figures of one name get numbers: names are short, and of few characters."""
    taken: set[str] = set()
    for figure in figures:
        name, number = figure.name, 2
        while name in taken:
            name, number = f"{figure.name}-{number}", number + 1
        taken.add(name)
        yield replace(figure, name=name)
