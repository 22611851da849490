"""Planted: what a page must say, loudly, of data that were made and not measured."""

from zoo_eval.files.names import in_html
from zoo_eval.queries.connection import Connection


def warnings(connection: Connection) -> str:
    """Warnings as HTML; nothing where everything was measured."""
    said = ""
    if names := ", ".join(in_html(name) for name in recordings(connection)):
        said += (
            f'<p class="planted"><strong>Planted:</strong> the responses of {names} were made from a '
            "layer of one of these models plus noise, to check the method. They are not neural data.</p>"
        )
    if names := ", ".join(in_html(name) for name in maps(connection)):
        said += (
            f'<p class="planted"><strong>Planted:</strong> the maps of {names} are local contrast of the '
            "images, to check the method. Nobody looked at anything: they are not human data.</p>"
        )
    return said


def recordings(connection: Connection) -> list[str]:
    """Names of planted recordings."""
    rows = connection.rows(
        "SELECT DISTINCT recording FROM ceilings WHERE estimator = 'planted_exact' ORDER BY ALL"
    )
    return [row["recording"] for row in rows]


def maps(connection: Connection) -> list[str]:
    """Names of planted human maps."""
    rows = connection.rows("SELECT DISTINCT importance FROM alignments WHERE planted ORDER BY ALL")
    return [row["importance"] for row in rows]
