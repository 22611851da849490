"""A sortable HTML table, and how values are written in it."""

import math
from collections.abc import Sequence
from typing import Any

from zoo_eval.files.names import in_html


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    numeric = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    head = "".join(
        f"<th{_number_class(right)}><button>{in_html(name)}</button></th>"
        for name, right in zip(header, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td{_number_class(right)} data-value="{in_html(_sortable(value))}">'
            f"{in_html(number(value))}</td>"
            for value, right in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _number_class(right: bool) -> str:
    return ' class="number"' if right else ""


def _sortable(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return "1e308"
    return "" if value is None else str(value)


def number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "∞" if math.isinf(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
