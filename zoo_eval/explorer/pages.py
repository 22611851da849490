"""Pages: the HTML of a served store: its frame, the box for SQL and its results, what can be asked."""

import html
import json
from collections.abc import Sequence
from typing import Any

from zoo_eval.explorer.moment import Source
from zoo_eval.files.names import in_html
from zoo_eval.tables import View
from zoo_eval.units import duration

PLACES = (("/", "Report"), ("/sql", "Ask in SQL"), ("/tables", "Tables and views"))
EXAMPLE = "SELECT model, top1, tolerance, alignment, gate\nFROM leaderboard\nORDER BY top1 DESC"
ROWS_OF_BOX = 8


def ways(here: str) -> str:
    """Links to the other pages."""
    links = (
        f'<a href="{place}" aria-current="page">{name}</a>'
        if place == here
        else f'<a href="{place}">{name}</a>'
        for place, name in PLACES
    )
    return f'<nav class="ways" aria-label="Explorer">{" ".join(links)}</nav>'


def age(age_s: float, trouble: str | None, is_renewed: bool = False) -> str:
    """How old what is shown is, and why it is not newer."""
    old = (
        "just now"
        if age_s < 10
        else f"{round(age_s)} s ago"
        if age_s < 60
        else f"{duration(age_s)} ago"
    )
    text = f"The store as it was {old}."
    if trouble is not None:
        text += f" It cannot be read now: {trouble}"
    elif is_renewed:
        text += " It has moved since: a newer page is being made, reload in a few seconds."
    kind = "age trouble" if trouble is not None else "age"
    return f'<p class="{kind}" role="status">{in_html(text)}</p>'


def document(title: str, here: str, inside: str) -> str:
    """A whole page of the explorer's own."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{in_html(title)}</title>"
        '<link rel="stylesheet" href="/explorer.css"><script src="/explorer.js" defer></script></head>\n'
        f"<body>{ways(here)}<main>{inside}</main></body></html>\n"
    )


def framed(report: str, above: str) -> str:
    """The report with links and its age on top."""
    start = report.index("<body")
    end = report.index(">", start) + 1
    return f"{report[:end]}{above}{report[end:]}"


def waiting() -> str:
    """What stands where the first report is not made yet."""
    text = "The report is being made; this page looks again every two seconds."
    page = document("zoo_eval", "/", f'<h1>zoo_eval</h1><p role="status">{text}</p>')
    return page.replace("<title>", '<meta http-equiv="refresh" content="2"><title>', 1)


def box(sql: str, limits: str) -> str:
    """The form that a query is written in."""
    others = "".join(
        f'<button formaction="/sql.{form}">{name}</button>'
        for form, name in (("csv", "CSV"), ("json", "JSON"), ("parquet", "Parquet"))
    )
    return (
        '<h1>Ask in SQL</h1><form method="post" action="/sql">'
        '<label for="q">One SELECT over <a href="/tables">tables and views</a>, in DuckDB\'s SQL. '
        f'<span class="soft">{in_html(limits)}</span></label>'
        f'<textarea id="q" name="q" rows="{ROWS_OF_BOX}" spellcheck="false" autocomplete="off" '
        f"autofocus required>\n{html.escape(sql)}</textarea>"
        f'<p class="does"><button class="run">Run</button> <span class="soft">or download</span> '
        f"{others}</p></form>"
    )


def in_html_lines(text: str) -> str:
    """Text of several lines for a page."""
    return "\n".join(in_html(line.replace("\t", "    ")) for line in text.splitlines())


def refusal(message: str) -> str:
    """What was wrong with a query."""
    return f'<p class="error" role="alert">{in_html_lines(message)}</p>'


def result(content: bytes, seconds: float) -> str:
    """A result as a table."""
    found: dict[str, Any] = json.loads(content)
    columns, numeric, rows = found["columns"], found["numeric"], found["rows"]
    sides = [' class="number"' if right else "" for right in numeric]
    head = "".join(
        f'<th scope="col"{side}>{in_html(name)}</th>' for name, side in zip(columns, sides)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{side}>{in_html(text)}</td>' for text, side in zip(row, sides))}</tr>"
        for row in rows
    )
    said = f"{size(found)}, {seconds:.2f} s"
    return (
        f'<p class="soft" id="size" role="status">{in_html(said)}</p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Result">'
        f'<table id="result"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def size(found: dict[str, Any]) -> str:
    """How many rows there are, and how many of them are shown."""
    n, shown = found["n_rows"], len(found["rows"])
    least = "more than " if found["is_cut"] else ""
    text = f"{least}{n:,} row{'' if n == 1 else 's'} x {len(found['columns'])} columns"
    return text if shown == n and not found["is_cut"] else f"{text}, the first {shown} shown"


def asked_often(questions: Sequence[View]) -> str:
    """Links that fill the box with what is asked most often."""
    if not questions:
        return ""
    links = "".join(
        f'<li><a href="/sql?question={in_html(one.name)}">{in_html(one.question)}</a></li>'
        for one in questions
    )
    return f"<h2>Asked often</h2><ul>{links}</ul>"


def sources(found: Sequence[Source]) -> str:
    """What can be asked: every table with its columns, every view with its SQL."""
    tables = [one for one in found if not one.sql]
    views = [one for one in found if one.sql]
    return (
        "<h1>Tables and views</h1>"
        f"<h2>Views</h2>{''.join(map(_view, views))}<h2>Tables</h2>{''.join(map(_table, tables))}"
    )


def _opened(source: Source, inside: str) -> str:
    name, note = in_html(source.name), in_html(source.note)
    return (
        f'<details id="{name}"><summary><code>{name}</code> <span class="soft">{note}</span></summary>'
        f'<p><a href="/sql?of={name}">Ask for its rows</a></p>{inside}</details>'
    )


def _view(view: Source) -> str:
    names = ", ".join(f"<code>{in_html(name)}</code>" for name in view.names)
    return _opened(view, f"<p>Columns: {names}</p><pre>{in_html_lines(view.sql)}</pre>")


def _table(table: Source) -> str:
    rows = "".join(
        f"<tr><td><code>{in_html(one.name)}</code></td><td>{in_html(str(one.type))}</td>"
        f"<td>{in_html(one.unit)}</td>"
        f"<td>{in_html(one.meaning)}{' (may be null)' if one.nullable else ''}</td></tr>"
        for one in table.columns
    )
    head = "".join(f'<th scope="col">{one}</th>' for one in ("column", "type", "unit", "meaning"))
    return _opened(
        table,
        f'<div class="scroll" tabindex="0" role="region" aria-label="Columns of {in_html(table.name)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>",
    )
