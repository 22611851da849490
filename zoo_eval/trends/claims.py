"""Claims: what the field says of its models, as named questions, and what a store answers.

The questions were declared before any store was looked at; p of all that a store can answer are adjusted
together (Holm), so that a wrong "yes" to any stays at 5 %.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo_eval.numerics.families.families import Families
from zoo_eval.numerics.families.shapes import mean_over_families
from zoo_eval.numerics.multiplicity import holm
from zoo_eval.queries.connection import Connection
from zoo_eval.trends.comparisons import Comparison, comparisons
from zoo_eval.trends.rows import BY_FAMILY, Row, of_estimate
from zoo_eval.trends.shapes import two_lines_rows
from zoo_eval.trends.words import left_out, number, p_in_words, who

LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """A named question about one comparison, its answer in one sentence, and the rows it stands on."""

    name: str
    question: str
    answer: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Question:
    """A question of all comparisons of some views: their rows, the first with p, and the answer in words.

    `needs` is said where nothing was measured that could answer it.
    """

    name: str
    asked: str
    trends: tuple[str, ...]
    rows: Callable[[Comparison], list[Row]]
    answer: Callable[[Row], str]
    needs: str

    def of(self, subject: str) -> str:
        """The question of one subject."""
        return self.asked.format(subject=subject)


def _falls_beyond(comparison: Comparison) -> list[Row]:
    return two_lines_rows(comparison.sample)


def _say_falls(row: Row) -> str:
    if row["p_value"] is None:
        return _unanswered(row)
    fall = f"from top-1 {row['at']:.2f} to the best model it changes by {_ranged(row)}"
    adjusted = row["p_adjusted"]
    if adjusted <= LEVEL:
        return f"Yes: it rises to top-1 {row['at']:.2f} and falls beyond; {fall} ({_grounds(row)})."
    return f"Not shown: {fall} ({_grounds(row)})."


def _spearman(comparison: Comparison) -> list[Row]:
    return comparison.statistics()[:1]


def _say_sign(row: Row, sign: int, verb: str) -> str:
    if row["estimate"] is None or row["p_value"] is None:
        return _unanswered(row)
    told = f"Spearman's correlation with top-1 is {_ranged(row)} ({_grounds(row)})"
    # An interval over families may be wider than p of "no relation" says, or be missing.
    if row["low"] is None:
        return f"Cannot be told: {told}; no interval, {row['no_interval']}."
    if row["p_adjusted"] <= LEVEL and row["low"] * row["high"] > 0:
        opposite = "No, the opposite" if row["estimate"] * sign < 0 else f"Yes, it {verb}"
        return f"{opposite}: {told}."
    return f"Not shown: {told}."


def _say_rises(row: Row) -> str:
    return _say_sign(row, 1, "rises")


def _say_sinks(row: Row) -> str:
    return _say_sign(row, -1, "falls")


def _leaves(comparison: Comparison) -> list[Row]:
    """How far harmonized models lie above what all others reach at their accuracy or beyond."""
    sample = comparison.sample
    harmonized = np.array(
        [bool(row.get("harmonized_from")) for row in comparison.known], dtype=bool
    )
    harmonized, sample = harmonized[np.isfinite(sample.y)], sample.finite
    others = ~harmonized
    above = [
        (place, float(sample.y[place] - best.max()))
        for place in harmonized.nonzero()[0]
        if len(best := sample.y[others & (sample.x >= sample.x[place])])
    ]
    if not above:
        n = int(harmonized.sum())
        why = (
            "no model's card says harmonized_from"
            if not n
            else "no other model is as accurate as the harmonized ones"
        )
        return [sample.row("above_front", no_interval=why, method=BY_FAMILY)]
    places, values = zip(*above, strict=True)
    kin = [sample.families.names[sample.families.codes[place]] for place in places]
    found = mean_over_families(np.array(values), Families.of(kin))
    models = [sample.models[place] for place in places]
    method = f"value less the best of other models at least as accurate, mean; {BY_FAMILY}"
    n_above = int((np.array(values) > 0).sum())
    row = sample.row(
        "above_front",
        detail=f"{n_above} of {len(values)} harmonized models above",
        method=method,
        n_pairs=len(values),
        unit="model",
        **{**of_estimate(found), "n_models": len(models), "models": models},
    )
    return [row]


def _say_leaves(row: Row) -> str:
    if row["estimate"] is None:
        return _unanswered(row)
    told = (
        f"{row['detail']} what others reach at their accuracy, by {_ranged(row)} on average "
        f"({_grounds(row)})"
    )
    if row["p_value"] is None:
        return f"Cannot be told with an error: {told}; {row['no_interval']}."
    if row["p_adjusted"] <= LEVEL:
        return f"Yes: {told}." if row["estimate"] > 0 else f"No, they stay below: {told}."
    return f"Not shown: {told}."


QUESTIONS = (
    Question(
        "neural_falls_beyond", "Does the neural score of {subject} fall beyond some accuracy?",
        ("accuracy_vs_neural", "accuracy_vs_spatial"), _falls_beyond, _say_falls,
        "accuracy, and neural_fit or spatial_fit, of several models",
    ),
    Question(
        "tolerance_rises", "Does tolerance of {subject} rise with accuracy?",
        ("accuracy_vs_tolerance",), _spearman, _say_rises,
        "accuracy and minimal_attack of several models",
    ),
    Question(
        "alignment_falls", "Does alignment of {subject} fall with accuracy?",
        ("accuracy_vs_alignment",), _spearman, _say_sinks,
        "accuracy, and human_alignment or minimal_attack with human maps, of several models",
    ),
    Question(
        "harmonized_leave", "Do harmonized models leave the trade-off of accuracy and {subject}?",
        ("accuracy_vs_neural", "accuracy_vs_spatial", "accuracy_vs_tolerance", "accuracy_vs_alignment"),
        _leaves, _say_leaves, "models whose card says harmonized_from, beside those they were made from",
    ),
)  # fmt: skip


def claims(connection: Connection) -> tuple[Claim, ...]:
    """Every question with its answer for every comparison; one without any says what it would need."""
    return answered({trend: comparisons(connection, trend) for trend in _TRENDS})


_TRENDS = tuple(dict.fromkeys(trend for question in QUESTIONS for trend in question.trends))


def answered(found: Mapping[str, Sequence[Comparison]]) -> tuple[Claim, ...]:
    """The same of comparisons by view."""
    asked = [
        (question, one, question.rows(one))
        for question in QUESTIONS
        for trend in question.trends
        for one in found[trend]
    ]
    adjusted = holm([rows[0]["p_value"] for *_, rows in asked])
    made = [
        _claim(question, one, [{**rows[0], "p_adjusted": p}, *rows[1:]])
        for (question, one, rows), p in zip(asked, adjusted, strict=True)
    ]
    by_name = {
        question.name: [one for one in made if one.name == question.name] for question in QUESTIONS
    }
    return tuple(
        claim for question in QUESTIONS for claim in by_name[question.name] or [_unasked(question)]
    )


def _claim(question: Question, comparison: Comparison, rows: Sequence[Row]) -> Claim:
    planted = (
        " Planted data: this tests the procedure, and says nothing of brains."
        if comparison.planted
        else ""
    )
    return Claim(
        question.name,
        question.of(f"{comparison.subject} ({comparison.measure})"),
        question.answer(rows[0]) + planted,
        tuple(rows),
    )


def _unasked(question: Question) -> Claim:
    asked = question.of("what was measured")
    return Claim(
        question.name,
        asked,
        f"Cannot be told: nothing measured yet; it needs {question.needs}.",
        (),
    )


def _unanswered(row: Row) -> str:
    why = row["no_interval"] or "undefined: fewer than three models or families, or all alike"
    return f"Cannot be told: {why} ({_grounds({**row, 'p_value': None})})."


def _ranged(row: Row) -> str:
    """An estimate with its interval over families."""
    if row["low"] is None:
        return number(row["estimate"])
    return f"{number(row['estimate'])} [{number(row['low'])}, {number(row['high'])}]"


def _grounds(row: Row) -> str:
    p = ""
    if row["p_value"] is not None:
        p = f"p {p_in_words(row['p_value'])}, adjusted {p_in_words(row['p_adjusted'])}; "
    out = f"; left out: {out}" if (out := left_out(row)) else ""
    return p + who(row) + out
