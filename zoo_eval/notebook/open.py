"""open(store): the results that a sweep left."""

from os import PathLike, fspath

from zoo_eval.notebook.results import Results
from zoo_eval.queries.limits import Limits
from zoo_eval.store import Store


def open(store: str | PathLike[str], limits: Limits | None = None) -> Results:
    """The tables and views of a store; nothing is read before it is asked for.

    Args:
        store: a folder or `s3://bucket/prefix`, what the sweep's `store` was.
        limits: what one query may take; those of the environment by default
            (`ZOO_EVAL_QUERY_SECONDS`, `ZOO_EVAL_QUERY_MEMORY`, `ZOO_EVAL_QUERY_SPILL`).

    Raises:
        BadInput: there is no store, or it was written by a newer version.
    """
    return Results(Store(fspath(store)), limits)
