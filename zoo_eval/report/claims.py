"""Claims: the field's questions of its models, each with what this store answers."""

from collections.abc import Sequence

from zoo_eval.files.names import in_html
from zoo_eval.report.section import soft
from zoo_eval.trends.claims import answered
from zoo_eval.trends.comparisons import VIEWS, Comparison

NOTE = (
    "The questions were declared before any store was looked at. p of all that this store can answer are "
    "adjusted together (Holm); intervals are over families of models, not over models."
)


def claims(found: Sequence[Comparison]) -> str:
    """Questions and answers as HTML; nothing where nothing was compared."""
    if not found:
        return ""
    by_view = {trend: [one for one in found if one.trend == trend] for trend in VIEWS}
    items = "".join(
        f"<dt>{in_html(one.question)}</dt><dd>{in_html(one.answer)}</dd>"
        for one in answered(by_view)
    )
    return f"{soft(NOTE)}<dl>{items}</dl>"
