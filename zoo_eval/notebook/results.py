"""Results: what there is in a store, asked by name or in SQL, shown as a table."""

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from zoo_eval.commands.output import as_text, short
from zoo_eval.errors import BadInput, nearest
from zoo_eval.files.names import in_html
from zoo_eval.privacy.addresses import shown
from zoo_eval.queries.cells import PYTHON, TEXT
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.store import Store
from zoo_eval.trends.analysis import trends

if TYPE_CHECKING:
    import pandas
    import polars

    from zoo_eval.notebook.drawn import Drawings, Drawn

# How many rows are shown; all are there.
SHOWN = 20


class Rows:
    """The rows of a query, computed when they are first looked at, and then kept.

    Cells that are null are None in Arrow and polars, and None or NaN in pandas.
    """

    def __init__(self, sql: str, connection: Connection) -> None:
        self.sql = sql
        self.columns = connection.columns(sql)
        self._connection = connection

    @cached_property
    def _table(self) -> pa.Table:
        return self._connection.query(self.sql)

    @cached_property
    def _in_python(self) -> pa.Table:
        return self._connection.held(self.sql, self._table, PYTHON)

    @cached_property
    def _readable(self) -> pa.Table:
        return self._connection.held(self.sql, self._table, TEXT)

    def __len__(self) -> int:
        n: int = self._table.num_rows
        return n

    def arrow(self) -> pa.Table:
        """The rows as a `pyarrow.Table`.

        A column that Arrow has no type for (a time with an offset, bits) is text.

        Raises:
            BadInput: a value cannot be computed.
        """
        return self._table

    def df(self) -> "pandas.DataFrame":
        """The rows as a pandas DataFrame; maps (such as `neural_scores`) are dicts.

        A column that Python has no values for (an infinite date, an interval) is text.

        Raises:
            BadInput: pandas is not installed, or a value cannot be computed.
        """
        _needed("pandas")
        found: pandas.DataFrame = self._in_python.to_pandas(maps_as_pydicts="strict")
        return found

    def pl(self) -> "polars.DataFrame":
        """The rows as a polars DataFrame; maps are lists of key and value.

        A column that Python has no values for is text, as in `df`.

        Raises:
            BadInput: polars is not installed, or a value cannot be computed.
        """
        found: polars.DataFrame = _needed("polars").from_arrow(self._in_python)
        return found

    def __repr__(self) -> str:
        return f"{as_text(self._readable.slice(0, SHOWN))}\n{self._size}"

    def _repr_html_(self) -> str:
        rows = self._readable.slice(0, SHOWN).to_pylist(maps_as_pydicts="strict")
        head = "".join(f"<th>{in_html(name)}</th>" for name in self.columns)
        body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<p>{in_html(self._size)}</p>"
        )

    @property
    def _size(self) -> str:
        more = "" if len(self) <= SHOWN else f", the first {SHOWN} shown"
        return f"{len(self)} rows x {len(self.columns)} columns{more}"


def _cell(value: Any) -> str:
    # Numbers to the right, as in every table of this package.
    side = ' style="text-align: right"' if isinstance(value, int | float) else ""
    return f"<td{side}>{in_html(short(value))}</td>"


def _needed(library: str) -> Any:
    try:
        return __import__(library)
    except ImportError as error:
        raise BadInput(
            f"{library} is not installed; pip install {library}, or take .arrow() instead"
        ) from error


class Results:
    """The tables and views of a store, as they were when they were first asked for.

    Each is there by its name: `results.tolerances()` or `results["tolerances"]`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._opened: Connection | None = None

    @property
    def _connection(self) -> Connection:
        if self._opened is None:
            self._opened = connect(self.store)
        return self._opened

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tables and views."""
        return self._connection.names

    def sql(self, query: str) -> Rows:
        """The rows of one SELECT, in DuckDB's SQL, over tables and views.

        Raises:
            BadInput: the SQL is wrong or would change something; an unknown name is answered with
                the nearest ones.
        """
        return Rows(query, self._connection)

    def leaderboard(self) -> Rows:
        """One row per model: accuracy, best neural scores, tolerance to attacks, alignment."""
        return self["leaderboard"]

    def failures(self) -> Rows:
        """The trials that were not done, and why."""
        return self["failures"]

    def update_trends(self) -> Rows:
        """Statistics over models with intervals over families, computed and kept as table `trends`."""
        self.store.replace("trends", trends(self._connection))
        self.refresh()
        return self["trends"]

    def figures(self) -> "Drawings":
        """The figures of the store's results, e.g. accuracy against tolerance, by name.

        Each shows itself in a notebook, and saves itself: `results.figures()[0].save("figure.pdf")`.
        """
        from zoo_eval.figures.shown import figures
        from zoo_eval.notebook.drawn import Drawings
        from zoo_eval.report.pictures import picture_figures

        return Drawings((*figures(self._connection), *picture_figures(self._connection)))

    def figure(self, name: str) -> "Drawn":
        """One of them.

        Raises:
            BadInput: there is none of that name.
        """
        found: Drawn = self.figures()[name]
        return found

    def refresh(self) -> None:
        """Looks at the store anew, for what was written since."""
        self._opened = None

    def __getitem__(self, name: str) -> Rows:
        """A table or view, whole.

        Raises:
            BadInput: there is none of that name.
        """
        if name not in self.names:
            raise BadInput(f"unknown table or view {name!r}; {nearest(name, self.names)}")
        return self.sql(f'SELECT * FROM "{name}"')

    def __getattr__(self, name: str) -> Callable[[], Rows]:
        # Whoever looks for `_repr_png_` or the like gets the usual answer.
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self.names:
            raise AttributeError(f"unknown table or view {name!r}; {nearest(name, self.names)}")
        return partial(self.__getitem__, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.names})

    def __repr__(self) -> str:
        asked = self._connection.rows(
            "SELECT count(DISTINCT model) AS models, count(*) FILTER (status = 'ok') AS done, "
            "count(*) FILTER (status <> 'ok') AS not_done FROM trials"
        )[0]
        return (
            f"Results({shown(self.store.uri)}: {asked['models']} models, {asked['done']} trials done, "
            f"{asked['not_done']} failed or refused; ask {', '.join(self.names)})"
        )
