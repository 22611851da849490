"""Pairs: two models compared on the same targets and the same stimuli."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo_eval.errors import BadInput, nearest
from zoo_eval.numerics.multiplicity import holm
from zoo_eval.numerics.paired import Paired, paired
from zoo_eval.queries.connection import Connection
from zoo_eval.trends.rows import Row
from zoo_eval.trends.titles import subjects
from zoo_eval.trends.words import plural

MEANS = "mean over {units}, t interval; p by swapping the two models {unit} by {unit}, Holm over all asked"
SIGNS = "sign test over {units}, as some values are infinite; Holm over all asked"
KEY = ("protocol", "parameters", "recording_digest", "stimuli_digest", "importance_digest", "seed")
MEASURES = {
    "accuracy_vs_neural": "r",
    "accuracy_vs_spatial": "r",
    "accuracy_vs_tolerance": "tolerance",
    "accuracy_vs_alignment": "alignment",
}


def compared(connection: Connection, asked: Sequence[tuple[str, str]]) -> list[Row]:
    """Rows of the difference, first less second, of each pair of models on all that both were measured on.

    Raises:
        BadInput: a model is not in the store, or is compared with itself.
    """
    known = [
        row["model"] for row in connection.rows("SELECT model FROM model_facts ORDER BY model")
    ]
    for first, second in asked:
        for name in (first, second):
            if name not in known:
                raise BadInput(f"--compare: no model {name!r} that counts; {nearest(name, known)}")
        if first == second:
            raise BadInput(f"--compare: {first!r} with itself; name two models")
    rows = [row for pair in dict.fromkeys(asked) for row in _pair(connection, *pair)]
    for row, p in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_adjusted"] = p
    return rows


def _pair(connection: Connection, first: str, second: str) -> list[Row]:
    names = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}'" for name in (first, second))
    by_setting: dict[tuple[Any, ...], dict[str, dict[str, float]]] = defaultdict(
        lambda: {first: {}, second: {}}
    )
    for row in connection.rows(
        f"SELECT * FROM paired_values WHERE model IN ({names}) AND value IS NOT NULL "
        f"ORDER BY trend, name, {', '.join(KEY)}, unit_id"
    ):
        setting = (row["trend"], row["name"], row["unit"], *(row[column] for column in KEY))
        by_setting[setting][row["model"]][row["unit_id"]] = row["value"]
    both = {s: sides for s, sides in by_setting.items() if sides[first] and sides[second]}
    keys = [dict(zip(KEY, setting[3:], strict=True)) for setting in both]
    named = subjects([setting[1] for setting in both], [dict(key) for key in keys])
    return [
        _row(setting, subject, key, (first, second), sides)
        for (setting, sides), subject, key in zip(both.items(), named, keys, strict=True)
    ]


def _row(
    setting: tuple[Any, ...],
    subject: str,
    key: dict[str, Any],
    models: tuple[str, str],
    sides: dict[str, dict[str, float]],
) -> Row:
    trend, _, unit, *_ = setting
    one, other = (sides[model] for model in models)
    shared = sorted(one.keys() & other.keys())
    found = paired(np.array([one[s] for s in shared]), np.array([other[s] for s in shared]))
    n_out = len(one.keys() ^ other.keys())
    return {
        "trend": trend,
        "subject": subject,
        "measure": MEASURES[trend],
        **key,
        "statistic": "paired_difference",
        "detail": f"{models[0]} less {models[1]}",
        "estimate": found.mean,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "no_interval": _why(found),
        "method": (SIGNS if found.n_infinite else MEANS).format(unit=unit, units=plural(unit)),
        "n_models": 2,
        "n_infinite": found.n_infinite,
        "n_pairs": found.n,
        "unit": unit,
        "n_resamples": 0,
        "population": f"{plural(unit)} on which both models have a value",
        "exclusions": f'{{"one model has none": {n_out}}}' if n_out else "{}",
        "models": list(models),
    }


def _why(found: Paired) -> str | None:
    if found.no_interval is None:
        return None
    counts = f"larger on {found.larger}, smaller on {found.smaller} of {found.n}"
    return f"{found.no_interval}; {counts}"
